#pragma once

#include <bindlens/model/process.h>
#include <bindlens/model/socket.h>
#include <bindlens/util/clock.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::model {

// How the kernel chooses the member for a connection or datagram
// (reuseport_select_sock(), net/core/sock_reuseport.c).
enum class Steering : uint8_t { hash, cbpf, ebpf };

// What was counted of one socket since `since`. All figures only grow. One that the
// hooks in use do not give is absent, and never 0 instead.
struct ShareCounters {
  MonoNs since = 0; // it joined then, or the daemon started to count
  // reuseport_select_sock() returned it: a SYN, also one sent again, or a datagram.
  std::optional<uint64_t> selected;
  std::optional<uint64_t> queued;         // TCP: connections put into its accept queue
  std::optional<uint64_t> accepted;       // TCP: connections handed out by accept()
  std::optional<uint64_t> datagrams;      // UDP: put into its receive queue
  std::optional<uint64_t> drops;          // sk_drops: SYNs or connections refused, datagrams lost
  std::optional<uint64_t> migrated;       // TCP: connections moved to another member
  std::optional<uint64_t> lost_at_close;  // TCP: still in the queue when it closed, and reset
  std::optional<uint32_t> backlog_peak;   // TCP: longest the accept queue has been
  std::optional<MonoNs> last_accept;      // TCP: 0 = none since `since`
  std::optional<MonoNs> queue_full_since; // 0 = the queue is not full
};

// One socket of a group, with everything that tells how it fares.
struct ReuseportMember {
  Socket socket; // its accept queue: backlog of max_backlog
  ProcessRef binder;
  std::vector<Holder> holders;
  bool holders_known = false;
  int incoming_cpu = -1;           // SO_INCOMING_CPU, -1 = not set
  uint32_t receive_queue = 0;      // UDP: bytes, sk_rmem_alloc
  uint32_t receive_buffer = 0;     // UDP: bytes, sk_rcvbuf
  bool counted_from_start = false; // counters.since is when it joined
  ShareCounters counters;
  std::optional<double> per_second; // connections accepted, or datagrams, lately
};

// A struct sock_reuseport: sockets of one namespace, family, address, port and
// device among which the kernel distributes.
struct ReuseportGroup {
  uint64_t id = 0;          // names the group while it lives; never shown to users
  Proto proto = Proto::tcp; // tcp: listeners; udp, udplite: datagrams
  Endpoint local;
  uint32_t netns = 0;
  uint32_t dev = 0;
  bool v6only = false; // IPv6: without it, IPv4 comes here too
  uint32_t uid = 0;    // of the sockets, by which others may join
  Steering steering = Steering::hash;
  std::string program;     // name of the steering program; may be empty
  uint32_t program_id = 0; // 0 = classic, or not known
  bool migrates = false;   // net.ipv4.tcp_migrate_req, or a program that migrates
  uint32_t closed = 0;     // members that closed and wait for their connections to move
  std::vector<ReuseportMember> members; // in the kernel's order
};

[[nodiscard]] std::string_view to_string(Steering s); // "hash", "cbpf", "ebpf"

} // namespace bindlens::model
