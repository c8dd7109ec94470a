// Ports that the kernel chooses: bind to port 0, listen without a bind, UDP
// autobind (udp_lib_get_port(), inet_csk_find_open_port()) and connect
// (__inet_hash_connect()). Which free port it takes is random; whether there is
// one is not.

#include "tables.h"

#include <algorithm>
#include <cerrno>

namespace bindlens::rules {

using model::Bucket;
using model::Rule;
using model::Socket;
using model::SocketFlag;

PortRange effective_range(PortRange host, PortRange own, const Variants& v) {
  if (!v.socket_port_range) return host;
  auto inside = [&](uint16_t p) { return p != 0 && host.first <= p && p <= host.last; };
  if (inside(own.first)) host.first = own.first;
  if (inside(own.last)) host.last = own.last;
  return host;
}

// Both searches go through the odd and the even offsets in turn and stop after
// an even number of ports. With an odd number of them the last port is an even
// offset too many: it is visited when the walk did not begin at offset 0, which
// is then left out itself.
Visit visits(PortRange range, uint16_t port) {
  if (port < range.first || port > range.last) return Visit::never;
  const uint32_t ports = uint32_t(range.last) - range.first + 1;
  if (ports == 1 || ports % 2 == 0) return Visit::always;
  const bool at_end = port == range.last;
  if (ports == 3) return at_end ? Visit::never : Visit::always;
  return at_end || port == range.first ? Visit::by_chance : Visit::always;
}

// With SO_REUSEADDR the lower half of the range is searched before the upper.
Visit bind_visits(PortRange range, uint16_t port, bool halves) {
  const uint32_t ports = uint32_t(range.last) - range.first + 1;
  if (!halves || ports < 4) return visits(range, port);
  const auto half = static_cast<uint16_t>(range.first + ((ports >> 2) << 1));
  return port < half ? visits({range.first, static_cast<uint16_t>(half - 1)}, port)
                     : visits({half, range.last}, port);
}

namespace {

bool is_reserved(const HostFacts& facts, uint16_t port) {
  return facts.reserved_ports &&
         std::ranges::any_of(*facts.reserved_ports, [port](const PortRange& r) {
           return r.first <= port && port <= r.last;
         });
}

// Buckets of the walk by port, for the asker's namespace and VRF.
template <typename Wanted>
std::vector<std::vector<const Bucket*>> by_port(const model::PortView& view, PortRange range,
                                                Wanted wanted) {
  std::vector<std::vector<const Bucket*>> out(size_t(range.last) - range.first + 1);
  for (const Bucket& b : view.buckets)
    if (wanted(b) && b.port >= range.first && b.port <= range.last)
      out[b.port - range.first].push_back(&b);
  return out;
}

// What keeps the kernel from taking a port.
struct Taken {
  bool taken = false;
  bool by_bind = false;       // connect() passes over the port whatever the destination
  const Socket* by = nullptr; // who refuses, or closed the port to connect(); null = gone
};

// Goes through the range and tells what is found: `taken(port)` says what keeps
// the kernel from taking it.
template <typename TakenBy, typename Visits>
void search(Verdict& out, PortRange range, const HostFacts& facts, int error, Doubt doubt,
            TakenBy taken, Visits visit) {
  out.search.ports = range;
  out.search.range = uint32_t(range.last) - range.first + 1;
  out.path = Path::search;
  bool by_chance = false;
  for (uint32_t p = range.first; p <= range.last; ++p) {
    const auto port = static_cast<uint16_t>(p);
    if (is_reserved(facts, port)) {
      ++out.search.reserved;
    } else if (const Taken held = taken(port); held.taken) {
      ++out.search.taken;
      out.search.bound += held.by_bind;
      if (held.by != nullptr) out.search.holders.push_back({held.by, held.by_bind});
    } else if (visit(port) == Visit::always) {
      out.would_succeed = true;
      return;
    } else {
      ++out.search.passed_over;
      by_chance = by_chance || visit(port) == Visit::by_chance;
    }
  }
  by_chance = by_chance && doubt == Doubt::for_the_call;
  if (by_chance) {
    out.unknown.emplace_back("where in the range the kernel's random search begins: the only free "
                             "port is not visited every time");
    out.open = true;
    out.would_succeed = true;
    return;
  }
  const bool all_reserved = out.search.reserved == out.search.range;
  refuse(out, error, all_reserved ? Rule::reserved_port : Rule::ephemeral_exhausted, Path::search);
}

// The range to search, or none: then the answer is open.
std::optional<PortRange> range_of(Verdict& out, const Request& r, const HostFacts& facts,
                                  const Variants& v) {
  if (facts.local_port_range && facts.reserved_ports)
    return effective_range(*facts.local_port_range, r.own_range, v);
  out.unknown.emplace_back(facts.local_port_range ? "the value of net.ipv4.ip_local_reserved_ports"
                                                  : "the value of net.ipv4.ip_local_port_range");
  out.open = true;
  out.would_succeed = true;
  out.path = Path::search;
  return std::nullopt;
}

using Buckets = std::vector<const Bucket*>;

// One explicit binder, on whatever address, closes the port to connect().
bool closed_to_connect(const Buckets& buckets) {
  return std::ranges::any_of(
      buckets, [](const Bucket* b) { return b->fastreuse >= 0 || b->fastreuseport >= 0; });
}

// Who closed it: one that asked for the port or listens before one that connected.
const Socket* closer(const Buckets& buckets) {
  const Socket* any = nullptr;
  for (const Bucket* b : buckets) {
    if (b->fastreuse < 0 && b->fastreuseport < 0) continue;
    for (const Socket& h : b->sockets) {
      if (h.is(SocketFlag::port_locked) || h.is(SocketFlag::addr_locked)) return &h;
      if (any == nullptr || h.state == model::State::listen) any = &h;
    }
  }
  return any;
}

// The first that `refuses(bucket)` gives.
template <typename Refuses>
Taken taken_by(const Buckets& buckets, Refuses refuses) {
  for (const Bucket* b : buckets)
    if (const Socket* h = refuses(*b)) return {true, closed_to_connect(buckets), h};
  return {};
}

const Socket* tcp_refuser(const Asker& a, const Bucket& b, Strictness s, const Variants& v) {
  const auto h = std::ranges::find_if(b.sockets, [&](const Socket& holder) {
    return tcp_conflict(a, holder, s, v) && tcp_candidate(a, b, holder, v);
  });
  return h == b.sockets.end() ? nullptr : &*h;
}

} // namespace

void choose_tcp_port(Verdict& out, const Request& r, const Asker& a, const model::PortView& view,
                     const HostFacts& facts, const Variants& v, Doubt doubt) {
  const auto range = range_of(out, r, facts, v);
  if (!range) return;
  const auto buckets = by_port(view, *range, [&](const Bucket& b) {
    return is_tcp(b.proto) && b.netns == a.netns && b.l3mdev == a.l3mdev;
  });
  const bool halves = a.reuseaddr && !a.forced;
  auto pass = [&](Strictness s) {
    out.search = {};
    search(
        out, *range, facts, EADDRINUSE, doubt,
        [&](uint16_t port) {
          return taken_by(buckets[port - range->first],
                          [&](const Bucket& b) { return tcp_refuser(a, b, s, v); });
        },
        [&](uint16_t port) { return bind_visits(*range, port, halves); });
  };
  pass(Strictness::chosen);
  if (out.would_succeed || !facts.autobind_reuse.value_or(false)) return;
  pass(Strictness::chosen_relaxed);
  if (out.would_succeed) {
    out.error = 0;
    out.rule = Rule::none;
  }
}

void choose_udp_port(Verdict& out, const Request& r, const Asker& a, const model::PortView& view,
                     const HostFacts& facts, const Variants& v) {
  const auto range = range_of(out, r, facts, v);
  if (!range) return;
  std::vector<const Socket*> taken(size_t(range->last) - range->first + 1);
  for (const Bucket& b : view.buckets) {
    if (b.proto != r.proto) continue;
    for (const Socket& h : b.sockets)
      if (h.netns == a.netns && h.local.port >= range->first && h.local.port <= range->last &&
          udp_holder_refuses(a, h, v))
        taken[h.local.port - range->first] = &h;
  }
  search(
      out, *range, facts, r.op == Operation::bind ? EADDRINUSE : EAGAIN, Doubt::for_the_call,
      [&](uint16_t port) {
        const Socket* by = taken[port - range->first];
        return Taken{by != nullptr, false, by};
      },
      [](uint16_t) { return Visit::always; });
}

namespace {

// Where a connection to "any" goes: tcp_v4_connect() takes the own address, or
// 127.0.0.1 without one, and tcp_v6_connect() takes ::1.
BoundAddress destination(const Request& r, const Asker& a) {
  const model::Address& to = r.peer.addr;
  if (!to.is_wildcard()) return bound_address(to, false);
  if (to.as_v4())
    return a.addr.specific() ? a.addr : bound_address(model::Address::v4(127, 0, 0, 1), false);
  model::Address loopback = to;
  loopback.bytes.back() = 1;
  return bound_address(loopback, false);
}

// inet_match(): the same two ends, and a device that does not tell them apart.
bool same_tuple(const Request& r, const Asker& a, const HostFacts& facts, const Socket& h,
                uint16_t port) {
  if (h.state == model::State::listen || h.state == model::State::bound) return false;
  if (h.id == a.self && a.self != 0) return false;
  if (h.local.port != port || h.netns != a.netns || h.peer.port != r.peer.port) return false;
  if (!same_address(bound_address(h.peer.addr, false), destination(r, a))) return false;
  // ::ffff:0.0.0.0 stays what it is on the way to an IPv6 address.
  const bool source_known = a.addr.specific() || (a.addr.mapped && !r.peer.addr.as_v4());
  if (source_known && !same_address(bound_address(h), a.addr)) return false;
  const uint32_t vrf = vrf_of(facts, a.dev);
  if (h.dev == 0) return vrf == 0 || facts.tcp_l3mdev_accept.value_or(false);
  return h.dev == a.dev || (vrf != 0 && h.dev == vrf);
}

// tcp_twsk_unique(), for a port that the kernel looks for: net.ipv4.tcp_tw_reuse forbids it,
// whatever the connection was. Without a device "loopback" goes by the addresses.
bool never_reused(const Request& r, const HostFacts& facts, const Socket& h) {
  if (r.local.port != 0 || !facts.tcp_tw_reuse) return false;
  if (*facts.tcp_tw_reuse == 0) return true;
  const auto loopback = [](const model::Address& address) {
    const auto v4 = address.as_v4();
    return v4 ? v4->is_loopback() : address.is_loopback();
  };
  return *facts.tcp_tw_reuse == 2 && h.dev == 0 && r.dev == 0 && !loopback(h.local.addr) &&
         !loopback(h.peer.addr);
}

// What stands against a connection from `port`: one with the same tuple.
const Socket* tuple_holder(Verdict& out, const Request& r, const Asker& a, const HostFacts& facts,
                           const Bucket& b, uint16_t port, Doubt doubt) {
  for (const Socket& h : b.sockets) {
    if (!same_tuple(r, a, facts, h, port)) continue;
    if (in_time_wait(h) && doubt == Doubt::for_the_call && !never_reused(r, facts, h)) {
      if (!out.open)
        out.unknown.emplace_back("whether a TIME_WAIT connection of the same addresses and ports "
                                 "may be reused (it may when both ends used TCP timestamps)");
      out.open = true;
      continue;
    }
    if (!a.addr.specific()) {
      if (!out.open) out.unknown.emplace_back("the source address that routing will choose");
      out.open = true;
    }
    return &h;
  }
  return nullptr;
}

// __inet_bind() leaves the source of a socket open that is bound to a broadcast or multicast
// address: routing chooses it.
Asker with_source(const Request& r, Asker a, const HostFacts& facts) {
  if (r.local.addr.family != model::Family::inet) return a;
  const auto type = local_type(facts, r.local.addr, r.dev);
  if (type == RouteType::broadcast || type == RouteType::multicast)
    a.addr = bound_address(model::Address::any(model::Family::inet), false);
  return a;
}

void connect_bound(Verdict& out, const Request& r, const Asker& a, const model::PortView& view,
                   const HostFacts& facts, Doubt doubt) {
  for (const Bucket& b : view.buckets) {
    if (!is_tcp(b.proto) || b.netns != a.netns || b.port != r.local.port) continue;
    const Socket* h = tuple_holder(out, r, a, facts, b, r.local.port, doubt);
    if (h == nullptr) continue;
    refuse(out, EADDRNOTAVAIL, Rule::tuple_in_use, Path::holders);
    out.blockers.push_back({.socket = h, .bucket = &b, .rule = Rule::tuple_in_use});
    return;
  }
  out.would_succeed = true;
  out.path = Path::holders;
}

} // namespace

void connect_tcp(Verdict& out, const Request& r, const Asker& asker, const model::PortView& view,
                 const HostFacts& facts, const Variants& v, Doubt doubt) {
  const Asker a = with_source(r, asker, facts);
  if (r.local.port != 0) return connect_bound(out, r, a, view, facts, doubt);
  const auto range = range_of(out, r, facts, v);
  if (!range) return;
  const auto buckets = by_port(view, *range, [&](const Bucket& b) {
    return is_tcp(b.proto) && b.netns == a.netns && b.l3mdev == a.l3mdev;
  });
  const bool own = r.own_range.first != 0 || r.own_range.last != 0;
  search(
      out, *range, facts, EADDRNOTAVAIL, doubt,
      [&](uint16_t port) {
        const Buckets& held = buckets[port - range->first];
        if (closed_to_connect(held)) return Taken{true, true, closer(held)};
        return taken_by(
            held, [&](const Bucket& b) { return tuple_holder(out, r, a, facts, b, port, doubt); });
      },
      [&](uint16_t port) {
        return own && v.socket_range_scans_all ? Visit::always : visits(*range, port);
      });
}

} // namespace bindlens::rules
