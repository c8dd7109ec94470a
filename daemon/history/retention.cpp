#include "retention.h"

#include "side_tables.h"

#include <algorithm>

namespace bindlens::history {

namespace {

constexpr int64_t slice = 4096; // events deleted at once
constexpr int64_t failure_slice = 256;
constexpr uint64_t bytes_per_row = 256; // an event with its share of everything else
constexpr int64_t ns_per_minute = 60'000'000'000;
constexpr int64_t sweep_after = 2 * slice;
// Shares come once a minute, also where nothing else happens: so many bytes for one of them.
constexpr uint64_t bytes_per_share = 1024;

int64_t single(Database& db, const std::string& sql) {
  Statement s(db, sql);
  return s.bind().step() ? s.integer(0) : 0;
}

} // namespace

uint64_t Retention::wal_bytes(uint64_t max_bytes) {
  return std::clamp<uint64_t>(max_bytes / 8, 1u << 20, 16u << 20);
}

Retention::Retention(Database& db, const Config& config, int64_t events)
    : db_(db), target_((config.max_bytes - wal_bytes(config.max_bytes)) / 16 * 15),
      most_shares_(static_cast<int64_t>(config.max_bytes / bytes_per_share)),
      max_age_(std::chrono::nanoseconds(config.max_age).count()), events_(events),
      from_(single(db, "SELECT min(id) FROM event WHERE type <> 5")),
      page_size_(static_cast<uint64_t>(single(db, "PRAGMA page_size"))),
      pages_(db, "PRAGMA page_count"), free_pages_(db, "PRAGMA freelist_count"),
      nth_event_(db, "SELECT e.id, e.wall, c.offset, b.boot_id FROM event e JOIN clock c ON c.id = "
                     "e.clock JOIN boot b ON b.id = c.boot WHERE e.id >= ? AND e.type <> 5 ORDER "
                     "BY e.id LIMIT 1 OFFSET ?"),
      nth_failure_(db, "SELECT f.id, f.wall, c.offset, b.boot_id FROM failure f JOIN clock c ON "
                       "c.id = f.clock JOIN boot b ON b.id = c.boot WHERE f.id >= ? ORDER BY f.id "
                       "LIMIT 1 OFFSET ?"),
      delete_events_(db, "DELETE FROM event WHERE id >= ? AND id < ? AND type <> 5"),
      delete_sockets_(db, "DELETE FROM socket WHERE released_event < ?"),
      delete_gaps_(db, "DELETE FROM gap WHERE event < ?"),
      delete_reuses_(db, "DELETE FROM reuse WHERE event < ?"),
      delete_shares_(db, "DELETE FROM share WHERE id IN (SELECT id FROM share ORDER BY id LIMIT "
                         "8192) AND event < ?"),
      delete_short_lived_(db, "DELETE FROM short_lived WHERE minute < ?"),
      delete_failure_(db, "DELETE FROM failure WHERE id < ?"),
      oldest_share_(db, "SELECT s.id, s.wall, c.offset, b.boot_id FROM share s JOIN clock c ON "
                        "c.id = s.clock JOIN boot b ON b.id = c.boot ORDER BY s.id LIMIT 1"),
      excess_shares_(db, "DELETE FROM share WHERE id <= (SELECT max(id) FROM share) - ?") {}

uint64_t Retention::used_bytes() {
  const int64_t pages = pages_.bind().step() ? pages_.integer(0) : 0;
  const int64_t unused = free_pages_.bind().step() ? free_pages_.integer(0) : 0;
  pages_.reset();
  free_pages_.reset();
  return static_cast<uint64_t>(pages - unused) * page_size_;
}

int64_t Retention::oldest_wall() {
  const int64_t wall = nth_event_.bind(int64_t{0}, 0).step() ? nth_event_.integer(1) : 0;
  nth_event_.reset();
  return wall;
}

// The age of what this boot saw does not depend on how the clock was set.
Retention::Oldest Retention::oldest(Statement& select, const Clocks& clocks) {
  if (!select.step()) return {};
  Oldest o{select.integer(0), select.integer(1), false};
  const bool this_boot = select.text(3) == clocks.boot_id;
  const int64_t age = this_boot ? static_cast<int64_t>(clocks.now) - (o.wall - select.integer(2))
                                : clocks.wall() - o.wall;
  o.too_old = age > max_age_;
  select.reset();
  return o;
}

void Retention::delete_events(int64_t before) {
  delete_events_.run(from_, before);
  deleted_ += db_.changes();
  events_ -= db_.changes();
  delete_sockets_.run(before);
  delete_gaps_.run(before);
  delete_reuses_.run(before);
  delete_shares_.run(before);
  from_ = before;
  if (const int64_t wall = oldest_wall(); wall != 0) delete_short_lived_.run(wall / ns_per_minute);
  if (deleted_ >= std::max(sweep_after, events_ / 4)) sweep(before);
}

// Side tables: what no row refers to any more.
void Retention::sweep(int64_t before) {
  deleted_ = 0;
  swept_ = true;
  db_.execute("DELETE FROM process WHERE last_event < " +
              std::to_string(before - SideTables::touch_after) +
              " AND id NOT IN (SELECT binder FROM socket WHERE released_event IS NULL AND binder "
              "IS NOT NULL) AND id NOT IN (SELECT process FROM failure) AND id NOT IN (SELECT "
              "binder FROM blocker WHERE binder IS NOT NULL) AND id NOT IN (SELECT process FROM "
              "holder)");
  db_.execute("DELETE FROM text WHERE id NOT IN (SELECT user FROM process WHERE user IS NOT NULL "
              "UNION SELECT exe FROM process WHERE exe IS NOT NULL UNION SELECT cgroup FROM "
              "process WHERE cgroup IS NOT NULL UNION SELECT unit FROM process WHERE unit IS NOT "
              "NULL UNION SELECT container FROM process WHERE container IS NOT NULL)");
  db_.execute("DELETE FROM finding WHERE id NOT IN (SELECT detail FROM event WHERE type = 9)");
}

bool Retention::delete_failures(const Clocks& clocks, bool even_young) {
  const Oldest first = oldest(nth_failure_.bind(int64_t{0}, 0), clocks);
  if (first.id == 0 || (!even_young && !first.too_old)) return false;
  const Oldest nth = oldest(nth_failure_.bind(int64_t{0}, failure_slice), clocks);
  const bool whole_slice = even_young || (nth.id != 0 && nth.too_old);
  delete_failure_.run(first.id + (whole_slice ? failure_slice : 1));
  return true;
}

// By slices while a whole one is too old, then one by one.
void Retention::delete_too_old(const Clocks& clocks) {
  while (!db_.failed()) {
    const Oldest first = oldest(nth_event_.bind(from_, 0), clocks);
    if (first.id == 0 || !first.too_old) break;
    const Oldest nth = oldest(nth_event_.bind(from_, slice), clocks);
    delete_events(nth.id != 0 && nth.too_old ? nth.id : first.id + 1);
  }
  while (!db_.failed() && delete_failures(clocks, false)) {
  }
}

// They are in the order of their numbers, and the oldest has gone each time.
void Retention::delete_shares(const Clocks& clocks) {
  excess_shares_.run(most_shares_);
  const Oldest first = oldest(oldest_share_.bind(), clocks);
  if (first.too_old)
    db_.execute("DELETE FROM share WHERE id < " + std::to_string(first.id + slice) +
                " AND wall < " + std::to_string(clocks.wall() - max_age_));
}

bool Retention::make_room(size_t rows, const Clocks& clocks) {
  delete_too_old(clocks);
  delete_shares(clocks);
  const uint64_t needed = rows * bytes_per_row;
  while (!db_.failed() && used_bytes() + needed > target_) {
    const Oldest nth = oldest(nth_event_.bind(from_, slice), clocks);
    if (nth.id != 0) {
      delete_events(nth.id);
    } else if (!delete_failures(clocks, true)) { // the newest few events stay even longer
      const Oldest first = oldest(nth_event_.bind(from_, 0), clocks);
      if (first.id != 0)
        delete_events(first.id + slice);
      else if (deleted_ != 0)
        sweep(from_);
      else
        return false;
    }
  }
  return true;
}

void Retention::shrink() {
  const int64_t pages = pages_.bind().step() ? pages_.integer(0) : 0;
  pages_.reset();
  if (static_cast<uint64_t>(pages) * page_size_ > target_ + target_ / 15)
    db_.execute("PRAGMA incremental_vacuum(1024)");
}

} // namespace bindlens::history
