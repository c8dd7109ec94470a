#pragma once

#include "read_rows.h"

#include <bindlens/history/query.h>

#include <memory>

namespace bindlens::history {

// The connection of one query, with what all kinds of queries need.
class Reading {
 public:
  // Fails when there is no such file, or one that this version cannot read.
  [[nodiscard]] static Result<std::unique_ptr<Reading>> open(const Source& source);

  [[nodiscard]] Database& db() { return db_; }
  [[nodiscard]] ReadRows& rows() { return *rows_; }
  // The errors so far; ECANCELED when the query was cancelled.
  [[nodiscard]] Result<void> result();

 private:
  Reading(Database db, Source source) : db_(std::move(db)), source_(std::move(source)) {}
  static int is_cancelled(void* reading);

  Database db_;
  Source source_;
  std::unique_ptr<ReadRows> rows_;
};

// Wall time goes with monotonic time except where the clock was set back, or a
// machine started with an earlier one: rows of one stretch are in the order of both.
struct Stretch {
  int64_t first_clock = 0;
  int64_t last_clock = INT64_MAX;
};
[[nodiscard]] std::vector<Stretch> stretches(Database& db);

// Spans of which not everything is known, in the order of their beginning, as far as
// they touch the range; `about` decides which counted sockets belong to it.
[[nodiscard]] std::vector<model::Missing> missing_in(Database& db, int64_t from, int64_t until,
                                                     const model::Filter& about);

} // namespace bindlens::history
