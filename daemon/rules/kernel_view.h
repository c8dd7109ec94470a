#pragma once

// Requests and holders reduced to what the kernel's comparisons read, so that
// the rules below can be held against the kernel's functions line by line.

#include <bindlens/rules/engine.h>

namespace bindlens::rules {

// sk_v6_rcv_saddr, sk_rcv_saddr and sk_ipv6only of a socket.
struct BoundAddress {
  model::Family family = model::Family::inet;
  std::array<uint8_t, 16> v6{}; // IPv4: as mapped
  uint32_t v4 = 0;              // network byte order; IPv6: what the kernel keeps in its place
  bool v6only = false;
  bool v6_zero = false; // IPv6 and ::
  bool mapped = false;  // IPv6 and ::ffff:0:0/96

  [[nodiscard]] bool v6_any() const { return family == model::Family::inet6 && v6_zero; }
  [[nodiscard]] bool v4_like() const { return family == model::Family::inet || mapped; }
  // Neither 0.0.0.0 nor :: nor ::ffff:0.0.0.0.
  [[nodiscard]] bool specific() const { return v4_like() ? v4 != 0 : !v6_zero; }
};

[[nodiscard]] BoundAddress bound_address(const model::Address& a, bool v6only);
[[nodiscard]] BoundAddress bound_address(const model::Socket& s);

// inet_rcv_saddr_equal() with its two wildcard switches, as sk_reuseport_match()
// needs them apart.
[[nodiscard]] bool addresses_overlap(const BoundAddress& a, const BoundAddress& b,
                                     bool a_matches_all = true, bool b_matches_all = true);
// The same address, whatever family it is written in.
[[nodiscard]] bool same_address(const BoundAddress& a, const BoundAddress& b);

// The requesting socket at the moment it reaches the port table.
struct Asker {
  BoundAddress addr;
  model::SocketId self = 0;
  uint32_t uid = 0;
  uint32_t dev = 0;
  uint32_t netns = 0;
  uint32_t l3mdev = 0;
  bool reuseaddr = false; // sk_reuse != 0
  bool forced = false;    // SK_FORCE_REUSE
  bool reuseport = false;
  bool has_group = false; // sk_reuseport_cb
  bool group_ok = true;   // no group, or one with closed sockets in it
  bool listening = false; // sk_state == TCP_LISTEN
};

[[nodiscard]] inline bool devices_overlap(const Asker& a, const model::Socket& h) {
  return a.dev == 0 || h.dev == 0 || a.dev == h.dev;
}

// The uid that the reuseport rule compares for a holder.
[[nodiscard]] inline uint32_t holder_uid(const model::Socket& h, const Variants& v) {
  if (v.reuseport_uid == Variants::Uid::own) return h.uid;
  return h.is(model::SocketFlag::orphan) ? 0 : h.inode_uid;
}

[[nodiscard]] inline bool in_time_wait(const model::Socket& h) {
  return h.is(model::SocketFlag::timewait) || h.state == model::State::time_wait;
}

[[nodiscard]] inline bool is_tcp(model::Proto p) {
  return p == model::Proto::tcp || p == model::Proto::mptcp;
}

// Asker of a request that passed the checks; `dev` may have been replaced by
// the scope of a link-local address.
[[nodiscard]] Asker make_asker(const Request& r, const HostFacts& facts, uint32_t dev);

// The VRF of a device, as l3mdev_master_ifindex_by_index().
[[nodiscard]] uint32_t vrf_of(const HostFacts& facts, uint32_t dev);

} // namespace bindlens::rules
