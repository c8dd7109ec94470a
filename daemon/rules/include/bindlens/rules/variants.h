#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::rules {

// The differences between kernels that change an answer. They are measured on
// the running kernel (daemon/kernel/calibration.h), because distributions
// backport them one by one; a version number decides nothing here.
// The initial values are those of a current kernel (6.18 and later).
struct Variants {
  // The uid that SO_REUSEPORT compares. `inode`: that of the socket's file, so
  // an orphan or a connection not yet accepted counts as root (sock_i_uid());
  // `own`: the socket's own, which outlives its file (sk_uid(), 6.17).
  enum class Uid : uint8_t { inode, own };
  Uid reuseport_uid = Uid::own;

  // A bind to one address looks at the holders of that address and of the
  // wildcards only (bhash2, 6.1). False: at all holders of the port, so that an
  // IPv6 connection, whose IPv4 shadow is 127.0.0.6, also blocks 127.0.0.6.
  bool per_address_buckets = true;

  // The bucket's cache bytes are set up for an empty bucket, so that a first
  // binder with SO_REUSEADDR sets fastreuse = 1 and one with SO_REUSEPORT sets
  // FASTREUSEPORT_ANY. Since 6.8 the bucket is never empty at that point. Verdicts
  // read the bytes themselves; this tells which of them can be met.
  bool first_binder_cache = false;

  // A binder of ::ffff:a.b.c.d does not see a holder of ::ffff:0.0.0.0 (6.1).
  bool mapped_wildcard_gap = false;

  // A bind to one address does not see TIME_WAIT sockets (6.1 to 6.1.4: bhash2
  // did not hold them yet).
  bool timewait_gap = false;

  // A UDP bind to a wildcard looks at wildcard holders only, once more than ten
  // sockets share the slot (before "udp: Fix wildcard bind conflict check when
  // using hash2").
  bool udp_wildcard_gap = false;

  // Ports of a bucket may be chosen by connect() again after its last explicit
  // binder is gone (SOCK_CONNECT_BIND, 6.18).
  bool connect_reset = true;

  // IP_LOCAL_PORT_RANGE narrows the range for one socket (6.3, 6.1.32).
  bool socket_port_range = true;
  // connect() in such a narrowed range tries every port once, instead of even
  // offsets before odd ones (6.8).
  bool socket_range_scans_all = true;

  // IPPROTO_UDPLITE sockets can be made (gone in 7.x).
  bool udplite = true;

  // Why nothing could be measured here; empty when it was.
  std::string assumed;
  // Names (VariantLine::name) of the values that were not measured.
  std::vector<std::string_view> unmeasured;

  bool operator==(const Variants&) const = default;
};

// What the kernel answered to each scenario; empty = it could not be played.
// P1 to P9 are the names in VariantLine::decided_by.
struct ScenarioAnswers {
  // P1: eleven UDP sockets on 127.0.9.1-11:p, then 0.0.0.0:p is bound.
  std::optional<bool> udp_wildcard_bound;
  // P2: TCP ::ffff:0.0.0.0:p held, then ::ffff:127.0.0.1:p is bound.
  std::optional<bool> mapped_bound_under_wildcard;
  // P3: SO_REUSEADDR, bind, clear it; another SO_REUSEADDR socket binds.
  std::optional<bool> cleared_reuseaddr_shared;
  // P4: one-port range; connect, bind the port on another address, close that,
  // connect to another destination.
  std::optional<bool> port_back_to_connect;
  // P5: uid 1000 listens with SO_REUSEPORT and has a connection in its queue;
  // uid 1000 binds the address of the connection with SO_REUSEPORT.
  std::optional<bool> queued_child_keeps_uid;
  // P6: getsockopt(IP_LOCAL_PORT_RANGE).
  std::optional<bool> has_socket_port_range;
  // P7: an IPv6 connection from port p; 127.0.0.6:p is bound.
  std::optional<bool> loopback_alias_bound;
  // P8: TIME_WAIT on 127.0.0.1:p; 127.0.0.1:p is bound without options.
  std::optional<bool> bound_over_timewait;
  // P9: socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE).
  std::optional<bool> has_udplite;
};

// One line of `bindlens status`.
struct VariantLine {
  std::string_view name;       // "orphan-uid"
  std::string_view value;      // "own"
  std::string_view decided_by; // what was played to find out
  bool assumed = false;        // it could not be played
};
[[nodiscard]] std::vector<VariantLine> describe(const Variants& v);

// Pure. What was not answered keeps the value of `base`.
[[nodiscard]] Variants variants_from(const ScenarioAnswers& answers, const Variants& base = {});

// What type information tells about a kernel on which nothing can be played:
// which fields its structures have. Empty = not known.
struct KernelTraits {
  std::optional<bool> bind2_bucket;   // struct inet_bind2_bucket exists
  std::optional<bool> bind2_timewait; // … and TIME_WAIT sockets are in it (tw_bind2_node or later)
  std::optional<bool> bind2_addr_type;   // inet_bind2_bucket.addr_type
  std::optional<bool> bind2_fastreuse;   // inet_bind2_bucket.fastreuse
  std::optional<bool> socket_port_range; // inet_sock.local_port_range
};

// The rules of the nearest known kernel, marked as assumed for `reason`.
[[nodiscard]] Variants nearest_known(const KernelTraits& traits, std::string_view reason);

} // namespace bindlens::rules
