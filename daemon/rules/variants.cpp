#include <bindlens/rules/variants.h>

namespace bindlens::rules {

std::vector<VariantLine> describe(const Variants& v) {
  auto yes_no = [](bool b) -> std::string_view { return b ? "yes" : "no"; };
  const bool assumed = !v.assumed.empty();
  return {
      {"udp-wildcard-gap", yes_no(v.udp_wildcard_gap),
       "P1: eleven UDP sockets on specific addresses, then a wildcard bind", assumed},
      {"mapped-wildcard-gap", yes_no(v.mapped_wildcard_gap),
       "P2: ::ffff:0.0.0.0 held, then a bind of ::ffff:127.0.0.1", assumed},
      {"fastreuse-cache", v.first_binder_cache ? "live" : "dead",
       "P3: the first binder clears SO_REUSEADDR, then a second SO_REUSEADDR bind", assumed},
      {"connect-reset", yes_no(v.connect_reset),
       "P4: connect, explicit bind and close of one port, then connect again", assumed},
      {"orphan-uid", v.reuseport_uid == Variants::Uid::own ? "own" : "root",
       "P5: a bind over a connection that waits to be accepted", assumed},
      {"socket-port-range", yes_no(v.socket_port_range), "P6: getsockopt(IP_LOCAL_PORT_RANGE)",
       assumed},
      {"holders-compared", v.per_address_buckets ? "per-address" : "all",
       "P7: an IPv6 connection, then a bind of 127.0.0.6", assumed},
      {"timewait-gap", yes_no(v.timewait_gap), "P8: a bind over TIME_WAIT on the same address",
       assumed},
      {"udplite", yes_no(v.udplite), "P9: socket(IPPROTO_UDPLITE)", assumed},
  };
}

Variants variants_from(const ScenarioAnswers& a, const Variants& base) {
  Variants v = base;
  v.assumed.clear();
  if (a.udp_wildcard_bound) v.udp_wildcard_gap = *a.udp_wildcard_bound;
  if (a.mapped_bound_under_wildcard) v.mapped_wildcard_gap = *a.mapped_bound_under_wildcard;
  if (a.cleared_reuseaddr_shared) v.first_binder_cache = *a.cleared_reuseaddr_shared;
  if (a.port_back_to_connect) v.connect_reset = *a.port_back_to_connect;
  if (a.queued_child_keeps_uid)
    v.reuseport_uid = *a.queued_child_keeps_uid ? Variants::Uid::own : Variants::Uid::inode;
  if (a.has_socket_port_range) v.socket_port_range = *a.has_socket_port_range;
  if (a.loopback_alias_bound) v.per_address_buckets = *a.loopback_alias_bound;
  if (a.bound_over_timewait) v.timewait_gap = *a.bound_over_timewait;
  if (a.has_udplite) v.udplite = *a.has_udplite;
  // The single list of 6.8 ended the first binder's cache and brought the plain
  // scan of a socket's own range; one shows the other.
  v.socket_range_scans_all = v.socket_port_range && !v.first_binder_cache;
  return v;
}

Variants nearest_known(const KernelTraits& t, std::string_view reason) {
  Variants v;
  if (t.bind2_bucket) v.per_address_buckets = *t.bind2_bucket;
  const bool single_list = t.bind2_addr_type.value_or(true) && v.per_address_buckets;
  v.first_binder_cache = !single_list;
  v.mapped_wildcard_gap = v.per_address_buckets && !single_list;
  v.timewait_gap = v.per_address_buckets && !t.bind2_timewait.value_or(true);
  v.connect_reset = t.bind2_fastreuse.value_or(true) && single_list;
  v.socket_port_range = t.socket_port_range.value_or(true);
  v.socket_range_scans_all = v.socket_port_range && single_list;
  // The change of the compared uid leaves no trace in the types; it came shortly
  // before the caches of the address bucket.
  v.reuseport_uid = v.connect_reset ? Variants::Uid::own : Variants::Uid::inode;
  v.assumed = reason;
  return v;
}

} // namespace bindlens::rules
