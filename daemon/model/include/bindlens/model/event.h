#pragma once

#include <bindlens/model/failure.h>
#include <bindlens/model/finding.h>
#include <bindlens/model/reuseport.h>
#include <bindlens/model/timewait.h>

#include <memory>

namespace bindlens::model {

enum class EventType : uint8_t {
  bind,
  autobind,
  listen,
  connect,
  release,
  fail,
  timewait_reuse,
  reuseport_join,
  reuseport_leave,
  audit,
  gap,
  start,
  stop,
};
[[nodiscard]] std::string_view to_string(EventType t);
[[nodiscard]] std::optional<EventType> parse_event_type(std::string_view text);

// Where what a gap lacks was lost.
enum class GapCause : uint8_t {
  kernel, // records did not fit into the ring buffer, or a hook did not run
  queue,  // the history's disk was too slow
  disk,   // the history could not be written
};
[[nodiscard]] std::string_view to_string(GapCause c);

// One line of `bindlens events`.
struct Event {
  uint64_t id = 0; // counts up from 1 since the daemon's start
  MonoNs time = 0;
  EventType type = EventType::bind;
  Socket socket; // all but fail, audit, gap, start and stop
  BoundBy bound_by = BoundBy::unknown;
  ProcessRef process;                     // who called; release: who had bound it; null = not known
  std::shared_ptr<const Failure> failure; // fail
  std::shared_ptr<const TimeWaitReuse> reuse;   // timewait_reuse
  std::shared_ptr<const Finding> finding;       // audit
  bool resolved = false;                        // audit: the finding is not there any more
  std::shared_ptr<const ShareCounters> counted; // reuseport_leave: all that it got
  uint64_t lost = 0;                            // gap: records lost
  GapCause cause = GapCause::kernel;            // gap
  MonoNs since = 0;                             // gap: not all is known from then on; 0 = not known
  bool unclean = false; // start: the daemon before did not come to end by itself
};

} // namespace bindlens::model
