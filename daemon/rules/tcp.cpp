// inet_csk_get_port() for a port given by number, with the caches of the bucket.

#include "tables.h"

#include <algorithm>

namespace bindlens::rules {

using model::Bucket;
using model::Socket;
using model::SocketFlag;
using model::State;

BucketCache cache_of(const Bucket& b) {
  return {b.fastreuse, b.fastreuseport, b.fastuid, bound_address(b.fast_addr, b.fast_v6only)};
}

const Bucket* find_tcp_bucket(const model::PortView& view, const Asker& a, uint16_t port) {
  auto it = std::ranges::find_if(view.buckets, [&](const Bucket& b) {
    return b.port == port && b.netns == a.netns && b.l3mdev == a.l3mdev && is_tcp(b.proto);
  });
  return it == view.buckets.end() ? nullptr : &*it;
}

namespace {

// sk_reuseport_match(): only the cached address may stand for all addresses.
bool reuseport_match(const BucketCache& cache, const Asker& a) {
  if (cache.fastreuseport <= 0 || !a.reuseport || a.has_group || cache.fastuid != a.uid)
    return false;
  constexpr int8_t any_address = 1; // FASTREUSEPORT_ANY
  return cache.fastreuseport == any_address || addresses_overlap(cache.addr, a.addr, true, false);
}

} // namespace

Path cached_path(const BucketCache& cache, const Asker& a) {
  if (a.forced) return Path::forced;
  if (cache.fastreuse > 0 && a.reuseaddr && !a.listening) return Path::cached_addr;
  if (reuseport_match(cache, a)) return Path::cached_port;
  return Path::holders;
}

// inet_csk_update_fastreuse() for a bucket that had holders.
void update_cache(BucketCache& cache, const Asker& a) {
  if (!a.reuseaddr || a.listening) cache.fastreuse = 0;
  if (!a.reuseport) {
    cache.fastreuseport = 0;
  } else if (!reuseport_match(cache, a)) {
    constexpr int8_t strict = 2; // FASTREUSEPORT_STRICT
    cache.fastreuseport = strict;
    cache.fastuid = a.uid;
    cache.addr = a.addr;
  }
}

// inet_bind_conflict(), without the comparison of addresses.
bool tcp_conflict(const Asker& a, const Socket& h, Strictness s, const Variants& v) {
  if (a.self != 0 && h.id == a.self) return false;
  if (!devices_overlap(a, h)) return false;
  const bool holder_reuseaddr = h.is(SocketFlag::reuseaddr) || h.is(SocketFlag::force_reuse);
  const bool both_reuseport = a.reuseport && h.is(SocketFlag::reuseport) && a.group_ok &&
                              (in_time_wait(h) || holder_uid(h, v) == a.uid);
  if (a.reuseaddr && holder_reuseaddr && h.state != State::listen)
    return s == Strictness::chosen || (s == Strictness::chosen_relaxed && both_reuseport);
  return s != Strictness::asked_by_number || !both_reuseport;
}

namespace {

// The wildcard bucket of bhash2 belongs to the family of the socket that made
// it, which is the oldest one: the last in the chain (6.1).
bool wildcard_bucket_is_v6(const Bucket& b) {
  for (auto it = b.sockets.rbegin(); it != b.sockets.rend(); ++it) {
    const BoundAddress h = bound_address(*it);
    if (h.v4_like() && h.v4 == 0) return h.family == model::Family::inet6;
  }
  return false;
}

} // namespace

bool tcp_candidate(const Asker& a, const Bucket& b, const Socket& h, const Variants& v) {
  const BoundAddress ha = bound_address(h);
  if (!v.per_address_buckets || !a.addr.specific()) return addresses_overlap(a.addr, ha);
  // __inet_bhash2_conflict(): only exact and wildcard buckets, nothing else is
  // compared apart from IPV6_V6ONLY.
  if (ha.v6only && a.addr.v4_like()) return false;
  if (v.timewait_gap && in_time_wait(h)) return false;
  if (same_address(a.addr, ha)) return true;
  if (ha.v6_any()) return true;
  if (!a.addr.v4_like() || !ha.v4_like() || ha.v4 != 0) return false;
  return !(v.mapped_wildcard_gap && a.addr.mapped && wildcard_bucket_is_v6(b));
}

std::vector<Conflict> tcp_conflicts(const Asker& a, const Bucket& b, const Variants& v,
                                    Excluded gone) {
  std::vector<Conflict> out;
  for (const Socket& h : b.sockets) {
    if (!tcp_conflict(a, h, Strictness::asked_by_number, v) || !tcp_candidate(a, b, h, v)) continue;
    if (std::ranges::find(gone, &h) != gone.end()) continue;
    out.push_back({.socket = &h, .bucket = &b, .rule = tcp_rule(a, b, h, v)});
  }
  return out;
}

} // namespace bindlens::rules
