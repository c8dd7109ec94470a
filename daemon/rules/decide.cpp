#include <bindlens/rules/engine.h>

#include "tables.h"

#include <cerrno>

namespace bindlens::rules {

using model::Relation;
using model::Rule;
using model::SocketFlag;

std::string_view to_string(Path p) {
  switch (p) {
  case Path::none:
    return "";
  case Path::checks:
    return "checks";
  case Path::no_port:
    return "no-port";
  case Path::empty:
    return "empty";
  case Path::forced:
    return "forced";
  case Path::cached_addr:
    return "fastreuse";
  case Path::cached_port:
    return "fastreuseport";
  case Path::holders:
    return "holders";
  case Path::search:
    return "search";
  }
  return "";
}

namespace {

void refuse_for(Verdict& out, std::vector<Conflict> conflicts) {
  refuse(out, EADDRINUSE, leading_rule(conflicts), Path::holders);
  out.blockers = std::move(conflicts);
}

// listen() right after a bind that succeeded: the bucket now holds the asker,
// and its caches are those the bind left.
void listen_after_bind(Verdict& out, Asker a, const model::Bucket* b, const Variants& v) {
  if (b == nullptr || b->sockets.empty()) return;
  BucketCache cache = cache_of(*b);
  update_cache(cache, a);
  a.listening = true;
  const Path path = cached_path(cache, a);
  if (path != Path::holders) return;
  std::vector<Conflict> conflicts = tcp_conflicts(a, *b, v);
  if (conflicts.empty()) return;
  refuse_for(out, std::move(conflicts));
  out.failing = Operation::listen;
}

void ask_tcp_port(Verdict& out, const Request& r, const Asker& a, const model::PortView& view,
                  const Variants& v) {
  const model::Bucket* b = find_tcp_bucket(view, a, r.local.port);
  out.would_succeed = true;
  if (b == nullptr || b->sockets.empty()) {
    out.path = Path::empty;
    return;
  }
  out.path = cached_path(cache_of(*b), a);
  if (out.path == Path::holders) {
    std::vector<Conflict> conflicts = tcp_conflicts(a, *b, v);
    if (!conflicts.empty()) return refuse_for(out, std::move(conflicts));
  }
  if (r.then_listen) listen_after_bind(out, a, b, v);
}

void ask_udp_port(Verdict& out, const Request& r, const Asker& a, const model::PortView& view,
                  const Variants& v) {
  std::vector<Conflict> conflicts = udp_conflicts(a, r, view, v, out);
  if (!conflicts.empty()) return refuse_for(out, std::move(conflicts));
  out.would_succeed = true;
}

void ask_table(Verdict& out, const Request& r, const Asker& a, const model::PortView& view,
               const HostFacts& facts, const Variants& v, Doubt doubt) {
  const bool tcp = is_tcp(r.proto);
  if (r.op == Operation::connect && tcp) return connect_tcp(out, r, a, view, facts, v, doubt);
  if (r.local.port != 0)
    return tcp ? ask_tcp_port(out, r, a, view, v) : ask_udp_port(out, r, a, view, v);
  if (r.op == Operation::bind && r.flags.has(SocketFlag::bind_no_port)) {
    out.would_succeed = true;
    out.path = Path::no_port;
    return;
  }
  return tcp ? choose_tcp_port(out, r, a, view, facts, v, doubt)
             : choose_udp_port(out, r, a, view, facts, v);
}

// What is missing for the VRF that selects the bucket.
void note_unknown_vrf(Verdict& out, const Request& r, const HostFacts& facts, uint32_t dev) {
  if (dev == 0 || !is_tcp(r.proto)) return;
  if (facts.tcp_l3mdev_accept && facts.interfaces) return;
  out.unknown.emplace_back("the VRF of the interface the socket is bound to");
  out.open = true;
}

void note_torn_walk(Verdict& out, const model::PortView& view) {
  if (!view.torn && !view.truncated) return;
  out.unknown.emplace_back(view.torn ? "sockets that came or went while the port was read"
                                     : "sockets beyond the first ones of a very long chain");
  out.open = true;
}

} // namespace

Verdict decide_with(Doubt doubt, const Request& r, const model::PortView& view,
                    const HostFacts& facts, const Variants& v) {
  Verdict out;
  out.failing = r.op;
  uint32_t dev = r.dev;
  if (r.proto == model::Proto::udplite && !v.udplite) {
    refuse(out, EPROTONOSUPPORT, Rule::invalid_argument, Path::checks);
    return out;
  }
  if (r.then_listen && !is_tcp(r.proto)) {
    out.failing = Operation::listen;
    refuse(out, EOPNOTSUPP, Rule::invalid_argument, Path::checks);
    return out;
  }
  if (!passes_checks(r, facts, dev, out)) return out;

  // A UDP socket that has a port connects without asking the table.
  if (r.op == Operation::connect && !is_tcp(r.proto) && r.local.port != 0) {
    out.would_succeed = true;
    return out;
  }
  const Asker a = make_asker(r, facts, dev);
  note_unknown_vrf(out, r, facts, dev);
  ask_table(out, r, a, view, facts, v, doubt);
  if (out.path != Path::no_port) note_torn_walk(out, view);
  for (Conflict& c : out.blockers)
    c.relation = relation_of(c.socket->local.addr, r.local.addr);
  return out;
}

Verdict decide(const Request& r, const model::PortView& view, const HostFacts& facts,
               const Variants& v) {
  return decide_with(Doubt::for_the_call, r, view, facts, v);
}

} // namespace bindlens::rules
