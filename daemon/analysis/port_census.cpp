#include <bindlens/analysis/port_census.h>

#include <algorithm>
#include <bit>

namespace bindlens::analysis {

using model::Bucket;
using model::Socket;
using model::SocketFlag;
using model::State;
using rules::PortRange;

namespace {

bool contains(const PortRange& r, uint16_t port) {
  return r.first <= port && port <= r.last;
}

bool in_any(const std::vector<PortRange>& ranges, uint16_t port) {
  return std::ranges::any_of(ranges, [&](const PortRange& r) { return contains(r, port); });
}

model::Address as_compared(const model::Address& a) {
  return a.as_v4().value_or(a);
}

bool is_loopback(const model::Address& a) {
  return as_compared(a).is_loopback();
}

NamespaceUse empty_use(const rules::HostFacts& facts) {
  NamespaceUse use;
  if (!facts.local_port_range || !facts.reserved_ports) return use;
  use.known = true;
  use.range = *facts.local_port_range;
  use.reserved = holes(use.range, *facts.reserved_ports);
  use.ports = uint32_t{use.range.last} - use.range.first + 1;
  for (const PortRange& hole : use.reserved)
    use.ports -= uint32_t{hole.last} - hole.first + 1;
  return use;
}

bool is_tcp(const Bucket& b) {
  return b.proto == model::Proto::tcp || b.proto == model::Proto::mptcp;
}

class Counter {
 public:
  Counter(Census& census, const FactsOf& facts) : census_(census), facts_(facts) {}

  NamespaceUse& look_at(uint32_t netns) {
    if (use_ != nullptr && netns_ == netns) return *use_;
    host_ = &facts_(netns);
    netns_ = netns;
    const auto [it, fresh] = census_.namespaces.try_emplace(netns);
    if (fresh) it->second = empty_use(*host_);
    use_ = &it->second;
    return *use_;
  }

  void count(const Bucket& b) {
    if (b.sockets.empty()) return;
    NamespaceUse& use = look_at(b.netns);
    if (!use.gives_out(b.port)) return;
    if (is_tcp(b)) {
      count_state(use, b);
      count_reach(use, b);
    } else if (b.proto == model::Proto::udp) {
      ++use.udp;
      use.udp_example = &b.sockets.front();
    }
  }

 private:
  static void count_state(NamespaceUse& use, const Bucket& b) {
    bool listening = false;
    bool bound = false;
    bool live = false;
    for (const Socket& s : b.sockets) {
      const bool gone = s.is(SocketFlag::timewait);
      listening = listening || s.state == State::listen;
      bound = bound || (!gone && (s.peer.port == 0 || s.is(SocketFlag::port_locked)));
      live = live || !gone;
    }
    ++(listening ? use.listening : bound ? use.bound : live ? use.connected : use.time_wait);
  }

  // __inet_hash_connect() passes over a port that somebody has bound; else the
  // port is free for all destinations but those that it is connected to.
  void count_reach(NamespaceUse& use, const Bucket& b) {
    if (b.fastreuse >= 0 || b.fastreuseport >= 0) {
      ++use.closed_to_connect;
      use.closed_example = &b.sockets.front();
      return;
    }
    for (const Socket& s : b.sockets) {
      if (s.peer.port == 0) continue;
      RouteUse& route = census_.routes[route_of(s)];
      route.example = &s;
      if (!s.is(SocketFlag::timewait)) {
        ++route.connections;
        continue;
      }
      ++route.time_wait;
      route.reusable += is_reusable(s, *host_) ? 1 : 0;
    }
  }

  Census& census_;
  const FactsOf& facts_;
  // Of the last namespace: neighbours are often of one.
  const rules::HostFacts* host_ = nullptr;
  NamespaceUse* use_ = nullptr;
  uint32_t netns_ = 0;
};

} // namespace

std::vector<PortRange> holes(PortRange range, std::vector<PortRange> reserved) {
  std::ranges::sort(reserved, {}, &PortRange::first);
  std::vector<PortRange> out;
  for (PortRange r : reserved) {
    r.first = std::max(r.first, range.first);
    r.last = std::min(r.last, range.last);
    if (r.first > r.last) continue;
    if (!out.empty() && r.first <= uint32_t{out.back().last} + 1)
      out.back().last = std::max(out.back().last, r.last);
    else
      out.push_back(r);
  }
  return out;
}

bool gives_out(const rules::HostFacts& facts, uint16_t port) {
  return facts.local_port_range && facts.reserved_ports &&
         contains(*facts.local_port_range, port) && !in_any(*facts.reserved_ports, port);
}

bool NamespaceUse::gives_out(uint16_t port) const {
  return known && contains(range, port) && !in_any(reserved, port);
}

std::optional<model::Severity> fullness(uint32_t used, uint32_t of) {
  if (of == 0) return std::nullopt;
  if (uint64_t{used} * 100 >= uint64_t{of} * 95) return model::Severity::critical;
  if (uint64_t{used} * 100 >= uint64_t{of} * 80) return model::Severity::warning;
  return std::nullopt;
}

Route route_of(const Socket& s) {
  return {s.netns, as_compared(s.local.addr), {as_compared(s.peer.addr), s.peer.port}};
}

size_t RouteHash::operator()(const Route& r) const {
  using Words = std::array<uint64_t, 2>;
  const auto [from_high, from_low] = std::bit_cast<Words>(r.from.bytes);
  const auto [to_high, to_low] = std::bit_cast<Words>(r.to.addr.bytes);
  uint64_t h = uint64_t{r.netns} << 16 | r.to.port;
  for (const uint64_t word : {from_high, from_low, to_high, to_low}) {
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
  }
  return static_cast<size_t>(h);
}

bool is_reusable(const Socket& s, const rules::HostFacts& facts) {
  if (!s.is(SocketFlag::timewait) || s.tw_substate != State::time_wait) return false;
  const uint32_t policy = facts.tcp_tw_reuse.value_or(0);
  if (policy == 0) return false;
  if (policy == 2 && !is_loopback(s.local.addr) && !is_loopback(s.peer.addr)) return false;
  // TCP_TIMEWAIT_LEN, of which a second has to be over.
  constexpr uint32_t young_ms = 59'000;
  return s.tw_left_ms != 0 && s.tw_left_ms <= young_ms;
}

uint32_t Census::used(const Route& route, const RouteUse& use) const {
  const auto found = namespaces.find(route.netns);
  return use.ports() + (found == namespaces.end() ? 0 : found->second.closed_to_connect);
}

Census count_ports(const model::PortView& view, const FactsOf& facts,
                   const std::vector<uint32_t>& also) {
  Census census;
  Counter counter(census, facts);
  for (const uint32_t netns : also)
    counter.look_at(netns);
  for (const Bucket& b : view.buckets)
    if (b.l3mdev == 0) counter.count(b);
  return census;
}

} // namespace bindlens::analysis
