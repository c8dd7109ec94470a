#pragma once

#include <bindlens/model/socket.h>

#include <span>
#include <vector>

namespace bindlens::audit {

// Something that arrives for a local address: a connection request, or a
// datagram that is not multicast.
struct Packet {
  model::Endpoint to;   // a plain IPv4 or IPv6 address, neither v4-mapped nor a wildcard
  model::Endpoint from; // port 0: somebody to whom no UDP socket is connected
  uint32_t dev = 0;     // interface on which it arrives; what the host sends to itself: lo
};

struct Receivers {
  // Empty: nobody. Several: one of them, by the kernel's hash when they are one
  // reuseport group.
  std::vector<const model::Socket*> sockets;
  // They are one group, or one socket. False: which one it is depends on an
  // order that a walk does not show.
  bool certain = true;
};

// Which of `sockets` gets it, as __inet_lookup_listener(), inet6_lookup_listener()
// and compute_score() decide: the exact address before the wildcard, then the
// bound device, then for IPv4 an AF_INET socket before an AF_INET6 one. Sockets of
// other ports and states are passed over. All are of one namespace, outside VRFs.
[[nodiscard]] Receivers tcp_receivers(std::span<const model::Socket* const> sockets,
                                      const Packet& packet);

// The same by __udp4_lib_lookup(), __udp6_lib_lookup() and their compute_score(),
// where a connected socket comes first. `sockets` in the kernel's order: of equals
// the first one receives.
[[nodiscard]] Receivers udp_receivers(std::span<const model::Socket* const> sockets,
                                      const Packet& packet);

// Both in one reuseport group, as reuseport_add_sock() forms them.
[[nodiscard]] bool in_one_group(const model::Socket& a, const model::Socket& b);

} // namespace bindlens::audit
