#include <bindlens/rules/variants.h>

#include <algorithm>
#include <array>

namespace bindlens::rules {

namespace {

// The names under which `status` shows the variants.
constexpr std::string_view udp_wildcard_gap = "udp-wildcard-gap";
constexpr std::string_view mapped_wildcard_gap = "mapped-wildcard-gap";
constexpr std::string_view fastreuse_cache = "fastreuse-cache";
constexpr std::string_view connect_reset = "connect-reset";
constexpr std::string_view orphan_uid = "orphan-uid";
constexpr std::string_view socket_port_range = "socket-port-range";
constexpr std::string_view holders_compared = "holders-compared";
constexpr std::string_view timewait_gap = "timewait-gap";
constexpr std::string_view udplite = "udplite";

constexpr std::array all_names = {udp_wildcard_gap, mapped_wildcard_gap, fastreuse_cache,
                                  connect_reset,    orphan_uid,          socket_port_range,
                                  holders_compared, timewait_gap,        udplite};

} // namespace

std::vector<VariantLine> describe(const Variants& v) {
  auto yes_no = [](bool b) -> std::string_view { return b ? "yes" : "no"; };
  std::vector<VariantLine> lines = {
      {udp_wildcard_gap, yes_no(v.udp_wildcard_gap),
       "P1: eleven UDP sockets on specific addresses, then a wildcard bind"},
      {mapped_wildcard_gap, yes_no(v.mapped_wildcard_gap),
       "P2: ::ffff:0.0.0.0 held, then a bind of ::ffff:127.0.0.1"},
      {fastreuse_cache, v.first_binder_cache ? "live" : "dead",
       "P3: the first binder clears SO_REUSEADDR, then a second SO_REUSEADDR bind"},
      {connect_reset, yes_no(v.connect_reset),
       "P4: connect, explicit bind and close of one port, then connect again"},
      {orphan_uid, v.reuseport_uid == Variants::Uid::own ? "own" : "root",
       "P5: a bind over a connection that waits to be accepted"},
      {socket_port_range, yes_no(v.socket_port_range), "P6: getsockopt(IP_LOCAL_PORT_RANGE)"},
      {holders_compared, v.per_address_buckets ? "per-address" : "all",
       "P7: an IPv6 connection, then a bind of 127.0.0.6"},
      {timewait_gap, yes_no(v.timewait_gap), "P8: a bind over TIME_WAIT on the same address"},
      {udplite, yes_no(v.udplite), "P9: socket(IPPROTO_UDPLITE)"},
  };
  for (VariantLine& line : lines)
    line.assumed = std::ranges::find(v.unmeasured, line.name) != v.unmeasured.end();
  return lines;
}

Variants variants_from(const ScenarioAnswers& a, const Variants& base) {
  Variants v = base;
  v.assumed.clear();
  v.unmeasured.clear();
  auto take = [&v](const std::optional<bool>& answer, std::string_view name, auto set) {
    if (answer)
      set(*answer);
    else
      v.unmeasured.push_back(name);
  };
  take(a.udp_wildcard_bound, udp_wildcard_gap, [&](bool b) { v.udp_wildcard_gap = b; });
  take(a.mapped_bound_under_wildcard, mapped_wildcard_gap,
       [&](bool b) { v.mapped_wildcard_gap = b; });
  take(a.cleared_reuseaddr_shared, fastreuse_cache, [&](bool b) { v.first_binder_cache = b; });
  take(a.port_back_to_connect, connect_reset, [&](bool b) { v.connect_reset = b; });
  take(a.queued_child_keeps_uid, orphan_uid,
       [&](bool b) { v.reuseport_uid = b ? Variants::Uid::own : Variants::Uid::inode; });
  take(a.has_socket_port_range, socket_port_range, [&](bool b) { v.socket_port_range = b; });
  take(a.loopback_alias_bound, holders_compared, [&](bool b) { v.per_address_buckets = b; });
  take(a.bound_over_timewait, timewait_gap, [&](bool b) { v.timewait_gap = b; });
  take(a.has_udplite, udplite, [&](bool b) { v.udplite = b; });
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
  v.unmeasured.assign(all_names.begin(), all_names.end());
  return v;
}

} // namespace bindlens::rules
