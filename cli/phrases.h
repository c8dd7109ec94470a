#pragma once

// The words in which every screen speaks about sockets and processes.

#include <bindlens/protocol/view.h>

#include <string>
#include <vector>

namespace bindlens::cli {

[[nodiscard]] std::string proto_text(const protocol::SocketView& s);   // "tcp", "tcp6"
[[nodiscard]] std::string address_text(const protocol::SocketView& s); // "[::]:80"
// "tcp 0.0.0.0:8080", with " to PEER" for a connection
[[nodiscard]] std::string socket_text(const protocol::SocketView& s);
// reuseaddr, reuseport, v6only, linger=0, dev=eth0: what is set
[[nodiscard]] std::vector<std::string> flag_texts(const protocol::SocketView& s);

[[nodiscard]] std::string process_text(const protocol::ProcessView& p); // "nginx[4121]"
// "nginx[812] fd 6 +2"; "kernel" for a socket that the kernel made; "unknown"
// when nobody could say.
[[nodiscard]] std::string owner_text(const protocol::SocketView& s);
// Unit, or the beginning of the container's id as docker shows it; may be empty.
[[nodiscard]] std::string place_text(const protocol::ProcessView& p);
// "www-data", "uid 1000"; empty when not known
[[nodiscard]] std::string user_text(const protocol::ProcessView& p);
[[nodiscard]] std::string netns_text(const protocol::SocketView& s); // name or inode number

// "bind over 3 TIME_WAIT sockets", "SYN revived a TIME_WAIT socket"
[[nodiscard]] std::string reuse_text(const std::string& kind, uint64_t sockets);
// "open to bind with SO_REUSEPORT of uid 33: all 2 sockets on it have set it"
[[nodiscard]] std::string bucket_text(const protocol::BucketView& b);

// Inode number of the namespace of who looks; 0 = cannot be told.
[[nodiscard]] uint32_t own_netns();

// Who has the socket open, or who bound it; null when neither is known.
[[nodiscard]] const protocol::ProcessView* first_owner(const protocol::SocketView& s);

} // namespace bindlens::cli
