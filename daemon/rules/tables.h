#pragma once

// The two port tables: what happens once a request has passed the checks.

#include "kernel_view.h"

#include <span>

namespace bindlens::rules {

// Sockets to leave aside, as if they were closed.
using Excluded = std::span<const model::Socket* const>;

// --- TCP: inet_csk_get_port() -------------------------------------------------

// The caches of a bucket that take part in the decision (struct
// inet_bind_bucket), apart from it so that a bind can be played forward.
struct BucketCache {
  int8_t fastreuse = 0;
  int8_t fastreuseport = 0;
  uint32_t fastuid = 0;
  BoundAddress addr;
};
[[nodiscard]] BucketCache cache_of(const model::Bucket& b);

// The bucket of the asker's namespace, port and VRF; null = nobody holds it.
[[nodiscard]] const model::Bucket* find_tcp_bucket(const model::PortView& view, const Asker& a,
                                                   uint16_t port);

// Does the bucket let the asker in without a look at its holders?
[[nodiscard]] Path cached_path(const BucketCache& cache, const Asker& a);

// The cache after `a` joined the holders of the bucket.
void update_cache(BucketCache& cache, const Asker& a);

// How strict the pairwise rule is (inet_bind_conflict()).
enum class Strictness : uint8_t {
  asked_by_number, // relax, reuseport_ok
  chosen,          // neither: any holder refuses
  chosen_relaxed,  // ip_autobind_reuse: relax, not reuseport_ok
};
[[nodiscard]] bool tcp_conflict(const Asker& a, const model::Socket& h, Strictness s,
                                const Variants& v);
// Does the kernel compare the asker with this holder at all, and do the
// addresses overlap?
[[nodiscard]] bool tcp_candidate(const Asker& a, const model::Bucket& b, const model::Socket& h,
                                 const Variants& v);

[[nodiscard]] std::vector<Conflict> tcp_conflicts(const Asker& a, const model::Bucket& b,
                                                  const Variants& v, Excluded gone = {});

// --- UDP: udp_lib_get_port() ----------------------------------------------------

[[nodiscard]] std::vector<Conflict> udp_conflicts(const Asker& a, const Request& r,
                                                  const model::PortView& view, const Variants& v,
                                                  Verdict& out);
// A port that the kernel may choose: no holder refuses.
[[nodiscard]] bool udp_holder_refuses(const Asker& a, const model::Socket& h, const Variants& v);

// --- Why a holder refused, and which reason comes first -------------------------

[[nodiscard]] model::Rule tcp_rule(const Asker& a, const model::Bucket& b, const model::Socket& h,
                                   const Variants& v);
[[nodiscard]] model::Rule udp_rule(const Asker& a, const model::Socket& h);
[[nodiscard]] model::Rule leading_rule(std::span<const Conflict> conflicts);

// --- Choosing a port --------------------------------------------------------------

// ip_local_port_range, narrowed by IP_LOCAL_PORT_RANGE
// (inet_sk_get_local_port_range()).
[[nodiscard]] PortRange effective_range(PortRange host, PortRange own, const Variants& v);

// Whether a search that begins at a random place comes by a port: with an odd
// number of ports the kernel leaves one of two even offsets out.
enum class Visit : uint8_t { always, by_chance, never };
[[nodiscard]] Visit visits(PortRange range, uint16_t port);
[[nodiscard]] Visit bind_visits(PortRange range, uint16_t port, bool halves);

// What a walk does not tell - whether a TIME_WAIT connection gives way to a new
// one with the same ends, where a random search began - speaks for the call, or
// against one that is known to have been refused.
enum class Doubt : uint8_t { for_the_call, against_it };

void choose_tcp_port(Verdict& out, const Request& r, const Asker& a, const model::PortView& view,
                     const HostFacts& facts, const Variants& v, Doubt doubt);
void choose_udp_port(Verdict& out, const Request& r, const Asker& a, const model::PortView& view,
                     const HostFacts& facts, const Variants& v);
// connect(): __inet_hash_connect().
void connect_tcp(Verdict& out, const Request& r, const Asker& a, const model::PortView& view,
                 const HostFacts& facts, const Variants& v, Doubt doubt);

// decide(), for which doubt speaks for the call.
[[nodiscard]] Verdict decide_with(Doubt doubt, const Request& r, const model::PortView& view,
                                  const HostFacts& facts, const Variants& v);

// --- Before the tables ------------------------------------------------------------

// What an IPv4 address is to bind, by the local table or that of the device's VRF. Empty:
// not known.
[[nodiscard]] std::optional<RouteType> local_type(const HostFacts& facts, const model::Address& a,
                                                  uint32_t dev);

// __inet_bind(), __inet6_bind(), inet_listen() up to get_port(). Fills error,
// rule and path and returns false when the call ends there. `dev`: the socket's
// device, changed to the scope of a link-local address.
[[nodiscard]] bool passes_checks(const Request& r, const HostFacts& facts, uint32_t& dev,
                                 Verdict& out);

void refuse(Verdict& out, int error, model::Rule rule, Path path);

} // namespace bindlens::rules
