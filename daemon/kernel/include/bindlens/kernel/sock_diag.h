#pragma once

#include <bindlens/model/bucket.h>
#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <cstdint>
#include <vector>

namespace bindlens::kernel {

// The kernel's own list of sockets (NETLINK_SOCK_DIAG, net/ipv4/inet_diag.c and
// udp_diag.c): what remains where reading kernel memory is forbidden, and a
// second opinion elsewhere. It knows neither the reuse flags nor the buckets'
// caches, and shows sockets that are bound and idle only from Linux 6.8 on.

// The sockets of one network namespace that have a port, in all states, in the
// order of the kernel's tables; with `port` those on that local port. `proto` is
// tcp, udp or udplite; TCP includes the subflows of MPTCP. UDP-Lite sockets of a
// kernel without UDP-Lite are none.
//
// Of Socket are filled: local, peer, state, tw_substate, inode, cookie, netns,
// dev; uid and inode_uid (the same number; 0 for an orphan); of a listener
// backlog and max_backlog; of TIME_WAIT tw_left_ms; the flags v6only (the kernel
// tells it of listening and of idle sockets only), freebind, transparent,
// bind_no_port (from 5.10), timewait, connected and orphan. Socket::id is the
// cookie: no address in the kernel is known here, so such sockets cannot be
// merged with walked ones by it.
//
// Needs CAP_SYS_ADMIN to enter the namespace. The error ENOENT means that the
// kernel has no sock_diag for the protocol (module tcp_diag or udp_diag).
[[nodiscard]] Result<std::vector<model::Socket>> diag_sockets(const Fd& netns, model::Proto proto,
                                                              uint16_t port = 0);

// Inode numbers of the network namespaces that have a name in /run/netns or a
// process whose first thread is in them, ascending. Not found: those that only
// a descriptor, a socket, another thread or a bind mount elsewhere keeps alive.
[[nodiscard]] Result<std::vector<uint32_t>> list_namespaces();

// diag_sockets() of all protocols and all those namespaces, as a walk of the
// bind tables would group them: by protocol, namespace and port. Caches, l3mdev
// and slot counts are 0, that is, not known. A namespace that cannot be read
// makes the view truncated; `port` = 0 is all ports.
[[nodiscard]] model::PortView diag_snapshot(uint16_t port = 0);

} // namespace bindlens::kernel
