#pragma once

#include "history.h"
#include "snapshot.h"

#include <map>
#include <unordered_map>

namespace bindlens::cli::top {

// Everything that is known, from what the daemon said. Its memory does not grow
// with the number of events. Not for several threads at once.
class Model {
 public:
  static constexpr size_t most_rows = 512; // of failures, and of processes
  static constexpr size_t most_samples = 256;

  // `sample_ns`: over what time rates are counted.
  Model(protocol::WallNs sample_ns, protocol::WallNs started)
      : sample_ns_(sample_ns), started_(started) {}

  // What was refused before this program began to look, newest first. Events up
  // to `until` are then known and count for the rates only.
  void set_past_failures(const std::vector<protocol::FailureView>& failures,
                         protocol::WallNs until);
  void add(const Happening& h);
  void set_status(protocol::StatusView status) { status_ = std::move(status); }
  void set_findings(std::vector<protocol::FindingView> findings);
  void set_findings_trouble(std::string why) { findings_.trouble = std::move(why); }
  void set_groups(std::vector<protocol::GroupView> groups);
  void set_groups_trouble(std::string why) { groups_.trouble = std::move(why); }
  void set_link(Link link) { link_ = std::move(link); }

  // Time of the newest event; 0 = none yet.
  [[nodiscard]] protocol::WallNs newest_event() const { return newest_event_; }
  [[nodiscard]] Snapshot snapshot(protocol::WallNs now) const;

 private:
  // Rates of rows are means over some samples: a row should not flicker.
  static constexpr size_t row_samples = 10;
  using RowHistory = History<row_samples + 2>;

  struct Failures {
    std::shared_ptr<const protocol::FailureView> newest;
    uint64_t count = 0, pids = 1;
    protocol::WallNs first_time = 0;
    RowHistory history;
  };
  struct Process {
    uint32_t pid = 0;
    uint64_t pids = 1;
    std::array<uint64_t, counted_kinds> counts{};
    std::array<RowHistory, counted_kinds> history;
    protocol::WallNs first_time = 0, last_time = 0;
  };

  [[nodiscard]] int64_t slot_of(protocol::WallNs t) const { return t / sample_ns_; }
  [[nodiscard]] double per_second(uint64_t count, size_t samples) const;
  [[nodiscard]] size_t samples_for_rows() const;
  Failures& count_failure(const std::shared_ptr<const protocol::FailureView>& f, uint64_t n);
  void count_process(const Happening& h);
  void take_meters(Snapshot& s) const;
  void take_failures(Snapshot& s) const;
  void take_processes(Snapshot& s) const;

  protocol::WallNs sample_ns_;
  protocol::WallNs started_;
  protocol::WallNs failures_known_until_ = 0;
  protocol::WallNs newest_event_ = 0;
  protocol::WallNs oldest_event_ = 0;
  std::array<History<most_samples>, counted_kinds> meters_;
  uint64_t lost_ = 0, lost_by_us_ = 0;
  std::unordered_map<std::string, Failures> failures_;
  uint64_t failures_forgotten_ = 0;
  std::unordered_map<std::string, Process> processes_;
  uint64_t processes_forgotten_ = 0;
  Told<std::shared_ptr<const protocol::FindingView>> findings_;
  Told<std::shared_ptr<const protocol::GroupView>> groups_;
  protocol::StatusView status_;
  Link link_;
};

} // namespace bindlens::cli::top
