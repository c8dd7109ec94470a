// One port, several programs: who gets which traffic.

#include "deliveries.h"
#include "programs.h"

#include <bindlens/audit/receivers.h>

#include <algorithm>
#include <array>

namespace bindlens::audit {

using model::Address;
using model::Family;
using model::FindingId;
using model::Severity;
using model::Socket;
using model::SocketFlag;

namespace {

// Multicast reaches every socket, and the protocols of these ports are made for
// many programs: mDNS, LLMNR, SSDP, WS-Discovery.
constexpr std::array<uint16_t, 4> multicast_ports = {5353, 5355, 1900, 3702};

bool is_multicast_port(const model::Bucket& b) {
  return !is_tcp(b) && std::ranges::find(multicast_ports, b.port) != multicast_ports.end();
}

bool devices_overlap(const Socket& a, const Socket& b) {
  return a.dev == 0 || b.dev == 0 || a.dev == b.dev;
}

bool is_v4(const Address& a) {
  return a.family == Family::inet || a.is_v4_mapped();
}

// `wide` is a wildcard that would take what goes to the address of `narrow`.
bool covers(const Socket& wide, const Socket& narrow) {
  const Address& w = wide.local.addr;
  const Address& n = narrow.local.addr;
  if (!w.is_wildcard() || n.is_wildcard() || !devices_overlap(wide, narrow)) return false;
  if (is_v4(w)) return is_v4(n);
  return !is_v4(n) || !wide.is(SocketFlag::v6only);
}

// 127.0.0.53 of a resolver: nobody means another program by it.
bool is_private_loopback(const Address& a) {
  const auto v4 = a.as_v4();
  return v4 && a.is_loopback() && *v4 != Address::v4(127, 0, 0, 1);
}

void keep(Sockets& list, const Socket* s) {
  if (std::ranges::find(list, s) == list.end()) list.push_back(s);
}

// --- wildcard-conflict --------------------------------------------------------

struct Overlap {
  Sockets wide, narrow;
  bool taken_over = false; // by a user who logs in, from another user
};

Overlap overlap_of(Report& report, const Sockets& sockets) {
  Overlap o;
  for (const Socket* wide : sockets)
    for (const Socket* narrow : sockets) {
      if (!covers(*wide, *narrow) || narrow->local.addr.is_multicast()) continue;
      if (!different_programs(report.owner(*wide), report.owner(*narrow))) continue;
      keep(o.wide, wide);
      keep(o.narrow, narrow);
      o.taken_over = o.taken_over || (is_login_user(narrow->uid) && narrow->uid != wide->uid);
    }
  return o;
}

Severity severity_of(const Overlap& o, const model::Bucket& bucket) {
  if (is_multicast_port(bucket)) return Severity::info;
  if (o.taken_over) return Severity::critical;
  const bool harmless = std::ranges::all_of(
      o.narrow, [](const Socket* s) { return is_private_loopback(s->local.addr); });
  return harmless ? Severity::info : Severity::warning;
}

bool find_wildcard_conflict(Report& report, const model::Bucket& bucket, const Sockets& sockets) {
  const Overlap o = overlap_of(report, sockets);
  if (o.wide.empty()) return false;
  const std::string narrow = places(o.narrow);
  const std::string what = is_tcp(bucket) ? "connections" : "datagrams";
  Sockets concerned = o.wide;
  concerned.insert(concerned.end(), o.narrow.begin(), o.narrow.end());
  std::string detail = "What is sent to the address of " + narrow + " reaches " +
                       report.who(o.narrow) + ", everything else " + report.who(o.wide) +
                       "; when the specific one stops, its " + what + " go to the other program.";
  if (o.taken_over)
    detail += " The specific one belongs to " + report.user(o.narrow.front()->uid) +
              ", who takes traffic of " + report.user(o.wide.front()->uid) + ".";
  report.add({.id = FindingId::wildcard_conflict,
              .severity = severity_of(o, bucket),
              .summary = report.who(o.narrow) + " on " + narrow + " takes " + what + " from " +
                         report.who(o.wide) + " on " + places(o.wide),
              .detail = std::move(detail),
              .advice = {"give one of the two programs another port",
                         "bind " + report.who(o.wide) +
                             " to the addresses that it is meant for, not to the wildcard"},
              .deliveries = deliveries(report, sockets, is_tcp(bucket))},
             concerned);
  return true;
}

// --- dual-stack-overlap -------------------------------------------------------

bool split(Report& report, const Sockets& v4, const Sockets& v6) {
  return !v4.empty() && !v6.empty() && std::ranges::all_of(v4, [&](const Socket* a) {
    return std::ranges::all_of(v6, [&](const Socket* b) {
      return a != b && different_programs(report.owner(*a), report.owner(*b));
    });
  });
}

void find_dual_stack_overlap(Report& report, const model::Bucket& bucket, const Sockets& sockets,
                             bool conflict_told) {
  const bool tcp = is_tcp(bucket);
  Sockets v4 = receivers_elsewhere(sockets, tcp, Family::inet);
  Sockets v6 = receivers_elsewhere(sockets, tcp, Family::inet6);
  const bool everywhere = split(report, v4, v6);
  if (!everywhere) {
    if (conflict_told) return; // its table shows localhost
    const auto& facts = report.facts(bucket.netns);
    v4 = receivers_of_localhost(sockets, tcp, facts, Family::inet);
    v6 = receivers_of_localhost(sockets, tcp, facts, Family::inet6);
    if (!split(report, v4, v6)) return;
  }
  Sockets concerned = v4;
  concerned.insert(concerned.end(), v6.begin(), v6.end());
  const std::string name = everywhere ? "the name of this host" : "localhost";
  report.add(
      {.id = FindingId::dual_stack_overlap,
       .severity = Severity::warning,
       .summary = "IPv4 reaches " + report.who(v4) + ", IPv6 reaches " + report.who(v6),
       .detail = "A client that asks for " + name +
                 " gets one program or the other, by which "
                 "family it tries first: " +
                 places(v4) + " and " + places(v6) + " belong to different programs.",
       .advice = {"give one of the two programs another port",
                  "let one program bind both families: two sockets, or [::] without IPV6_V6ONLY"},
       .deliveries = deliveries(report, sockets, tcp)},
      concerned);
}

// --- udp-shared-port ----------------------------------------------------------

bool same_place(const Socket& a, const Socket& b) {
  const auto plain = [](const Address& x) { return x.as_v4().value_or(x); };
  return plain(a.local.addr) == plain(b.local.addr) && devices_overlap(a, b);
}

Severity severity_of(Report& report, const model::Bucket& bucket, const Socket& receiver,
                     const Sockets& others) {
  if (is_multicast_port(bucket)) return Severity::info;
  const bool taken_over =
      is_login_user(receiver.uid) &&
      std::ranges::any_of(others, [&](const Socket* s) { return s->uid != receiver.uid; });
  if (taken_over) return Severity::critical;
  const bool alike = std::ranges::all_of(others, [&](const Socket* s) {
    return s->uid == receiver.uid && !unlike_programs(report.owner(*s), report.owner(receiver));
  });
  return alike ? Severity::info : Severity::warning;
}

// `first` and those after it that are bound to the same place by other programs.
Sockets rivals(Report& report, const Sockets& sockets, const Socket& first) {
  Sockets out;
  for (const Socket* s : sockets)
    if (s != &first && same_place(*s, first) && !in_one_group(*s, first) &&
        different_programs(report.owner(*s), report.owner(first)))
      out.push_back(s);
  return out;
}

void find_udp_shared_port(Report& report, const model::Bucket& bucket, const Sockets& sockets) {
  Sockets told;
  for (const Socket* first : sockets) { // the newest first: of equals it receives
    if (std::ranges::find(told, first) != told.end() || first->local.addr.is_multicast()) continue;
    const Sockets others = rivals(report, sockets, *first);
    if (others.empty()) continue;
    Sockets concerned = {first};
    concerned.insert(concerned.end(), others.begin(), others.end());
    told.insert(told.end(), concerned.begin(), concerned.end());
    const auto rows = deliveries(report, sockets, false);
    std::string detail = "SO_REUSEADDR lets any user bind the same UDP port: the kernel gives each "
                         "unicast datagram to one socket only, the newest of equals.";
    if (is_multicast_port(bucket))
      detail += " Multicast, which this port is for, reaches all of them.";
    report.add({.id = FindingId::udp_shared_port,
                .severity = severity_of(report, bucket, *first, others),
                .summary = report.who(concerned) + " are bound to the same " + place(*first) +
                           "; unicast reaches one of them",
                .detail = std::move(detail),
                .advice = {"stop the program that does not belong there",
                           "bind without SO_REUSEADDR: then a second bind is refused"},
                .deliveries = rows},
               concerned);
  }
}

} // namespace

void find_sharing(Report& report, const model::Bucket& bucket) {
  if (bucket.sockets.size() < 2) return;
  const Sockets sockets = reachable(bucket);
  if (sockets.size() < 2) return;
  const bool told = find_wildcard_conflict(report, bucket, sockets);
  if (!is_multicast_port(bucket)) find_dual_stack_overlap(report, bucket, sockets, told);
  if (!is_tcp(bucket)) find_udp_shared_port(report, bucket, sockets);
}

} // namespace bindlens::audit
