// A refusal that has happened: the errno is given, the rule is looked for.

#include "tables.h"

#include <cerrno>

namespace bindlens::rules {

using model::Rule;

namespace {

// What the port table would say if everything before it had passed. The facts
// were read after the call; the errno proves how far the call came.
Verdict ask_table_only(Request r, const model::PortView& view, HostFacts facts, const Variants& v) {
  r.has_port = r.connected = false;
  facts.nonlocal_bind4 = facts.nonlocal_bind6 = true;
  facts.cap_net_bind_service = true;
  return decide_with(Doubt::against_it, r, view, facts, v);
}

Rule rule_of_refused_access(const Request& r, const HostFacts& facts) {
  constexpr uint16_t usual_start = 1024;
  const bool privileged =
      r.local.port != 0 && r.local.port < facts.unprivileged_port_start.value_or(usual_start);
  return privileged && facts.cap_net_bind_service != true ? Rule::privileged_port : Rule::policy;
}

// IPv6 chooses the source address while it routes, and says EADDRNOTAVAIL as well
// when there is none (ip6_dst_lookup_tail()).
bool may_lack_a_source(const Request& r) {
  return r.peer.addr.family == model::Family::inet6 && !r.peer.addr.is_v4_mapped() &&
         r.local.addr.is_wildcard();
}

// The rule that an errno names by itself, apart from the state of the table.
Rule rule_of_errno(const Request& r, int error, const HostFacts& facts) {
  switch (error) {
  case EPERM:
    return Rule::policy;
  case EACCES:
    return rule_of_refused_access(r, facts);
  case EADDRNOTAVAIL:
    if (r.op != Operation::connect) return Rule::address_not_local;
    if (may_lack_a_source(r)) return Rule::none;
    return r.local.port == 0 ? Rule::ephemeral_exhausted : Rule::tuple_in_use;
  case EAGAIN:
    return Rule::ephemeral_exhausted;
  case EINVAL:
    return r.op == Operation::bind && (r.has_port || r.connected) ? Rule::already_bound
                                                                  : Rule::invalid_argument;
  case EAFNOSUPPORT:
  case ENODEV:
  case EFAULT:
  case EOPNOTSUPP:
  case EPROTONOSUPPORT:
  case EDESTADDRREQ:
    return Rule::invalid_argument;
  default:
    return Rule::none;
  }
}

// Errors that only the port table, or the search for a port, gives.
bool comes_from_table(const Request& r, int error) {
  return error == EADDRINUSE || error == EAGAIN ||
         (error == EADDRNOTAVAIL && r.op == Operation::connect);
}

} // namespace

Verdict explain_failure(const Request& r, int error, const model::PortView& view,
                        const HostFacts& facts, const Variants& v) {
  Verdict out = decide(r, view, facts, v);
  if (out.error == error) return out;

  if (comes_from_table(r, error)) {
    out = ask_table_only(r, view, facts, v);
    if (out.error == error) return out;
  }
  Verdict unexplained;
  unexplained.failing = r.op;
  unexplained.unknown = std::move(out.unknown);
  unexplained.search = out.search;
  refuse(unexplained, error, rule_of_errno(r, error, facts), Path::none);
  unexplained.reproduced = !comes_from_table(r, error);
  if (error == EADDRINUSE && r.local.port == 0) {
    // No holder is to blame for a search that found nothing.
    unexplained.rule = Rule::ephemeral_exhausted;
  }
  return unexplained;
}

} // namespace bindlens::rules
