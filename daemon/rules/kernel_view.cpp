#include "kernel_view.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace bindlens::rules {

using model::Address;
using model::Family;
using model::Relation;
using model::SocketFlag;

namespace {

uint32_t word(const uint8_t* bytes) {
  uint32_t w = 0;
  std::memcpy(&w, bytes, sizeof w);
  return w;
}

// LOOPBACK4_IPV6, 127.0.0.6: the IPv4 address the kernel stores for an IPv6
// socket that has none.
constexpr std::array<uint8_t, 4> ipv6_shadow{127, 0, 0, 6};

} // namespace

BoundAddress bound_address(const Address& a, bool v6only) {
  BoundAddress out;
  out.family = a.family;
  out.v6only = v6only && a.family == Family::inet6;
  if (a.family == Family::inet) {
    out.v6[10] = out.v6[11] = 0xff;
    std::copy_n(a.bytes.begin(), 4, out.v6.begin() + 12);
    out.v4 = word(a.bytes.data());
    return out;
  }
  out.v6 = a.bytes;
  out.v6_zero = std::all_of(a.bytes.begin(), a.bytes.end(), [](uint8_t b) { return b == 0; });
  out.mapped = a.is_v4_mapped();
  if (out.mapped)
    out.v4 = word(a.bytes.data() + 12);
  else if (!out.v6_zero)
    out.v4 = word(ipv6_shadow.data());
  return out;
}

BoundAddress bound_address(const model::Socket& s) {
  return bound_address(s.local.addr, s.is(SocketFlag::v6only));
}

namespace {

bool v4_overlap(const BoundAddress& a, const BoundAddress& b, bool a_all, bool b_all) {
  if (b.v6only) return false;
  return a.v4 == b.v4 || (a_all && a.v4 == 0) || (b_all && b.v4 == 0);
}

} // namespace

bool addresses_overlap(const BoundAddress& a, const BoundAddress& b, bool a_all, bool b_all) {
  // The kernel asks the family of the first socket only: an IPv4 asker meets an
  // IPv6 holder by that one's IPv4 shadow.
  if (a.family == Family::inet) return v4_overlap(a, b, a_all, b_all);
  if (a.mapped && b.v4_like()) return v4_overlap(a, b, a_all, b_all);
  if (a.v6_zero && b.v6_any()) return true;
  if (b.v6_any() && b_all && !(b.v6only && a.mapped)) return true;
  if (a.v6_zero && a_all && !(a.v6only && b.v4_like())) return true;
  return b.family == Family::inet6 && a.v6 == b.v6;
}

bool same_address(const BoundAddress& a, const BoundAddress& b) {
  return a.v6 == b.v6;
}

uint32_t vrf_of(const HostFacts& facts, uint32_t dev) {
  if (dev == 0 || !facts.interfaces) return 0;
  auto it = std::ranges::find(*facts.interfaces, dev, &Interface::index);
  return it == facts.interfaces->end() ? 0 : it->vrf;
}

Asker make_asker(const Request& r, const HostFacts& facts, uint32_t dev) {
  Asker a;
  const Address& at = r.local.addr;
  // __inet6_bind() makes a socket IPv6-only once it is bound to an address that
  // is neither :: nor v4-mapped.
  bool forced_v6only = at.family == Family::inet6 && !at.is_v4_mapped() && !at.is_wildcard() &&
                       r.op == Operation::bind;
  a.addr = bound_address(at, r.flags.has(SocketFlag::v6only) || forced_v6only);
  a.self = r.self;
  a.uid = r.uid;
  a.dev = dev;
  a.netns = r.netns;
  // inet_sk_bound_l3mdev(); UDP has one table for all VRFs.
  a.l3mdev = is_tcp(r.proto) && !facts.tcp_l3mdev_accept.value_or(false) ? vrf_of(facts, dev) : 0;
  a.forced = r.flags.has(SocketFlag::force_reuse);
  a.reuseaddr = a.forced || r.flags.has(SocketFlag::reuseaddr);
  a.reuseport = r.flags.has(SocketFlag::reuseport);
  a.has_group = r.flags.has(SocketFlag::has_group);
  a.group_ok = !a.has_group || r.flags.has(SocketFlag::group_has_closed);
  a.listening = r.op == Operation::listen;
  return a;
}

namespace {

bool v4_like(const Address& a) {
  return a.family == Family::inet || a.is_v4_mapped();
}

} // namespace

Relation relation_of(const Address& holder, const Address& requested) {
  if (holder == requested) return Relation::same;
  auto plain_v6_any = [](const Address& a) { return a.is_wildcard() && !v4_like(a); };
  if ((plain_v6_any(holder) && v4_like(requested)) || (plain_v6_any(requested) && v4_like(holder)))
    return Relation::v6_wildcard_covers_v4;
  if (v4_like(holder) && v4_like(requested) && holder.as_v4() == requested.as_v4())
    return Relation::v4_mapped;
  if (holder.is_wildcard()) return Relation::holder_is_wildcard;
  if (requested.is_wildcard()) return Relation::requester_is_wildcard;
  return Relation::none;
}

} // namespace bindlens::rules
