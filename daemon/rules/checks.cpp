// What __inet_bind(), __inet6_bind() and inet_listen() check before the port
// table is asked, in the kernel's order: it decides which errno wins.

#include "tables.h"

#include <algorithm>
#include <cerrno>

namespace bindlens::rules {

using model::Address;
using model::Family;
using model::Rule;
using model::SocketFlag;

void refuse(Verdict& out, int error, Rule rule, Path path) {
  out.would_succeed = false;
  out.error = error;
  out.rule = rule;
  out.path = path;
}

namespace {

bool refuse_early(Verdict& out, int error, Rule rule) {
  refuse(out, error, rule, Path::checks);
  return false;
}

void undecided(Verdict& out, std::string what) {
  out.unknown.push_back(std::move(what));
  out.open = true;
}

bool in_prefix(const Address& a, const Route& r) {
  for (unsigned bit = 0; bit < r.length; ++bit) {
    const auto mask = static_cast<uint8_t>(0x80u >> (bit % 8));
    if ((a.bytes[bit / 8] & mask) != (r.prefix.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

const Interface* find_interface(const HostFacts& facts, uint32_t dev) {
  if (!facts.interfaces) return nullptr;
  auto it = std::ranges::find(*facts.interfaces, dev, &Interface::index);
  return it == facts.interfaces->end() ? nullptr : &*it;
}

// inet_addr_type_table(): the longest prefix of one table. Empty: not known.
std::optional<RouteType> address_type(const HostFacts& facts, const Address& a, uint32_t table) {
  if (a.is_wildcard() || a == Address::v4(255, 255, 255, 255)) return RouteType::broadcast;
  if (a.is_multicast()) return RouteType::multicast;
  if (!facts.routes) return std::nullopt;
  const Route* best = nullptr;
  bool table_seen = false;
  for (const Route& r : *facts.routes) {
    if (r.table != table) continue;
    table_seen = true;
    if (in_prefix(a, r) && (best == nullptr || r.length > best->length)) best = &r;
  }
  // A namespace in which no address was ever configured has no local table, and
  // then the kernel takes every address for a broadcast one.
  if (!table_seen) return std::nullopt;
  return best == nullptr ? RouteType::unicast : best->type;
}

} // namespace

std::optional<RouteType> local_type(const HostFacts& facts, const Address& a, uint32_t dev) {
  const Interface* i = find_interface(facts, dev);
  return address_type(facts, a, i != nullptr && i->vrf_table != 0 ? i->vrf_table : local_table);
}

namespace {

bool accepts(RouteType t) {
  return t == RouteType::local || t == RouteType::broadcast || t == RouteType::multicast;
}

bool nonlocal_allowed(const Request& r, const std::optional<bool>& sysctl) {
  return r.flags.has(SocketFlag::freebind) || r.flags.has(SocketFlag::transparent) ||
         sysctl.value_or(false);
}

// inet_addr_valid_or_nonlocal(). The device counts by its VRF alone.
bool v4_address_ok(const Request& r, const HostFacts& facts, const Address& a, uint32_t dev,
                   Verdict& out) {
  if (a.is_wildcard() || nonlocal_allowed(r, facts.nonlocal_bind4)) return true;
  const auto type = local_type(facts, a, dev);
  if (!type) {
    undecided(out, "whether " + to_string(a) + " is an address of this network namespace");
    return true;
  }
  if (accepts(*type)) return true;
  if (!facts.nonlocal_bind4) undecided(out, "the value of net.ipv4.ip_nonlocal_bind");
  return refuse_early(out, EADDRNOTAVAIL, Rule::address_not_local);
}

bool needs_privilege(const Request& r, const HostFacts& facts, Verdict& out) {
  const uint16_t port = r.local.port;
  if (port == 0) return false;
  if (!facts.unprivileged_port_start) {
    constexpr uint16_t usual_start = 1024;
    if (port < usual_start && facts.cap_net_bind_service != true)
      undecided(out, "the value of net.ipv4.ip_unprivileged_port_start");
    return false;
  }
  return port < *facts.unprivileged_port_start;
}

bool privilege_ok(const Request& r, const HostFacts& facts, Verdict& out) {
  if (!needs_privilege(r, facts, out)) return true;
  if (!facts.cap_net_bind_service) {
    undecided(out, "whether the caller has CAP_NET_BIND_SERVICE");
    return true;
  }
  return *facts.cap_net_bind_service || refuse_early(out, EACCES, Rule::privileged_port);
}

bool state_ok(const Request& r, Verdict& out) {
  return !(r.has_port || r.connected) || refuse_early(out, EINVAL, Rule::already_bound);
}

bool check_bind4(const Request& r, const HostFacts& facts, uint32_t dev, Verdict& out) {
  // An AF_INET socket takes an AF_INET address; AF_UNSPEC with 0.0.0.0 counts as
  // one and arrives here as such.
  if (r.local.addr.family != Family::inet)
    return refuse_early(out, EAFNOSUPPORT, Rule::invalid_argument);
  return v4_address_ok(r, facts, r.local.addr, dev, out) && privilege_ok(r, facts, out) &&
         state_ok(r, out);
}

bool device_ok(const HostFacts& facts, uint32_t dev, Verdict& out) {
  if (dev == 0) return true;
  if (!facts.interfaces) {
    undecided(out, "whether the interface with index " + std::to_string(dev) + " exists");
    return true;
  }
  return find_interface(facts, dev) != nullptr || refuse_early(out, ENODEV, Rule::invalid_argument);
}

bool is_link_local(const Address& a) {
  return a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80;
}

// __ipv6_addr_needs_scope_id(): link-local, and multicast of interface or link
// scope.
bool needs_scope(const Address& a) {
  if (a.is_multicast()) return (a.bytes[1] & 0x0f) == 1 || (a.bytes[1] & 0x0f) == 2;
  return is_link_local(a);
}

// ipv6_chk_addr(): link-local and loopback addresses belong to their device, the
// others to their VRF.
bool v6_configured(const HostFacts& facts, const Address& a, uint32_t dev) {
  const bool bound_to_dev = a.is_loopback() || is_link_local(a);
  return std::ranges::any_of(*facts.addresses6, [&](const Address6& c) {
    if (c.addr != a || c.tentative) return false;
    if (vrf_of(facts, c.dev) != vrf_of(facts, dev)) return false;
    return dev == 0 || c.dev == dev || !bound_to_dev;
  });
}

bool v6_address_ok(const Request& r, const HostFacts& facts, uint32_t& dev, Verdict& out) {
  const Address& a = r.local.addr;
  if (needs_scope(a)) {
    if (r.scope_id != 0) dev = r.scope_id;
    if (dev == 0) return refuse_early(out, EINVAL, Rule::invalid_argument);
  }
  if (!device_ok(facts, dev, out)) return false;
  if (a.is_multicast() || nonlocal_allowed(r, facts.nonlocal_bind6)) return true;
  if (!facts.addresses6) {
    undecided(out, "whether " + to_string(a) + " is an address of this network namespace");
    return true;
  }
  if (v6_configured(facts, a, dev)) return true;
  if (!facts.nonlocal_bind6) undecided(out, "the value of net.ipv6.ip_nonlocal_bind");
  return refuse_early(out, EADDRNOTAVAIL, Rule::address_not_local);
}

bool check_bind6(const Request& r, const HostFacts& facts, uint32_t& dev, Verdict& out) {
  const Address& a = r.local.addr;
  if (a.family != Family::inet6) return refuse_early(out, EAFNOSUPPORT, Rule::invalid_argument);
  const bool v4_mapped = a.is_v4_mapped();
  if (!v4_mapped && a.is_multicast() && is_tcp(r.proto))
    return refuse_early(out, EINVAL, Rule::invalid_argument);
  // Unlike IPv4: the privilege comes before the address.
  if (!privilege_ok(r, facts, out) || !state_ok(r, out)) return false;
  if (v4_mapped) {
    if (r.flags.has(SocketFlag::v6only)) return refuse_early(out, EINVAL, Rule::invalid_argument);
    return device_ok(facts, dev, out) && v4_address_ok(r, facts, *a.as_v4(), dev, out);
  }
  return a.is_wildcard() || v6_address_ok(r, facts, dev, out);
}

bool check_listen(const Request& r, Verdict& out) {
  if (!is_tcp(r.proto)) return refuse_early(out, EOPNOTSUPP, Rule::invalid_argument);
  return !r.connected || refuse_early(out, EINVAL, Rule::invalid_argument);
}

} // namespace

bool passes_checks(const Request& r, const HostFacts& facts, uint32_t& dev, Verdict& out) {
  switch (r.op) {
  case Operation::bind:
    // mptcp_bind() has no subflow to bind once there is a connection.
    if (r.proto == model::Proto::mptcp && r.connected)
      return refuse_early(out, EINVAL, Rule::already_bound);
    out.unknown = facts.policies;
    return r.family.value_or(r.local.addr.family) == Family::inet ? check_bind4(r, facts, dev, out)
                                                                  : check_bind6(r, facts, dev, out);
  case Operation::listen:
    return check_listen(r, out);
  case Operation::connect:
  case Operation::autobind:
    return true;
  }
  return true;
}

} // namespace bindlens::rules
