#include <bindlens/rules/change.h>

#include "change_text.h"
#include "tables.h"
#include "unowned.h"

#include <algorithm>
#include <set>

namespace bindlens::rules {

using model::Address;
using model::Blocker;
using model::Family;
using model::PortView;
using model::Rule;
using model::Socket;
using model::SocketFlag;
using model::State;

namespace {

// What the search works on: a copy of the request and of the buckets that matter.
struct World {
  Request request;
  PortView view;
  HostFacts facts;
};

struct Search {
  const Request& request;
  const Verdict& refusal;
  const HostFacts& facts;
  const Variants& variants;
  std::set<model::SocketId> blocking; // ids of the sockets in the way
  PortView view;                      // the buckets of the port, nothing else
};

PortView narrowed(const PortView& view, const Request& r) {
  PortView out;
  for (const model::Bucket& b : view.buckets) {
    const bool same_table = b.proto == r.proto || (is_tcp(b.proto) && is_tcp(r.proto));
    const bool holds =
        b.port == r.local.port || std::ranges::any_of(b.sockets, [&](const Socket& s) {
          return s.local.port == r.local.port;
        });
    if (same_table && (holds || r.local.port == 0)) out.buckets.push_back(b);
  }
  return out;
}

template <typename Act>
void for_each_blocking(World& w, const std::set<model::SocketId>& blocking, Act act) {
  for (model::Bucket& b : w.view.buckets)
    for (Socket& s : b.sockets)
      if (blocking.contains(s.id)) act(s);
}

void erase_if(World& w, const auto& doomed) {
  for (model::Bucket& b : w.view.buckets) {
    const auto erased = static_cast<uint32_t>(std::erase_if(b.sockets, doomed));
    b.slot_count -= std::min(b.slot_count, erased);
  }
}

bool has_connection(const Socket& s) {
  return s.state != State::listen && s.state != State::bound && s.proto != model::Proto::udp &&
         s.proto != model::Proto::udplite;
}

// Neither TIME_WAIT nor closed already: something can be done to end it.
bool can_be_closed(const Socket& s) {
  return !in_time_wait(s) && unowned(s) != Unowned::closed;
}

// A connection that this side closes stays as TIME_WAIT with the same options;
// one that nobody has accepted is reset when its listener closes.
void close_blocking(World& w, const Search& in) {
  erase_if(w, [&](const Socket& s) {
    return in.blocking.contains(s.id) && can_be_closed(s) &&
           (!has_connection(s) || unowned(s) == Unowned::queued);
  });
  for_each_blocking(w, in.blocking, [](Socket& s) {
    if (!can_be_closed(s)) return;
    s.state = State::time_wait;
    s.flags.set(SocketFlag::timewait);
    s.tw_left_ms = 0;
  });
}

std::optional<uint32_t> common_uid(const Search& in) {
  std::optional<uint32_t> uid;
  for (const Conflict& c : in.refusal.blockers) {
    if (in_time_wait(*c.socket)) continue;
    const uint32_t u = holder_uid(*c.socket, in.variants);
    if (uid && *uid != u) return std::nullopt;
    uid = u;
  }
  return uid;
}

// Addresses of the host, most useful first: not loopback, then loopback.
std::vector<Address> candidates(const HostFacts& facts, Family family) {
  std::vector<Address> out;
  if (family == Family::inet && facts.routes) {
    for (const Route& r : *facts.routes)
      if (r.type == RouteType::local && r.length == 32) out.push_back(r.prefix);
  } else if (family == Family::inet6 && facts.addresses6) {
    for (const Address6& a : *facts.addresses6)
      if (!a.tentative && !(a.addr.bytes[0] == 0xfe && (a.addr.bytes[1] & 0xc0) == 0x80))
        out.push_back(a.addr);
  }
  std::ranges::stable_partition(out, [](const Address& a) { return !a.is_loopback(); });
  return out;
}

bool apply_other_address(World& w, const Search& in) {
  const Address before = w.request.local.addr;
  for (const Address& a : candidates(in.facts, before.family)) {
    if (a == before) continue;
    w.request.local.addr = a;
    if (decide(w.request, w.view, w.facts, in.variants).would_succeed) return true;
  }
  w.request.local.addr = before;
  return false;
}

// The steps that could be of use for this refusal, the least trouble first.
std::vector<Step> useful_steps(const Search& in) {
  const auto has = [&](SocketFlag f) { return in.request.flags.has(f); };
  std::vector<Step> out;
  const Rule rule = in.refusal.rule;
  if (rule == Rule::privileged_port) return {Step::capability, Step::unprivileged_port};
  if (rule == Rule::address_not_local) return {Step::other_address, Step::set_freebind};
  if (in.refusal.blockers.empty()) return {};
  const auto any = [&](auto is) {
    return std::ranges::any_of(in.refusal.blockers,
                               [&](const Conflict& c) { return is(*c.socket); });
  };
  const bool lives = any([](const Socket& s) { return !in_time_wait(s); });
  const bool closable = any(can_be_closed);
  if (!has(SocketFlag::reuseaddr)) out.push_back(Step::set_reuseaddr);
  if (!has(SocketFlag::reuseport)) out.push_back(Step::set_reuseport);
  if (in.request.local.addr.family == Family::inet6 && !has(SocketFlag::v6only))
    out.push_back(Step::set_v6only);
  if (any(takes_options)) {
    out.push_back(Step::holders_reuseaddr);
    out.push_back(Step::holders_reuseport);
  }
  if (lives)
    if (auto uid = common_uid(in); uid && *uid != in.request.uid) out.push_back(Step::same_user);
  if (closable) out.push_back(Step::close_holders);
  if (any([](const Socket& s) { return unowned(s) == Unowned::closed; }))
    out.push_back(Step::wait_for_closed);
  if (closable || any(in_time_wait)) out.push_back(Step::wait);
  out.push_back(Step::other_address);
  return out;
}

bool apply(Step step, World& w, const Search& in) {
  switch (step) {
  case Step::set_reuseaddr:
    w.request.flags.set(SocketFlag::reuseaddr);
    return true;
  case Step::set_reuseport:
    w.request.flags.set(SocketFlag::reuseport);
    return true;
  case Step::set_v6only:
    w.request.flags.set(SocketFlag::v6only);
    return true;
  case Step::set_freebind:
    w.request.flags.set(SocketFlag::freebind);
    return true;
  case Step::holders_reuseaddr:
  case Step::holders_reuseport:
    for_each_blocking(w, in.blocking, [&](Socket& s) {
      if (takes_options(s))
        s.flags.set(step == Step::holders_reuseaddr ? SocketFlag::reuseaddr
                                                    : SocketFlag::reuseport);
    });
    return true;
  case Step::same_user:
    w.request.uid = common_uid(in).value_or(w.request.uid);
    return true;
  case Step::close_holders:
    close_blocking(w, in);
    return true;
  case Step::wait_for_closed:
    erase_if(w, [](const Socket& s) { return unowned(s) == Unowned::closed; });
    return true;
  case Step::wait:
    erase_if(w, [](const Socket& s) { return in_time_wait(s); });
    return true;
  case Step::other_address:
    return apply_other_address(w, in);
  case Step::capability:
    w.facts.cap_net_bind_service = true;
    return true;
  case Step::unprivileged_port:
    // Nobody can hold a port that is still to be chosen.
    w.request.local.port = w.facts.unprivileged_port_start.value_or(1024);
    w.view = {};
    return w.request.local.port != 0;
  }
  return false;
}

// Steps work in the order in which a person would take them: what changes the
// holders comes before what looks at the result.
bool succeeds(const std::vector<Step>& steps, const Search& in, Request& as_made) {
  World w{in.request, in.view, in.facts};
  for (Step s : steps)
    if (!apply(s, w, in)) return false;
  as_made = w.request;
  const Verdict v = decide(w.request, w.view, w.facts, in.variants);
  return v.would_succeed && !v.open;
}

bool contains_smaller(const std::vector<Change>& found, const std::vector<Step>& steps) {
  return std::ranges::any_of(found, [&](const Change& c) {
    return std::ranges::all_of(c.steps,
                               [&](Step s) { return std::ranges::find(steps, s) != steps.end(); });
  });
}

constexpr size_t most_changes = 6;

// Every try copies the holders: with very many of them (TIME_WAIT by the
// thousand) three steps at once are left out.
size_t most_steps(const PortView& view) {
  size_t rows = 0;
  for (const model::Bucket& b : view.buckets)
    rows += b.sockets.size();
  constexpr size_t many = 1000;
  return rows > many ? 2 : 3;
}

void try_subsets(const std::vector<Step>& useful, size_t size, size_t from,
                 std::vector<Step>& chosen, const Search& in, std::vector<Change>& found) {
  if (chosen.size() == size) {
    Request as_made;
    if (!contains_smaller(found, chosen) && succeeds(chosen, in, as_made))
      found.push_back({chosen, "", as_made, 0});
    return;
  }
  for (size_t i = from; i < useful.size(); ++i) {
    chosen.push_back(useful[i]);
    try_subsets(useful, size, i + 1, chosen, in, found);
    chosen.pop_back();
  }
}

} // namespace

std::vector<Change> minimal_changes(const Request& request, const Verdict& refusal,
                                    const PortView& view, const HostFacts& facts,
                                    const Variants& variants, std::span<const Blocker> blockers,
                                    const Names& names) {
  if (refusal.would_succeed) return {};
  Search in{request, refusal, facts, variants, {}, narrowed(view, request)};
  for (const Conflict& c : refusal.blockers)
    in.blocking.insert(c.socket->id);

  std::vector<Change> found;
  const std::vector<Step> useful = useful_steps(in);
  std::vector<Step> chosen;
  for (size_t size = 1; size <= std::min(most_steps(in.view), useful.size()); ++size)
    try_subsets(useful, size, 0, chosen, in, found);
  if (found.size() > most_changes) found.resize(most_changes);
  for (Change& c : found) {
    c.wait_s = wait_for(c, blockers);
    c.text = change_text(c, blockers, facts, names);
  }
  return found;
}

} // namespace bindlens::rules
