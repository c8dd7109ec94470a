#pragma once

// What the history tells. It spans boots, and the wall clock may have been set in
// between: all times in here, those of the events and failures included, are wall
// time, nanoseconds since 1970, and not CLOCK_MONOTONIC.

#include <bindlens/model/event.h>

#include <string>
#include <variant>
#include <vector>

namespace bindlens::model {

// A span of time about which the history does not tell everything.
struct Missing {
  enum class Why : uint8_t {
    not_kept,    // before the first start, or older than what is kept
    not_running, // the daemon did not run
    lost,        // events were lost, see GapCause
    counted,     // sockets that came and went are counted, and not told one by one
    unavailable, // the history cannot be read now
  };
  Why why = Why::lost;
  int64_t from = 0; // 0 = since ever
  int64_t until = 0;
  uint64_t count = 0; // lost: events, if known; counted: sockets
  std::string reason; // a sentence without its final dot
};
[[nodiscard]] std::string_view to_string(Missing::Why w); // "not-running"

// A socket as it was at the time that was asked about.
struct PastSocket {
  Socket socket;
  BoundBy bound_by = BoundBy::unknown;
  int64_t bound_at = 0; // 0 = not known
  ProcessRef binder;
  std::string uncertain; // why it is not certain that it was so; empty = it is
};

struct PastItem {
  std::variant<Event, std::shared_ptr<const Failure>, PastSocket, Missing> what;
  std::string netns_name; // of its namespace, at that time; may be empty
};

// A part of a long answer.
struct PastPiece {
  std::vector<PastItem> items;
  bool last = false; // there are no more
};

} // namespace bindlens::model
