#include "clauses.h"

#include <bindlens/rules/wording.h>

namespace bindlens::rules {

using model::Blocker;
using model::Relation;

std::string asked(const ExplainInput& in) {
  return to_string(in.request->local.addr);
}

std::string overlap_clause(const ExplainInput& in, const Blocker& b) {
  switch (b.relation) {
  case Relation::holder_is_wildcard:
    return ", which covers " + asked(in);
  case Relation::requester_is_wildcard:
    return ", which " + asked(in) + " covers";
  case Relation::v6_wildcard_covers_v4:
    return b.socket.local.addr.is_wildcard() && !b.socket.local.addr.as_v4()
               ? ", which covers IPv4 too because IPV6_V6ONLY is off"
               : ", which [::] covers too because IPV6_V6ONLY is off here";
  case Relation::v4_mapped:
    return ", which is the same IPv4 address as " + asked(in);
  case Relation::same:
  case Relation::none:
    return "";
  }
  return "";
}

std::string and_others(const ExplainInput& in, size_t told) {
  if (in.blockers.size() <= told) return "";
  const size_t n = in.blockers.size() - told;
  return "; " + count_of(n, "other socket") + " also stand" + (n == 1 ? "s" : "") + " in the way";
}

std::string range_clause(const ExplainInput& in) {
  if (!in.facts->local_port_range) return "";
  const PortRange r = *in.facts->local_port_range;
  return ", which lies inside ip_local_port_range (" + std::to_string(r.first) + "-" +
         std::to_string(r.last) + ")";
}

} // namespace bindlens::rules
