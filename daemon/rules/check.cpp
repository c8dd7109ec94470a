#include <bindlens/rules/check.h>

#include "tables.h"

#include <cerrno>

namespace bindlens::rules {

using model::Family;
using model::SocketFlag;

namespace {

bool is_plain_v6(const model::Address& a) {
  return a.family == Family::inet6 && !a.is_v4_mapped();
}

bool device_missing(const CheckQuestion& q, const HostFacts& facts) {
  if (q.request.dev == 0) return !q.dev.empty();
  if (!facts.interfaces) return false;
  for (const Interface& i : *facts.interfaces)
    if (i.index == q.request.dev) return false;
  return true;
}

} // namespace

std::optional<CheckProblem> find_problem(const CheckQuestion& q, const HostFacts& facts) {
  const Request& r = q.request;
  const std::string proto(to_string(r.proto));
  if (device_missing(q, facts))
    return CheckProblem{"dev", "there is no interface " +
                                   (q.dev.empty() ? std::to_string(r.dev) : q.dev) +
                                   " in this network namespace"};
  if (q.v6only && r.local.addr.family == Family::inet)
    return CheckProblem{"v6only", "v6only is an option of IPv6 sockets, and " +
                                      to_string(r.local.addr) + " is an IPv4 address"};
  if (r.flags.has(SocketFlag::reuseport) && !has_reuseport(q.profile))
    return CheckProblem{"reuseport",
                        std::string(to_string(q.profile)) + " has no SO_REUSEPORT option"};
  if (r.then_listen && !is_tcp(r.proto))
    return CheckProblem{"listen", "a " + proto + " socket cannot listen"};
  return std::nullopt;
}

namespace {

Request effective_request(const CheckQuestion& q, const HostFacts& facts) {
  Request r = q.request;
  if (is_plain_v6(r.local.addr) || r.local.addr.is_v4_mapped())
    r.flags.set(SocketFlag::v6only, q.v6only.value_or(facts.bindv6only.value_or(false)));
  return r;
}

// IP_TRANSPARENT is refused when it is set, before there is a bind.
bool may_be_transparent(const Request& r, const HostFacts& facts, CheckAnswer& out) {
  if (!r.flags.has(SocketFlag::transparent)) return true;
  if (!facts.cap_net_admin_or_raw) {
    out.unknown.emplace_back("whether the caller may set IP_TRANSPARENT");
    return true;
  }
  if (*facts.cap_net_admin_or_raw) return true;
  out.error = EPERM;
  out.rule = model::Rule::policy;
  out.explanation = "Setting IP_TRANSPARENT needs CAP_NET_ADMIN or CAP_NET_RAW, and the caller has "
                    "neither.";
  out.advice.emplace_back("give the program CAP_NET_RAW");
  if (!facts.nonlocal_bind4.value_or(false))
    out.advice.emplace_back("use IP_FREEBIND instead if only the address is not local");
  return false;
}

} // namespace

CheckAnswer answer(const CheckQuestion& q, const model::PortView& view, const HostFacts& facts,
                   const Variants& variants, const Resolve& resolve, const Names& names) {
  CheckAnswer out;
  const Request r = effective_request(q, facts);
  if (!may_be_transparent(r, facts, out)) return out;
  const Verdict v = decide(q.profile, r, view, facts, variants);
  out.would_succeed = v.would_succeed;
  out.error = v.error;
  out.rule = v.rule;
  out.unknown.insert(out.unknown.end(), v.unknown.begin(), v.unknown.end());
  for (const Conflict& c : v.blockers) {
    model::Blocker b = to_blocker(c);
    if (resolve) resolve(b);
    out.holders.push_back(std::move(b));
  }
  // Changes are verified by the rules of the running kernel: they say nothing
  // about another system.
  std::vector<Change> changes;
  if (q.profile == Profile::linux_now)
    changes = minimal_changes(r, v, view, facts, variants, out.holders, names);
  const Explanation e = explain({.request = &r,
                                 .verdict = &v,
                                 .facts = &facts,
                                 .blockers = out.holders,
                                 .changes = changes,
                                 .process = nullptr,
                                 .names = names});
  out.explanation = e.sentence;
  out.advice = e.advice;
  for (const Change& c : changes)
    out.minimal_change.push_back(c.text);
  return out;
}

} // namespace bindlens::rules
