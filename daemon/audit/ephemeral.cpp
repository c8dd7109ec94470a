// Ports that the kernel hands out by itself.

#include "report.h"

#include <bindlens/analysis/port_census.h>
#include <bindlens/rules/wording.h>

#include <map>

namespace bindlens::audit {

using analysis::Census;
using analysis::fullness;
using analysis::NamespaceUse;
using model::FindingId;
using model::Severity;
using model::Socket;
using model::SocketFlag;

namespace {

std::string range_text(rules::PortRange range) {
  return std::to_string(range.first) + "-" + std::to_string(range.last);
}

// --- near exhaustion ----------------------------------------------------------

class Exhaustion {
 public:
  Exhaustion(Report& report, const Census& census) : report_(report), census_(census) {}

  void tell() {
    for (const auto& [netns, use] : census_.namespaces) {
      if (use.udp_example != nullptr) tell_udp(use);
      if (use.closed_example != nullptr) tell_bound(use);
    }
    for (const auto& [route, use] : census_.routes)
      tell_route(route, use);
  }

 private:
  void tell_route(const analysis::Route& route, const analysis::RouteUse& use) {
    const NamespaceUse& all = census_.namespaces.at(route.netns);
    const uint32_t used = census_.used(route, use);
    const auto how = fullness(used, all.ports);
    // Without this destination it would be full as well: told once, of the namespace.
    if (!how || fullness(all.closed_to_connect, all.ports)) return;
    const std::string to = to_string(route.to);
    const std::string of = std::to_string(used) + " of " + std::to_string(all.ports);
    report_.add(
        {.id = FindingId::ephemeral_near_exhaustion,
         .severity = *how,
         .summary =
             of + " ephemeral ports from " + to_string(route.from) + " to " + to + " are in use",
         .detail = "When none is left, connect to " + to + " fails with EADDRNOTAVAIL. " +
                   rules::count_of(use.ports(), "port") +
                   " belong to connections, TIME_WAIT "
                   "included, and " +
                   std::to_string(all.closed_to_connect) + " to sockets that were bound.",
         .advice = {"keep connections open and use them again: each one that is closed on this "
                    "side keeps its port for 60 s",
                    "connect from, or to, another address: ports are counted per destination",
                    "widen net.ipv4.ip_local_port_range (" + range_text(all.range) + ")"},
         .about = "tcp " + to_string(route.from) + " to " + to},
        {use.example});
  }

  void tell_bound(const NamespaceUse& use) {
    const auto how = fullness(use.closed_to_connect, use.ports);
    if (!how) return;
    report_.add({.id = FindingId::ephemeral_near_exhaustion,
                 .severity = *how,
                 .summary = std::to_string(use.closed_to_connect) + " of " +
                            std::to_string(use.ports) + " ephemeral tcp ports are bound",
                 .detail = "connect passes over a port that a socket has bound, whatever the "
                           "destination; when none is left, connect fails with EADDRNOTAVAIL and "
                           "bind without a port with EADDRINUSE.",
                 .advice = {"set IP_BIND_ADDRESS_NO_PORT in programs that bind an address and then "
                            "connect",
                            "widen net.ipv4.ip_local_port_range (" + range_text(use.range) + ")"},
                 .about = "tcp ephemeral"},
                {use.closed_example});
  }

  void tell_udp(const NamespaceUse& use) {
    const auto how = fullness(use.udp, use.ports);
    if (!how) return;
    report_.add({.id = FindingId::ephemeral_near_exhaustion,
                 .severity = *how,
                 .summary = std::to_string(use.udp) + " of " + std::to_string(use.ports) +
                            " ephemeral udp ports are in use",
                 .detail = "A UDP port serves one socket, whatever the destination; when none is "
                           "left, sending from a new socket fails with EAGAIN.",
                 .advice = {"send from one socket to many destinations",
                            "widen net.ipv4.ip_local_port_range (" + range_text(use.range) + ")"},
                 .about = "udp ephemeral"},
                {use.udp_example});
  }

  Report& report_;
  const Census& census_;
};

} // namespace

void find_ephemeral_overlap(Report& report, const model::Bucket& bucket) {
  Sockets services;
  for (const Socket* s : reachable(bucket))
    if (s->is(SocketFlag::port_locked)) services.push_back(s);
  if (services.empty()) return;
  const rules::HostFacts& facts = report.facts(bucket.netns);
  if (!analysis::gives_out(facts, bucket.port)) return;
  const bool tcp = is_tcp(bucket);
  const std::string port = std::to_string(bucket.port);
  report.add({.id = FindingId::ephemeral_overlap,
              .severity = tcp ? Severity::warning : Severity::info,
              .summary = place(*services.front()) + " of " + report.who(services) +
                         " lies inside " + range_text(*facts.local_port_range) +
                         " and is not reserved",
              .detail = std::string("The kernel gives ports of this range to ") +
                        (tcp ? "outgoing connections" : "sockets that send without a port") +
                        ". While the service is down for a restart one of them can get " + port +
                        ", and the bind fails with EADDRINUSE until it is closed.",
              .advice = {"add " + port + " to net.ipv4.ip_local_reserved_ports",
                         "use a port outside " + range_text(*facts.local_port_range)}},
             services);
}

void find_exhaustion(Report& report) {
  const Census census =
      analysis::count_ports(*report.input().view, [&](uint32_t netns) -> const rules::HostFacts& {
        return report.facts(netns);
      });
  Exhaustion(report, census).tell();
}

} // namespace bindlens::audit
