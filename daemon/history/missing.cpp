#include "reading.h"

#include <algorithm>

namespace bindlens::history {

namespace {

using model::GapCause;
using model::Missing;

constexpr int64_t ns_per_minute = 60'000'000'000;
constexpr size_t most = 10'000;

// Before the first start, or before the oldest event that is kept.
void add_not_kept(Database& db, int64_t from, std::vector<Missing>& all) {
  Statement oldest(db, "SELECT e.wall, e.type, e.detail FROM event e WHERE e.type <> 5 ORDER BY "
                       "e.id LIMIT 1");
  if (!oldest.bind().step() || oldest.integer(0) <= from) return;
  const bool first_start =
      oldest.integer(1) == static_cast<int64_t>(model::EventType::start) && oldest.integer(2) == 1;
  Missing m;
  m.why = Missing::Why::not_kept;
  m.from = from;
  m.until = oldest.integer(0);
  m.reason = first_start ? "the daemon had not been started yet"
                         : "what is older was deleted to keep the history within its size and age";
  all.push_back(std::move(m));
}

void add_not_running(Database& db, int64_t from, int64_t until, std::vector<Missing>& all) {
  Statement runs(db, "SELECT coalesce(p.ended, p.seen), r.started, p.ended IS NULL FROM run r JOIN "
                     "run p ON p.id = r.id - 1 WHERE r.started >= ? ORDER BY r.id");
  runs.bind(from);
  while (runs.step() && all.size() < most) {
    if (runs.integer(0) > until) continue;
    Missing m;
    m.why = Missing::Why::not_running;
    m.from = std::min(runs.integer(0), runs.integer(1));
    m.until = runs.integer(1);
    m.reason = runs.integer(2) != 0 ? "the daemon did not run; it had not come to its end by itself"
                                    : "the daemon did not run";
    all.push_back(std::move(m));
  }
}

std::string_view lost_to(GapCause cause) {
  switch (cause) {
  case GapCause::kernel:
    return "events were lost between the kernel and the daemon";
  case GapCause::queue:
    return "the disk was too slow for the history";
  case GapCause::disk:
    return "the history could not be written";
  }
  return "events were lost";
}

void add_lost(Database& db, int64_t from, int64_t until, std::vector<Missing>& all) {
  Statement gaps(db, "SELECT coalesce(g.since, e.wall), e.wall, e.detail, g.cause FROM gap g JOIN "
                     "event e ON e.id = g.event WHERE e.wall >= ? ORDER BY g.event");
  gaps.bind(from);
  while (gaps.step() && all.size() < most) {
    if (gaps.integer(0) > until) continue;
    Missing m;
    m.from = gaps.integer(0);
    m.until = gaps.integer(1);
    m.count = static_cast<uint64_t>(gaps.integer(2));
    m.reason = lost_to(static_cast<GapCause>(gaps.integer(3)));
    all.push_back(std::move(m));
  }
}

// What could tell one counted socket from another was not kept, but for these.
std::string counted_condition(const model::Filter& about) {
  std::string sql;
  std::string_view separator = " AND (";
  for (const model::PortRange r : about.ports) {
    sql += std::string(separator) + "s.port BETWEEN " + std::to_string(r.first) + " AND " +
           std::to_string(r.last);
    separator = " OR ";
  }
  if (!about.ports.empty()) sql += ")";
  separator = " AND s.proto IN (";
  for (const model::Proto p : about.protos) {
    sql += std::string(separator) + std::to_string(static_cast<int>(p));
    separator = ", ";
  }
  if (!about.protos.empty()) sql += ")";
  if (about.netns) sql += " AND n.inode = " + std::to_string(*about.netns);
  return sql;
}

void add_counted(Database& db, int64_t from, int64_t until, const model::Filter& about,
                 std::vector<Missing>& all) {
  Statement counts(db, "SELECT s.minute, sum(s.count) FROM short_lived s JOIN namespace n ON n.id "
                       "= s.namespace WHERE s.minute BETWEEN ? AND ?" +
                           counted_condition(about) + " GROUP BY s.minute ORDER BY s.minute");
  counts.bind(from / ns_per_minute, until / ns_per_minute);
  int64_t next = -1;
  while (counts.step() && all.size() < most) {
    const int64_t minute = counts.integer(0);
    if (minute != next) {
      Missing m;
      m.why = Missing::Why::counted;
      m.from = minute * ns_per_minute;
      m.reason = "sockets that came and went within a second are only counted here";
      all.push_back(std::move(m));
    }
    next = minute + 1;
    all.back().until = next * ns_per_minute;
    all.back().count += static_cast<uint64_t>(counts.integer(1));
  }
}

} // namespace

std::vector<Missing> missing_in(Database& db, int64_t from, int64_t until,
                                const model::Filter& about) {
  std::vector<Missing> all;
  if (from != 0) add_not_kept(db, from, all);
  add_not_running(db, from, until, all);
  add_lost(db, from, until, all);
  add_counted(db, from, until, about, all);
  std::stable_sort(all.begin(), all.end(),
                   [](const Missing& a, const Missing& b) { return a.from < b.from; });
  return all;
}

} // namespace bindlens::history
