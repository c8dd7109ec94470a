#pragma once

#include <bindlens/model/decoder.h>
#include <bindlens/model/event.h>
#include <bindlens/model/table.h>

#include <boost/circular_buffer.hpp>

#include <deque>
#include <functional>
#include <unordered_map>

namespace bindlens::model {

// A call that the kernel refused, with the bucket as it was at that instant.
struct RefusedCall {
  CallRecord call;
  ProcessRef process;
  PortView view;              // empty when the kernel did not look at a bucket
  std::vector<Binding> known; // what the table knew then of the sockets in `view`
  bool walked = false;        // `view` was made inside the call
  bool whole = true;          // … and reached the end of the bucket, which held still
};

// Turns records into changes of the table, events, and refused calls.
class Tracker {
 public:
  struct Sinks {
    std::function<ProcessRef(const TaskInfo&)> process; // who called; never null
    std::function<void(Event&&)> event;
    std::function<void(RefusedCall)> refused;
    // TIME_WAIT: taken over by a connect or a SYN; and a bind that may have gone over some.
    std::function<void(TimeWaitReuse)> reused = {};
    std::function<void(const Socket&, MonoNs, ProcessRef)> bound_over = {};
    std::function<void(const Binding&)> released = {}; // as it was known; may be empty
  };
  Tracker(BindTable& table, Sinks sinks);

  void apply(Record&& record);

 private:
  void apply(CallRecord& call);
  void apply(const ReleaseRecord& release);
  void apply(const HolderRecord& holder);
  void apply(const ReuseRecord& reuse);
  void succeeded(CallRecord& call, ProcessRef process);
  void refused(CallRecord& call, ProcessRef process);
  [[nodiscard]] const Binding* known(const Socket& s) const;

  BindTable& table_;
  Sinks sinks_;
  // Rows of walks whose call has not come yet, in the order of their arrival.
  std::unordered_map<uint64_t, std::vector<bl_row>> rows_;
  std::deque<uint64_t> row_order_;
  boost::circular_buffer<Binding> let_go_; // the last that were released, newest first
};

// Finds out whether records were lost, from the numbers they carry. Loss is
// certain once everything that waited in the ring was seen.
class LossDetector {
 public:
  void saw(uint32_t cpu, uint64_t seq);
  // Records that were numbered and never came.
  [[nodiscard]] uint64_t missing() const;

 private:
  struct Cpu {
    uint64_t highest = 0;
    uint64_t received = 0;
  };
  boost::unordered_flat_map<uint32_t, Cpu> cpus_;
};

} // namespace bindlens::model
