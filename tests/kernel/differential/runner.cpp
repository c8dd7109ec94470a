#include "runner.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace differential {

using bindlens::Result;
using bindlens::model::Family;
using bindlens::model::PortView;
using bindlens::model::Socket;
using bindlens::model::SocketFlag;
using bindlens::model::State;
namespace rules = bindlens::rules;

namespace {

// One operation with everything that was known when it was made.
struct Asked {
  rules::Request request;
  rules::HostFacts facts;
  PortView view;
  rules::Verdict verdict;
};

// The walk that the engine needs, and the one in which the socket itself is.
Result<PortView> walk_for(const Bench& bench, const World& world, const Op& op,
                          const rules::Request& r) {
  const bool whole = r.local.port == 0 || r.op == rules::Operation::autobind;
  auto view = bench.read(r.proto, whole ? 0 : r.local.port, r.netns);
  if (!view || whole) return view;
  const uint16_t own = world.own_port(op.slot);
  if (own == 0 || own == r.local.port) return view;
  auto more = bench.read(r.proto, own, r.netns);
  if (!more) return more;
  std::ranges::move(more->buckets, std::back_inserter(view->buckets));
  return view;
}

Result<bool> ask(const Bench& bench, const World& world, const Op& op, Asked& a) {
  if (!world.request_for(op, a.request)) return false;
  auto view = walk_for(bench, world, op, a.request);
  if (!view) return std::unexpected(view.error());
  a.view = std::move(*view);
  const uint16_t named = a.request.local.port;
  world.complete_from(a.view, op, a.request);
  if (a.request.local.port != named) {
    // The name was that of a connection that is dissolved: a port will be searched.
    view = walk_for(bench, world, op, a.request);
    if (!view) return std::unexpected(view.error());
    a.view = std::move(*view);
  }
  a.facts = bench.lab.facts(op.kind != Kind::bind || op.c == 0);
  a.verdict = rules::decide(a.request, a.view, a.facts, bench.variants);
  return true;
}

// Of a connect only the port is foretold, not what routing and the peer say.
int relevant_error(const rules::Request& r, int error) {
  if (r.op == rules::Operation::connect) {
    const int of_port =
        bindlens::rules::Operation::connect == r.op && (r.proto == bindlens::model::Proto::udp ||
                                                        r.proto == bindlens::model::Proto::udplite)
            ? EAGAIN
            : EADDRNOTAVAIL;
    return error == of_port ? error : 0;
  }
  return error;
}

// Routing comes before the search for a port. On a device without a fitting
// address IPv6 finds no source, and says that as connect says "no port".
bool fails_in_routing(const rules::Request& r, int error) {
  if (r.op != rules::Operation::connect) return false;
  if (error == EADDRNOTAVAIL) return r.dev != 0 && r.peer.addr.family == Family::inet6;
  return error == ENETUNREACH || error == EHOSTUNREACH || error == EINVAL || error == ENODEV;
}

std::string row_text(const Socket& s) {
  std::string out = "    " + to_string(s.local) + " " + std::string(to_string(s.state));
  for (const auto& [flag, name] : std::initializer_list<std::pair<SocketFlag, const char*>>{
           {SocketFlag::reuseaddr, "reuseaddr"},
           {SocketFlag::reuseport, "reuseport"},
           {SocketFlag::v6only, "v6only"},
           {SocketFlag::orphan, "orphan"},
           {SocketFlag::timewait, "timewait"},
           {SocketFlag::has_group, "group"},
           {SocketFlag::port_locked, "locked"},
           {SocketFlag::connect_bind, "connect-bind"},
           {SocketFlag::force_reuse, "forced"},
           {SocketFlag::mptcp, "mptcp"}})
    if (s.is(flag)) out += std::string(" ") + name;
  out += " uid " + std::to_string(s.uid) + " dev " + std::to_string(s.dev) + " inode " +
         std::to_string(s.inode);
  if (s.peer.port != 0) out += " peer " + to_string(s.peer);
  return out + "\n";
}

std::string detail_of(const Asked& a) {
  const rules::Request& r = a.request;
  std::string out = "  asked " + std::string(to_string(r.proto)) + " " + to_string(r.local) +
                    " uid " + std::to_string(r.uid) + " dev " + std::to_string(r.dev) + " flags " +
                    std::to_string(r.flags.bits) + " path " +
                    std::string(to_string(a.verdict.path)) + "\n";
  if (r.peer.port != 0) out += "  peer " + to_string(r.peer) + "\n";
  for (const auto& b : a.view.buckets) {
    out += "  bucket port " + std::to_string(b.port) + " l3mdev " + std::to_string(b.l3mdev) +
           " fastreuse " + std::to_string(b.fastreuse) + " fastreuseport " +
           std::to_string(b.fastreuseport) + " fastuid " + std::to_string(b.fastuid) + " fast " +
           to_string(b.fast_addr) + " count " + std::to_string(b.slot_count) + "\n";
    for (const Socket& s : b.sockets)
      out += row_text(s);
  }
  return out;
}

// Does a walk made after the call explain what the walk before it did not? Then
// a connection moved on by itself in between.
Result<bool> raced(const Bench& bench, const World& world, const Op& op, const Asked& before,
                   int kernel) {
  Asked after = before;
  auto view = walk_for(bench, world, op, before.request);
  if (!view) return std::unexpected(view.error());
  after.view = std::move(*view);
  for (auto& b : after.view.buckets)
    std::erase_if(b.sockets, [&](const Socket& s) {
      return s.inode != 0 && s.inode == world.at(op.slot).inode && op.kind == Kind::bind;
    });
  const rules::Verdict v = rules::decide(after.request, after.view, after.facts, bench.variants);
  return relevant_error(after.request, v.error) == kernel;
}

bool has_time_wait(const PortView& view) {
  return std::ranges::any_of(view.buckets, [](const auto& b) {
    return std::ranges::any_of(b.sockets,
                               [](const Socket& s) { return s.is(SocketFlag::timewait); });
  });
}

// --- the proof of the holders ---------------------------------------------------

bool can_be_closed(const World& world, const rules::Conflict& c) {
  return world.descriptor_of(c.socket->inode) >= 0 && !c.socket->is(SocketFlag::mptcp);
}

bool still_there(const PortView& view, const Socket& s) {
  return std::ranges::any_of(view.buckets, [&](const auto& b) {
    return std::ranges::any_of(b.sockets, [&](const Socket& x) {
      return x.inode == s.inode && x.local == s.local && x.state == s.state;
    });
  });
}

// Closes the reported holders, all but one or all, and makes the same bind again.
// `seed` chooses.
Result<std::optional<Disagreement>> prove(Bench& bench, World& world, const Op& op, size_t at,
                                          const Asked& a, uint64_t seed) {
  const auto& blockers = a.verdict.blockers;
  const rules::Conflict& kept = blockers[(seed / 2) % blockers.size()];
  const bool keep_one = seed % 2 == 0 && kept.necessary;
  for (const rules::Conflict& c : blockers)
    if (!keep_one || &c != &kept) world.reset_by_inode(c.socket->inode);
  auto view = bench.read(a.request.proto, a.request.local.port, a.request.netns);
  if (!view) return std::unexpected(view.error());
  // Closing one end of a connection may take the other one along.
  if (keep_one && !still_there(*view, *kept.socket)) return std::nullopt;
  const int wanted = keep_one ? EADDRINUSE : 0;
  const int again = world.perform(op);
  if (again == wanted) {
    ++(keep_one ? bench.counts.necessity_proven : bench.counts.holders_proven);
    return std::nullopt;
  }
  const std::string what =
      keep_one ? "left open:\n" + row_text(*kept.socket) : "all reported holders closed:\n";
  return Disagreement{at, again, wanted, what + detail_of(a), true};
}

// Refusals whose reported holders are all ours to close.
bool can_be_proven(const World& world, const Op& op, const Asked& a, int kernel) {
  const auto& blockers = a.verdict.blockers;
  return op.kind == Kind::bind && kernel == EADDRINUSE && !blockers.empty() &&
         std::ranges::all_of(blockers, [&](const auto& c) { return can_be_closed(world, c); });
}

} // namespace

Result<std::optional<Disagreement>> play(Bench& bench, const Sequence& s, uint16_t base,
                                         uint64_t proof) {
  if (auto ok = bench.lab.apply(s.setting, base); !ok) return std::unexpected(ok.error());
  World world(bench.lab, base);
  for (size_t i = 0; i < s.ops.size(); ++i) {
    const Op& op = s.ops[i];
    Asked a;
    auto asked = ask(bench, world, op, a);
    if (!asked) return std::unexpected(asked.error());
    bench.counts.operations += world.at(op.slot).fd || op.kind == Kind::open;
    const int result = world.perform(op);
    if (!*asked || result < 0 || fails_in_routing(a.request, result)) continue;
    if (a.verdict.open) {
      ++bench.counts.open;
      continue;
    }
    ++bench.counts.asked;
    bench.counts.time_wait += has_time_wait(a.view);
    const int kernel = relevant_error(a.request, result);
    const int engine = relevant_error(a.request, a.verdict.error);
    if (kernel != engine) {
      auto race = raced(bench, world, op, a, kernel);
      if (!race) return std::unexpected(race.error());
      if (!*race) return Disagreement{i, kernel, engine, detail_of(a), false};
      ++bench.counts.raced;
      continue;
    }
    bench.counts.refused += kernel != 0;
    if (proof != 0 && (proof + i) % 4 == 0 && can_be_proven(world, op, a, kernel))
      return prove(bench, world, op, i, a, proof / 4);
  }
  return std::nullopt;
}

Sequence shrink(Bench& bench, Sequence s, uint64_t proof,
                const std::function<uint16_t()>& next_base) {
  auto fails = [&](const Sequence& candidate) {
    auto result = play(bench, candidate, next_base(), proof);
    return result && result->has_value();
  };
  // Larger pieces first, then one call at a time, until nothing can go.
  for (size_t piece = s.ops.size() / 2; piece > 0; piece /= 2) {
    for (size_t at = 0; at + piece <= s.ops.size();) {
      Sequence smaller = s;
      const auto from = smaller.ops.begin() + static_cast<std::ptrdiff_t>(at);
      smaller.ops.erase(from, from + static_cast<std::ptrdiff_t>(piece));
      if (fails(smaller))
        s = std::move(smaller);
      else
        at += piece;
    }
  }
  return s;
}

} // namespace differential
