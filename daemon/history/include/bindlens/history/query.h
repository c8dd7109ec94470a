#pragma once

// Reading the history while it is written: on any thread, by a connection of its
// own that only reads.

#include <bindlens/model/filter.h>
#include <bindlens/model/past.h>
#include <bindlens/util/result.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace bindlens::history {

// An answer that is worked out piece by piece. Nothing is held open or locked
// between two pieces, however long the reader takes.
class Query {
 public:
  virtual ~Query() = default;
  // Fails when the file cannot be read, and with ECANCELED when it was cancelled.
  [[nodiscard]] virtual Result<model::PastPiece> next() = 0;
};

// What a query reads.
struct Source {
  std::string path;                // of the file
  const std::atomic<bool>* cancel; // true: give up; must outlive the query
  // The newest row of `event` that belongs to the answer; what is written meanwhile
  // does not.
  int64_t last_event = INT64_MAX;
};

struct Range {
  // Times in it are wall time, as everywhere in model/past.h.
  model::Filter filter;
  std::optional<uint64_t> limit; // the newest so many
};

// Events, oldest first: ordered by boot and monotonic clock. What is missing stands
// in its place between them.
[[nodiscard]] std::unique_ptr<Query> events_query(Source source, Range range);
// Failures, newest first, and at the end what is missing.
[[nodiscard]] std::unique_ptr<Query> failures_query(Source source, Range range);
// The sockets that held a port at a time, in the order in which they got it; first
// of all, what makes it uncertain.
[[nodiscard]] std::unique_ptr<Query> sockets_query(Source source, int64_t at, model::Filter filter);

} // namespace bindlens::history
