#include "members.h"

#include <bindlens/analysis/share_memory.h>

#include <algorithm>
#include <utility>

namespace bindlens::analysis {

using model::Measure;
using model::ReuseportGroup;
using model::ReuseportMember;

namespace {

// Members that joined within so small a part of the time since then count as having
// joined together: what the first of them got alone is a twentieth of a share at most.
constexpr uint64_t together_part = 20;
// So many samples for each member are enough to go by.
constexpr uint64_t enough_samples = 30;
constexpr int has_peer = -2;

bool joined_together(MonoNs first, MonoNs last, size_t members, MonoNs now) {
  if (first == last) return true;
  return now > last && (last - first) * members * together_part <= now - last;
}

bool joined_together(const ReuseportGroup& g, MonoNs now) {
  if (g.members.empty()) return true;
  const auto [first, last] =
      std::ranges::minmax(g.members, {}, [](const ReuseportMember& m) { return m.counters.since; });
  return joined_together(first.counters.since, last.counters.since, g.members.size(), now);
}

MonoNs last_joined(const ReuseportGroup& g) {
  MonoNs last = 0;
  for (const ReuseportMember& m : g.members)
    last = std::max(last, m.counters.since);
  return last;
}

// Those who were there from the start have been together all the time, whoever joined or
// left meanwhile.
ShareWindow first_members(const ReuseportGroup& g, Measure measure) {
  MonoNs first = ~MonoNs{0};
  for (const ReuseportMember& m : g.members)
    first = std::min(first, m.counters.since);
  ShareWindow w;
  w.since = first;
  w.from_start = true;
  w.measure = measure;
  for (const ReuseportMember& m : g.members) {
    const bool compared = m.counters.since == first;
    w.counts.push_back(compared ? std::optional(distributed_to(m, measure)) : std::nullopt);
    w.drops.push_back(compared ? m.counters.drops.value_or(0) : 0);
  }
  return w;
}

// Counters are not all read at one moment: what is made of two can shrink a little.
uint64_t grown(uint64_t from, uint64_t to) {
  return to - std::min(from, to);
}

uint64_t total_of(const ShareWindow& w) {
  uint64_t total = 0;
  for (const auto& c : w.counts)
    total += c.value_or(0);
  return total;
}

size_t compared_in(const ShareWindow& w) {
  return static_cast<size_t>(
      std::ranges::count_if(w.counts, [](const auto& c) { return c.has_value(); }));
}

} // namespace

ShareMemory::Rules ShareMemory::rules_of(const ReuseportGroup& g) {
  Rules r{g.steering, g.program_id, {}};
  for (const ReuseportMember& m : g.members) {
    if (m.socket.is(model::SocketFlag::connected)) r.exceptions.emplace_back(m.socket.id, has_peer);
    if (m.incoming_cpu >= 0) r.exceptions.emplace_back(m.socket.id, m.incoming_cpu);
  }
  std::ranges::sort(r.exceptions);
  return r;
}

bool ShareMemory::has_newcomer(const Group& known, const ReuseportGroup& g) {
  return std::ranges::any_of(g.members, [&](const ReuseportMember& m) {
    const auto it = known.members.find(m.socket.id);
    return it == known.members.end() || it->second.counted_since != m.counters.since;
  });
}

void ShareMemory::restart(Group& known, const ReuseportGroup& g, MonoNs now) {
  const bool none_known = std::ranges::none_of(
      g.members, [&](const ReuseportMember& m) { return known.members.contains(m.socket.id); });
  // From the beginning of the counters, where that is the same time for all.
  const bool whole = none_known && joined_together(g, now);
  known.rules_changed = !none_known && known.rules != rules_of(g);
  known.from_start = whole;
  known.since = whole ? last_joined(g) : now;
  known.measure = measure_of(g);
  known.rules = rules_of(g);
  auto before = std::exchange(known.members, {});
  for (const ReuseportMember& m : g.members) {
    Member& kept = known.members[m.socket.id];
    if (const auto it = before.find(m.socket.id); it != before.end()) kept = it->second;
    kept.counted_since = m.counters.since;
    kept.count = whole ? 0 : distributed_to(m, known.measure);
    kept.drops = whole ? 0 : m.counters.drops.value_or(0);
  }
}

void ShareMemory::note_waiting(Member& known, const ReuseportMember& m, MonoNs now) {
  const uint64_t taken = taken_by(m);
  const bool waits = is_waiting(m);
  if (!waits)
    known.waiting_since = 0;
  else if (known.waiting_since == 0 || taken != known.taken)
    known.waiting_since = now;
  known.taken = taken;
}

ShareWindow ShareMemory::window_of(const Group& known, const ReuseportGroup& g) {
  ShareWindow w;
  w.since = known.since;
  w.from_start = known.from_start;
  w.measure = known.measure;
  for (const ReuseportMember& m : g.members) {
    const Member& base = known.members.at(m.socket.id);
    w.counts.push_back(grown(base.count, distributed_to(m, known.measure)));
    w.drops.push_back(grown(base.drops, m.counters.drops.value_or(0)));
  }
  if (total_of(w) >= enough_samples * g.members.size() || known.rules_changed) return w;
  ShareWindow first = first_members(g, known.measure);
  return compared_in(first) > 1 && total_of(first) > total_of(w) ? first : w;
}

ShareWindow ShareMemory::observe(const ReuseportGroup& g, MonoNs now) {
  const auto [it, fresh] = groups_.try_emplace(g.id);
  Group& known = it->second;
  known.seen = now;
  if (fresh || known.measure != measure_of(g) || known.rules != rules_of(g) ||
      has_newcomer(known, g))
    restart(known, g, now);
  for (const ReuseportMember& m : g.members)
    note_waiting(known.members.at(m.socket.id), m, now);
  ShareWindow w = window_of(known, g);
  for (const ReuseportMember& m : g.members)
    w.waiting_since.push_back(known.members.at(m.socket.id).waiting_since);
  return w;
}

void ShareMemory::forget_before(MonoNs time) {
  std::erase_if(groups_, [&](const auto& g) { return g.second.seen < time; });
}

} // namespace bindlens::analysis
