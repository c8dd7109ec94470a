#include <bindlens/rules/profile.h>

#include "tables.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace bindlens::rules {

using model::Rule;
using model::Socket;
using model::SocketFlag;
using model::State;

namespace {

constexpr std::array<std::pair<Profile, std::string_view>, 8> profiles = {{
    {Profile::linux_now, "linux"},
    {Profile::linux_pre_3_9, "linux-pre-3.9"},
    {Profile::bsd, "bsd"},
    {Profile::freebsd, "freebsd"},
    {Profile::openbsd, "openbsd"},
    {Profile::netbsd, "netbsd"},
    {Profile::macos, "macos"},
    {Profile::ios, "ios"},
}};

} // namespace

std::string_view to_string(Profile p) {
  return std::ranges::find(profiles, p, [](const auto& e) { return e.first; })->second;
}

std::optional<Profile> parse_profile(std::string_view text) {
  auto it = std::ranges::find(profiles, text, [](const auto& e) { return e.second; });
  if (it == profiles.end()) return std::nullopt;
  return it->first;
}

std::string_view profile_names() {
  return "linux, linux-pre-3.9, bsd, freebsd, openbsd, netbsd, macos, ios";
}

bool has_reuseport(Profile p) {
  return p != Profile::linux_pre_3_9;
}

namespace {

// The overlap that the account knows: a wildcard covers all addresses of its
// kind, and :: without IPV6_V6ONLY those of IPv4 as well.
bool believed_overlap(const BoundAddress& a, const BoundAddress& b) {
  if (a.v4_like() == b.v4_like()) return same_address(a, b) || !a.specific() || !b.specific();
  const BoundAddress& v6 = a.v4_like() ? b : a;
  return !v6.specific() && !v6.v6only;
}

// BSD: the options of the socket that is bound decide. SO_REUSEADDR lets a
// wildcard and a specific address live together, and ignores TIME_WAIT;
// SO_REUSEPORT allows the same address when everybody before had it as well; for
// multicast addresses the two mean the same.
Rule bsd_refusal(const Asker& a, bool multicast, const Socket& h) {
  const BoundAddress ha = bound_address(h);
  if (!believed_overlap(a.addr, ha)) return Rule::none;
  const bool shares = h.is(SocketFlag::reuseport) || (multicast && h.is(SocketFlag::reuseaddr));
  const bool wants = a.reuseport || (multicast && a.reuseaddr);
  if (wants && shares) return Rule::none;
  if (a.reuseaddr && (in_time_wait(h) || !same_address(a.addr, ha))) return Rule::none;
  if (in_time_wait(h)) return Rule::time_wait;
  if (wants) return Rule::holder_no_reuseport;
  if (h.is(SocketFlag::reuseport)) return Rule::requester_no_reuseport;
  return same_address(a.addr, ha) ? Rule::requester_no_reuseport : Rule::requester_no_reuseaddr;
}

// Linux before 3.9: SO_REUSEADDR on both sides, and for TCP nobody listening.
Rule old_linux_refusal(const Asker& a, bool tcp, const Socket& h) {
  if (!devices_overlap(a, h) || !believed_overlap(a.addr, bound_address(h))) return Rule::none;
  if (tcp && h.state == State::listen) return Rule::listener;
  if (a.reuseaddr && h.is(SocketFlag::reuseaddr)) return Rule::none;
  if (!tcp) return Rule::udp_no_reuse;
  if (in_time_wait(h)) return Rule::time_wait;
  return a.reuseaddr ? Rule::holder_no_reuseaddr : Rule::requester_no_reuseaddr;
}

std::vector<Conflict> believed_conflicts(Profile p, const Request& r, const Asker& a,
                                         const model::PortView& view, uint16_t port) {
  std::vector<Conflict> out;
  const bool tcp = is_tcp(r.proto);
  for (const model::Bucket& b : view.buckets) {
    for (const Socket& h : b.sockets) {
      const bool same_table = h.proto == r.proto || (tcp && is_tcp(h.proto));
      if (!same_table || h.netns != r.netns || h.local.port != port) continue;
      const Rule rule = p == Profile::linux_pre_3_9
                            ? old_linux_refusal(a, tcp, h)
                            : bsd_refusal(a, r.local.addr.is_multicast(), h);
      if (rule == Rule::none) continue;
      out.push_back({&h, &b, rule, relation_of(h.local.addr, r.local.addr), true});
    }
  }
  return out;
}

// A system that searches for a port takes none that somebody holds in the way of
// the address, whatever the options.
void search_bsd(Verdict& out, const Request& r, Asker a, const model::PortView& view,
                PortRange range) {
  a.reuseaddr = a.reuseport = false;
  out.path = Path::search;
  out.search.ports = range;
  for (uint32_t port = range.first; port <= range.last && !out.would_succeed; ++port) {
    ++out.search.range;
    out.would_succeed =
        believed_conflicts(Profile::bsd, r, a, view, static_cast<uint16_t>(port)).empty();
    out.search.taken += !out.would_succeed;
  }
  if (!out.would_succeed)
    refuse(out, r.op == Operation::bind ? EADDRINUSE : EADDRNOTAVAIL, Rule::ephemeral_exhausted,
           Path::search);
}

// Everything but a bind to a number. The account has no options in it here, so
// that Linux of all times is one, and BSD differs in the errno of a tuple in use.
Verdict decide_unnumbered(Profile p, const Request& r, const model::PortView& view,
                          const HostFacts& facts, const Variants& v) {
  if (p == Profile::linux_pre_3_9 || r.local.port != 0 || !facts.local_port_range) {
    Verdict out = decide(r, view, facts, v);
    if (out.rule == Rule::tuple_in_use && p != Profile::linux_pre_3_9) out.error = EADDRINUSE;
    return out;
  }
  Verdict out;
  uint32_t dev = r.dev;
  if (passes_checks(r, facts, dev, out))
    search_bsd(out, r, make_asker(r, facts, dev), view, *facts.local_port_range);
  return out;
}

} // namespace

Verdict decide(Profile p, const Request& r, const model::PortView& view, const HostFacts& facts,
               const Variants& v) {
  if (p == Profile::linux_now) return decide(r, view, facts, v);
  if (r.op != Operation::bind || r.local.port == 0) return decide_unnumbered(p, r, view, facts, v);
  Verdict out;
  uint32_t dev = r.dev;
  if (!passes_checks(r, facts, dev, out)) return out;
  Request asked = r;
  if (!has_reuseport(p)) asked.flags.set(SocketFlag::reuseport, false);
  const Asker a = make_asker(asked, facts, dev);
  out.blockers = believed_conflicts(p, r, a, view, r.local.port);
  out.path = Path::holders;
  out.would_succeed = out.blockers.empty();
  if (!out.would_succeed) refuse(out, EADDRINUSE, leading_rule(out.blockers), Path::holders);
  return out;
}

} // namespace bindlens::rules
