// Ports that the kernel hands out by itself.

#include "report.h"

#include <bindlens/rules/wording.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <array>
#include <map>

namespace bindlens::audit {

using model::FindingId;
using model::Severity;
using model::Socket;
using model::SocketFlag;
using rules::PortRange;

namespace {

bool contains(const PortRange& r, uint16_t port) {
  return r.first <= port && port <= r.last;
}

bool is_reserved(const rules::HostFacts& facts, uint16_t port) {
  return std::ranges::any_of(*facts.reserved_ports,
                             [&](const PortRange& r) { return contains(r, port); });
}

bool hands_out(const rules::HostFacts& facts, uint16_t port) {
  return facts.local_port_range && facts.reserved_ports &&
         contains(*facts.local_port_range, port) && !is_reserved(facts, port);
}

std::string range_text(const rules::HostFacts& facts) {
  return std::to_string(facts.local_port_range->first) + "-" +
         std::to_string(facts.local_port_range->last);
}

// --- near exhaustion ----------------------------------------------------------

// Connections whose ports must differ: one source address to one destination.
struct Route {
  uint32_t netns = 0;
  model::Address from;
  model::Endpoint to;
  bool operator==(const Route&) const = default;
};

size_t hash_value(const Route& r) {
  uint64_t h = r.netns * 0x9e3779b97f4a7c15u ^ r.to.port;
  for (size_t i = 0; i < r.from.bytes.size(); ++i)
    h = (h ^ r.from.bytes[i] ^ uint64_t{r.to.addr.bytes[i]} << 8) * 0x100000001b3u;
  return static_cast<size_t>(h ^ h >> 32);
}

struct Use {
  uint32_t ports = 0;
  const Socket* example = nullptr;
};

// Ports of one namespace that no connect, or no UDP socket, can get.
struct Taken {
  uint32_t tcp = 0, udp = 0;
  const Socket* tcp_example = nullptr;
  const Socket* udp_example = nullptr;
};

struct RouteHash {
  size_t operator()(const Route& r) const { return hash_value(r); }
};

class Census {
 public:
  explicit Census(Report& report) : report_(report) {}

  void count(const model::Bucket& bucket) {
    if (bucket.sockets.empty()) return;
    const rules::HostFacts& facts = facts_of(bucket.netns);
    if (!hands_out(facts, bucket.port)) return;
    Taken& taken = taken_[bucket.netns];
    if (!is_tcp(bucket)) {
      if (bucket.proto != model::Proto::udp) return;
      ++taken.udp;
      taken.udp_example = &bucket.sockets.front();
    } else if (bucket.fastreuse >= 0 || bucket.fastreuseport >= 0) {
      // __inet_hash_connect() passes over a port that somebody has bound.
      ++taken.tcp;
      taken.tcp_example = &bucket.sockets.front();
    } else {
      count_routes(bucket);
    }
  }

  void tell() {
    for (const auto& [netns, taken] : taken_) {
      if (taken.udp_example != nullptr) tell_udp(netns, taken);
      if (taken.tcp_example != nullptr) tell_bound(netns, taken);
    }
    for (const auto& [route, use] : routes_)
      tell_route(route, use);
  }

 private:
  void count_routes(const model::Bucket& bucket) {
    for (const Socket& s : bucket.sockets) {
      if (s.peer.port == 0) continue;
      Use& use = routes_[{bucket.netns, s.local.addr, s.peer}];
      ++use.ports;
      use.example = &s;
    }
  }

  const rules::HostFacts& facts_of(uint32_t netns) {
    if (last_facts_ == nullptr || last_netns_ != netns) {
      last_facts_ = &report_.facts(netns);
      last_netns_ = netns;
    }
    return *last_facts_;
  }

  uint32_t capacity(uint32_t netns) {
    auto [it, fresh] = capacity_.try_emplace(netns, 0);
    if (!fresh) return it->second;
    const rules::HostFacts& facts = facts_of(netns);
    for (uint32_t p = facts.local_port_range->first; p <= facts.local_port_range->last; ++p)
      it->second += is_reserved(facts, static_cast<uint16_t>(p)) ? 0 : 1;
    return it->second;
  }

  static std::optional<Severity> severity(uint32_t used, uint32_t of) {
    if (uint64_t{used} * 100 >= uint64_t{of} * 95) return Severity::critical;
    if (uint64_t{used} * 100 >= uint64_t{of} * 80) return Severity::warning;
    return std::nullopt;
  }

  void tell_route(const Route& route, const Use& use) {
    const uint32_t bound = taken_[route.netns].tcp;
    const uint32_t used = use.ports + bound;
    const auto how = severity(used, capacity(route.netns));
    // Without this destination it would be full as well: told once, of the namespace.
    if (!how || severity(bound, capacity(route.netns))) return;
    const std::string to = to_string(route.to);
    const std::string of = std::to_string(used) + " of " + std::to_string(capacity(route.netns));
    report_.add(
        {.id = FindingId::ephemeral_near_exhaustion,
         .severity = *how,
         .summary =
             of + " ephemeral ports from " + to_string(route.from) + " to " + to + " are in use",
         .detail = "When none is left, connect to " + to + " fails with EADDRNOTAVAIL. " +
                   rules::count_of(use.ports, "port") +
                   " belong to connections, TIME_WAIT "
                   "included, and " +
                   std::to_string(bound) + " to sockets that were bound.",
         .advice = {"keep connections open and use them again: each one that is closed on this "
                    "side keeps its port for 60 s",
                    "connect from, or to, another address: ports are counted per destination",
                    "widen net.ipv4.ip_local_port_range (" + range_text(facts_of(route.netns)) +
                        ")"},
         .about = "tcp " + to_string(route.from) + " to " + to},
        {use.example});
  }

  void tell_bound(uint32_t netns, const Taken& t) {
    const auto how = severity(t.tcp, capacity(netns));
    if (!how) return;
    report_.add(
        {.id = FindingId::ephemeral_near_exhaustion,
         .severity = *how,
         .summary = std::to_string(t.tcp) + " of " + std::to_string(capacity(netns)) +
                    " ephemeral tcp ports are bound",
         .detail = "connect passes over a port that a socket has bound, whatever the "
                   "destination; when none is left, connect fails with EADDRNOTAVAIL and "
                   "bind without a port with EADDRINUSE.",
         .advice = {"set IP_BIND_ADDRESS_NO_PORT in programs that bind an address and then "
                    "connect",
                    "widen net.ipv4.ip_local_port_range (" + range_text(facts_of(netns)) + ")"},
         .about = "tcp ephemeral"},
        {t.tcp_example});
  }

  void tell_udp(uint32_t netns, const Taken& t) {
    const auto how = severity(t.udp, capacity(netns));
    if (!how) return;
    report_.add(
        {.id = FindingId::ephemeral_near_exhaustion,
         .severity = *how,
         .summary = std::to_string(t.udp) + " of " + std::to_string(capacity(netns)) +
                    " ephemeral udp ports are in use",
         .detail = "A UDP port serves one socket, whatever the destination; when none is "
                   "left, sending from a new socket fails with EAGAIN.",
         .advice = {"send from one socket to many destinations",
                    "widen net.ipv4.ip_local_port_range (" + range_text(facts_of(netns)) + ")"},
         .about = "udp ephemeral"},
        {t.udp_example});
  }

  Report& report_;
  boost::unordered_flat_map<Route, Use, RouteHash> routes_;
  std::map<uint32_t, Taken> taken_;
  std::map<uint32_t, uint32_t> capacity_;
  const rules::HostFacts* last_facts_ = nullptr;
  uint32_t last_netns_ = 0;
};

} // namespace

void find_ephemeral_overlap(Report& report, const model::Bucket& bucket) {
  Sockets services;
  for (const Socket* s : reachable(bucket))
    if (s->is(SocketFlag::port_locked)) services.push_back(s);
  if (services.empty()) return;
  const rules::HostFacts& facts = report.facts(bucket.netns);
  if (!hands_out(facts, bucket.port)) return;
  const bool tcp = is_tcp(bucket);
  const std::string port = std::to_string(bucket.port);
  report.add({.id = FindingId::ephemeral_overlap,
              .severity = tcp ? Severity::warning : Severity::info,
              .summary = place(*services.front()) + " of " + report.who(services) +
                         " lies inside " + range_text(facts) + " and is not reserved",
              .detail = std::string("The kernel gives ports of this range to ") +
                        (tcp ? "outgoing connections" : "sockets that send without a port") +
                        ". While the service is down for a restart one of them can get " + port +
                        ", and the bind fails with EADDRINUSE until it is closed.",
              .advice = {"add " + port + " to net.ipv4.ip_local_reserved_ports",
                         "use a port outside " + range_text(facts)}},
             services);
}

void find_exhaustion(Report& report) {
  Census census(report);
  for (const model::Bucket& bucket : report.input().view->buckets)
    if (bucket.l3mdev == 0) census.count(bucket);
  census.tell();
}

} // namespace bindlens::audit
