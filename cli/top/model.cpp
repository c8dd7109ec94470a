#include "model.h"

#include <algorithm>

namespace bindlens::cli::top {
namespace {

constexpr protocol::WallNs second = 1'000'000'000;

// A program that is started again and again is one row, whatever its pid.
std::string key_of(const protocol::FailureView& f) {
  std::string key = f.asked.proto + " " + f.asked.family + " " + f.call + " " + f.error + " " +
                    f.rule + " " + std::to_string(f.asked.port) + " " +
                    std::to_string(f.asked.netns) + " ";
  return f.process ? key + f.process->comm : key;
}

uint32_t pid_of(const protocol::FailureView& f) {
  return f.process ? f.process->pid : 0;
}

// Makes room in `rows`; what happened longest ago goes.
template <typename Rows, typename LastTime>
void forget_oldest(Rows& rows, uint64_t& forgotten, LastTime last_time) {
  if (rows.size() < Model::most_rows) return;
  // A tenth at once: this looks at all of them.
  std::vector<protocol::WallNs> times;
  times.reserve(rows.size());
  for (const auto& [key, row] : rows)
    times.push_back(last_time(row));
  const auto limit = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 10);
  std::ranges::nth_element(times, limit);
  forgotten += std::erase_if(rows, [&](const auto& r) { return last_time(r.second) <= *limit; });
}

template <typename T>
Told<std::shared_ptr<const T>> told(std::vector<T> answer) {
  Told<std::shared_ptr<const T>> out{.known = true, .trouble = {}, .rows = {}};
  for (T& row : answer)
    out.rows.push_back(std::make_shared<const T>(std::move(row)));
  return out;
}

} // namespace

void Model::set_past_failures(const std::vector<protocol::FailureView>& failures,
                              protocol::WallNs until) {
  // Oldest first, so that the newest of each row stays.
  for (auto f = failures.rbegin(); f != failures.rend(); ++f) {
    if (f->time <= failures_known_until_) continue;
    auto& row = count_failure(std::make_shared<const protocol::FailureView>(*f), f->count);
    row.first_time = std::min(row.first_time, f->first_time);
  }
  failures_known_until_ = std::max(failures_known_until_, until);
}

Model::Failures& Model::count_failure(const std::shared_ptr<const protocol::FailureView>& f,
                                      uint64_t n) {
  const std::string key = key_of(*f);
  auto it = failures_.find(key);
  if (it == failures_.end()) {
    forget_oldest(failures_, failures_forgotten_, [](const Failures& r) { return r.newest->time; });
    it = failures_.emplace(key, Failures{}).first;
    it->second.first_time = f->time;
  } else if (pid_of(*it->second.newest) != pid_of(*f)) {
    ++it->second.pids;
  }
  it->second.newest = f;
  it->second.count += n;
  return it->second;
}

void Model::count_process(const Happening& h) {
  const std::string key = h.comm.empty() ? std::to_string(h.pid) : h.comm;
  auto it = processes_.find(key);
  if (it == processes_.end()) {
    forget_oldest(processes_, processes_forgotten_, [](const Process& p) { return p.last_time; });
    it = processes_.emplace(key, Process{}).first;
    it->second.pid = h.pid;
    it->second.first_time = h.time;
  } else if (it->second.pid != h.pid) {
    ++it->second.pids;
    it->second.pid = h.pid;
  }
  Process& p = it->second;
  p.last_time = h.time;
  const auto kind = static_cast<size_t>(h.kind);
  ++p.counts[kind];
  p.history[kind].add(slot_of(h.time));
}

void Model::add(const Happening& h) {
  newest_event_ = std::max(newest_event_, h.time);
  if (h.kind == Kind::gap) (h.by_reader ? lost_by_us_ : lost_) += h.lost;
  if (static_cast<size_t>(h.kind) >= counted_kinds) return;
  if (oldest_event_ == 0) oldest_event_ = h.time;
  meters_[static_cast<size_t>(h.kind)].add(slot_of(h.time));
  if (h.pid != 0) count_process(h);
  if (h.failure) {
    if (h.time > failures_known_until_) count_failure(h.failure, 1);
    if (const auto it = failures_.find(key_of(*h.failure)); it != failures_.end())
      it->second.history.add(slot_of(h.time));
  }
}

void Model::set_findings(std::vector<protocol::FindingView> findings) {
  findings_ = told(std::move(findings));
}

void Model::set_groups(std::vector<protocol::GroupView> groups) {
  groups_ = told(std::move(groups));
}

double Model::per_second(uint64_t count, size_t samples) const {
  const double seconds =
      static_cast<double>(sample_ns_) / static_cast<double>(second) * static_cast<double>(samples);
  return static_cast<double>(count) / seconds;
}

// Ten seconds, or one sample where that is longer.
size_t Model::samples_for_rows() const {
  const auto n = static_cast<size_t>(10 * second / sample_ns_);
  return std::clamp<size_t>(n, 1, row_samples);
}

void Model::take_meters(Snapshot& s) const {
  const int64_t now = slot_of(s.now);
  // Before the first event nothing is known, which is not the same as nothing.
  const int64_t known_from =
      slot_of(oldest_event_ == 0 ? started_ : std::min(oldest_event_, started_));
  const int64_t n = std::clamp<int64_t>(now - known_from, 0, most_samples - 1);
  for (size_t kind = 0; kind < counted_kinds; ++kind) {
    Meter& meter = s.meters[kind];
    meter.per_second = per_second(meters_[kind].at(now - 1), 1);
    meter.history.reserve(static_cast<size_t>(n));
    for (int64_t back = n; back >= 1; --back)
      meter.history.push_back(meters_[kind].at(now - back));
  }
}

void Model::take_failures(Snapshot& s) const {
  const size_t n = samples_for_rows();
  s.failures.reserve(failures_.size());
  for (const auto& [key, row] : failures_)
    s.failures.push_back({.key = key,
                          .newest = row.newest,
                          .count = row.count,
                          .pids = row.pids,
                          .per_second = per_second(row.history.sum_before(slot_of(s.now), n), n),
                          .first_time = row.first_time});
  s.failures_forgotten = failures_forgotten_;
}

void Model::take_processes(Snapshot& s) const {
  const size_t n = samples_for_rows();
  s.processes.reserve(processes_.size());
  for (const auto& [key, p] : processes_) {
    ProcessRow row{.key = key,
                   .comm = key,
                   .pid = p.pid,
                   .pids = p.pids,
                   .per_second = {},
                   .counts = p.counts,
                   .first_time = p.first_time,
                   .last_time = p.last_time};
    for (size_t kind = 0; kind < counted_kinds; ++kind)
      row.per_second[kind] = per_second(p.history[kind].sum_before(slot_of(s.now), n), n);
    s.processes.push_back(std::move(row));
  }
  s.processes_forgotten = processes_forgotten_;
}

Snapshot Model::snapshot(protocol::WallNs now) const {
  Snapshot s;
  s.now = now;
  s.sample_ns = sample_ns_;
  s.started = started_;
  s.link = link_;
  s.status = status_;
  s.lost = lost_;
  s.lost_by_us = lost_by_us_;
  s.findings = findings_;
  s.groups = groups_;
  take_meters(s);
  take_failures(s);
  take_processes(s);
  return s;
}

} // namespace bindlens::cli::top
