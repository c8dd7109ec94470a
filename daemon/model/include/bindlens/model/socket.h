#pragma once

#include <bindlens/model/address.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace bindlens::model {

enum class Proto : uint8_t { tcp, udp, udplite, mptcp };

// The kernel's names; the values are those of <netinet/tcp.h>. `bound` is
// TCP_CLOSE with a port: holds it, does not listen, is not connected.
enum class State : uint8_t {
  established = 1,
  syn_sent,
  syn_recv,
  fin_wait1,
  fin_wait2,
  time_wait,
  bound,
  close_wait,
  last_ack,
  listen,
  closing,
};

enum class SocketFlag : uint32_t {
  reuseaddr = 1u << 0,
  reuseport = 1u << 1,
  v6only = 1u << 2,
  force_reuse = 1u << 3,  // TCP_REPAIR: counts as SO_REUSEADDR, even over a listener
  port_locked = 1u << 4,  // the port was asked for by number (SOCK_BINDPORT_LOCK)
  addr_locked = 1u << 5,  // SOCK_BINDADDR_LOCK
  connect_bind = 1u << 6, // SOCK_CONNECT_BIND, from 6.18
  has_group = 1u << 7,    // sk_reuseport_cb: in a reuseport group, or a program attached
  orphan = 1u << 8,       // no process: closed but not yet gone, or not yet accepted
  kernel = 1u << 9,       // made by the kernel itself
  linger = 1u << 10,
  freebind = 1u << 11,
  transparent = 1u << 12,
  bind_no_port = 1u << 13,
  timewait = 1u << 14, // a TIME_WAIT mini-socket: has no uid, inode or backlog
  mptcp = 1u << 15,
  group_has_closed = 1u << 16, // its reuseport group holds closed sockets (migration)
  connected = 1u << 17,        // UDP: has a peer
};

struct SocketFlags {
  uint32_t bits = 0;
  [[nodiscard]] bool has(SocketFlag f) const { return (bits & static_cast<uint32_t>(f)) != 0; }
  void set(SocketFlag f, bool on = true) {
    bits = on ? bits | static_cast<uint32_t>(f) : bits & ~static_cast<uint32_t>(f);
  }
  bool operator==(const SocketFlags&) const = default;
};

// Names one socket while it lives. It is the kernel's address of it, never
// shown to users; it can come again after the socket is gone.
using SocketId = uint64_t;

// A socket as the kernel showed it at one moment (struct bl_sock).
struct Socket {
  SocketId id = 0;
  uint64_t cookie = 0;    // SO_COOKIE; 0 = the kernel has given none yet
  uint64_t inode = 0;     // sockfs; 0 = none
  uint32_t netns = 0;     // inode number of the network namespace
  uint32_t uid = 0;       // sk_uid
  uint32_t inode_uid = 0; // what kernels up to 6.16 compare for SO_REUSEPORT; 0 for an orphan
  uint32_t dev = 0;       // SO_BINDTODEVICE: interface index, 0 = none
  uint32_t linger = 0;    // seconds, valid with SocketFlag::linger
  uint32_t backlog = 0;   // accept queue now
  uint32_t max_backlog = 0;
  uint32_t file_refs = 0;  // references on its open file
  uint32_t tw_left_ms = 0; // TIME_WAIT: time left, 0 = not known
  uint32_t udp_hash2 = 0;  // UDP: udp_portaddr_hash
  SocketFlags flags;
  Endpoint local;
  Endpoint peer; // port 0 = none
  Proto proto = Proto::tcp;
  State state = State::bound;
  State tw_substate = State::bound; // TIME_WAIT: fin_wait2 or time_wait

  [[nodiscard]] bool is(SocketFlag f) const { return flags.has(f); }
};

// Who gave the socket its port.
enum class BoundBy : uint8_t { unknown, bind, autobind, connect, accept };

[[nodiscard]] std::string_view to_string(Proto p);
[[nodiscard]] std::string_view to_string(State s); // "LISTEN", "BOUND", …
[[nodiscard]] std::string_view to_string(BoundBy b);
[[nodiscard]] std::optional<Proto> parse_proto(std::string_view text);
// Upper or lower case; also "closed" forms that ss takes are refused.
[[nodiscard]] std::optional<State> parse_state(std::string_view text);

} // namespace bindlens::model
