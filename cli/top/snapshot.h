#pragma once

// What the screen shows, taken out of the model at one moment.

#include "happening.h"

#include <array>
#include <memory>
#include <vector>

namespace bindlens::cli::top {

// The connection to the daemon.
struct Link {
  bool up = true;
  std::string trouble; // why it is down
  protocol::WallNs down_since = 0;
};

struct Meter {
  double per_second = 0;
  std::vector<uint64_t> history; // by sample, newest last
};

struct FailureRow {
  std::string key; // the same for the same row in the next snapshot
  std::shared_ptr<const protocol::FailureView> newest;
  uint64_t count = 0;
  uint64_t pids = 1; // how many processes in turn
  double per_second = 0;
  protocol::WallNs first_time = 0;
};

struct ProcessRow {
  std::string key, comm;
  uint32_t pid = 0; // the last one
  uint64_t pids = 1;
  std::array<double, counted_kinds> per_second{}; // by Kind
  std::array<uint64_t, counted_kinds> counts{};
  protocol::WallNs first_time = 0, last_time = 0;
};

// What one of the daemon's answers, which come now and then, told.
template <typename T>
struct Told {
  bool known = false;  // it has answered
  std::string trouble; // why it did not
  std::vector<T> rows;
};

struct Snapshot {
  protocol::WallNs now = 0;
  protocol::WallNs sample_ns = 1'000'000'000; // what one entry of a history lasts
  protocol::WallNs started = 0;
  Link link;
  protocol::StatusView status; // version is empty until it is known
  std::array<Meter, counted_kinds> meters;
  uint64_t lost = 0;       // events that never reached the daemon, since the start
  uint64_t lost_by_us = 0; // events that this program read too slowly
  std::vector<FailureRow> failures;
  uint64_t failures_forgotten = 0;
  std::vector<ProcessRow> processes;
  uint64_t processes_forgotten = 0;
  Told<std::shared_ptr<const protocol::FindingView>> findings;
  Told<std::shared_ptr<const protocol::GroupView>> groups;
};

} // namespace bindlens::cli::top
