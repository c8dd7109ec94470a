#pragma once

// The kernel's own list of sockets, /proc/net, and the daemon's in the same words.

#include "daemon.h"

#include <map>
#include <set>
#include <string>

namespace bindlens::test {

// "tcp 0100007F:8080 00000000:0 LISTEN": addresses as /proc/net writes them.
using SocketNames = std::multiset<std::string>;

// /proc/net/{tcp,tcp6,udp,udp6}. Not there: TCP sockets that are bound and idle.
// Left out here: requests that are no sockets yet (SYN_RECV), and what has no port.
[[nodiscard]] SocketNames kernel_list(const Netns& netns);

// The same by the inode of their file, those that have one: while sockets come and
// go, a name alone may be of one before and of another afterwards.
[[nodiscard]] std::map<std::string, std::string> kernel_inodes(const Netns& netns);

// The same of /v1/sockets, without what /proc/net does not show.
[[nodiscard]] SocketNames names_of(const std::vector<Json>& sockets);

// Those of `a` that are not in `b`, in lines.
[[nodiscard]] std::string missing_from(const SocketNames& a, const SocketNames& b);

} // namespace bindlens::test
