#include "reading.h"

#include <bindlens/history/schema.h>

#include <sqlite3.h>

#include <algorithm>
#include <cerrno>

namespace bindlens::history {

namespace {

// Instructions of SQLite's machine between two looks at the flag: under a millisecond.
constexpr int look_after = 10'000;
constexpr int64_t set_back = 1'000'000;

} // namespace

int Reading::is_cancelled(void* reading) {
  return static_cast<Reading*>(reading)->source_.cancel->load(std::memory_order_relaxed) ? 1 : 0;
}

Result<std::unique_ptr<Reading>> Reading::open(const Source& source) {
  auto db = Database::open(source.path, Database::Mode::read);
  if (!db) return std::unexpected(db.error());
  const SchemaState state = read_schema_state(*db);
  if (auto read = db->take_error(); !read) return fail(read.error(), source.path);
  if (state.problem() != SchemaProblem::none) return fail(describe(state, source.path));
  if (state.empty) return fail(source.path + " is still empty");
  std::unique_ptr<Reading> r(new Reading(*std::move(db), source));
  ::sqlite3_progress_handler(r->db_.handle(), look_after, &Reading::is_cancelled, r.get());
  r->rows_ = std::make_unique<ReadRows>(r->db_);
  if (auto prepared = r->result(); !prepared) return std::unexpected(prepared.error());
  return r;
}

Result<void> Reading::result() {
  if (source_.cancel->load(std::memory_order_relaxed)) return fail("cancelled", ECANCELED);
  auto errors = db_.take_error();
  if (!errors) return fail(errors.error(), source_.path);
  return {};
}

std::vector<Stretch> stretches(Database& db) {
  // A clock, the one before it in this boot, and where a run that began with it stands
  // to the run before.
  Statement clocks(db, "SELECT id, boot, offset FROM clock ORDER BY id");
  Statement runs(db, "SELECT r.clock, r.started < (SELECT coalesce(p.ended, p.seen) FROM run p "
                     "WHERE p.id = r.id - 1) FROM run r ORDER BY r.id");
  std::vector<int64_t> begins_anew;
  runs.bind();
  while (runs.step())
    if (runs.integer(1) != 0) begins_anew.push_back(runs.integer(0));
  std::vector<Stretch> all(1);
  int64_t boot = 0;
  int64_t offset = 0;
  clocks.bind();
  while (clocks.step()) {
    const int64_t id = clocks.integer(0);
    const bool back = clocks.integer(1) == boot && clocks.integer(2) < offset - set_back;
    if (back || std::find(begins_anew.begin(), begins_anew.end(), id) != begins_anew.end()) {
      all.back().last_clock = id - 1;
      all.push_back({id, INT64_MAX});
    }
    boot = clocks.integer(1);
    offset = clocks.integer(2);
  }
  return all;
}

} // namespace bindlens::history
