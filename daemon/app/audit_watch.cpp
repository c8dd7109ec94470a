#include "audit_watch.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <ctime>
#include <utility>

namespace bindlens::app {

namespace {

// Of all threads: what the daemon does for others meanwhile counts as well, so
// that a busy daemon audits less often.
uint64_t cpu_time() {
  return read_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

spdlog::level::level_enum level_of(model::Severity s) {
  switch (s) {
  case model::Severity::critical:
    return spdlog::level::err;
  case model::Severity::warning:
    return spdlog::level::warn;
  case model::Severity::info:
    break;
  }
  return spdlog::level::info;
}

} // namespace

void AuditWatch::start() {
  if (interval_s_ == 0) return;
  if (const auto possible = auditor_.possible(); !possible) {
    spdlog::warn("findings are not watched: {}, ignoring", possible.error().text);
    interval_s_ = 0;
    return;
  }
  turns_.emplace(MonoNs{interval_s_} * 1'000'000'000, monotonic_now());
  subscription_ = core_.subscribe([this](const model::Event& e) { note(e); });
  wait();
}

protocol::Status::Audit AuditWatch::status() const {
  return {interval_s_, runs_, cpu_ns_, known_.size()};
}

// For every event of the host: it has to cost nothing.
void AuditWatch::note(const model::Event& e) {
  if (e.type == model::EventType::fail || e.type == model::EventType::audit) return;
  note_change(e.time);
}

void AuditWatch::note_change(MonoNs time) {
  if (turns_ && turns_->note_change(time) && !running_) wait();
}

void AuditWatch::wait() {
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(turns_->due())));
  timer_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) run();
  });
}

void AuditWatch::run() {
  running_ = true;
  const uint64_t cpu_before = cpu_time();
  core_.catch_up();
  turns_->begin();
  auditor_.audit_in_turn(
      [this, cpu_before](Result<Auditor::Answer> answer) { take(std::move(answer), cpu_before); });
}

void AuditWatch::take(Result<Auditor::Answer> answer, uint64_t cpu_before) {
  audit::Turns::Outcome outcome;
  if (answer) {
    failing_ = false;
    for (const audit::Known::Change& change : known_.take(std::move(answer->findings)))
      tell(change);
    outcome.unsettled = known_.unsettled();
    outcome.by_age = answer->by_age;
  } else if (!std::exchange(failing_, true)) {
    spdlog::warn("looking for findings: {}, ignoring", answer.error().text);
  }
  ++runs_;
  outcome.cost = cpu_time() - cpu_before;
  cpu_ns_ += outcome.cost;
  turns_->end(monotonic_now(), outcome);
  running_ = false;
  wait();
}

// Nearly all is in the host's namespace: only others are worth a word.
std::string AuditWatch::place_of(const model::Finding& f) const {
  const std::string name = core_.host().names(f.netns).netns(f.netns);
  if (name == "host") return "";
  return " in namespace " + (name.empty() ? std::to_string(f.netns) : name);
}

void AuditWatch::tell(const audit::Known::Change& change) {
  const model::Finding& f = *change.finding;
  if (change.resolved)
    spdlog::info("finding {}{} is gone: {}", to_string(f.id), place_of(f), f.summary);
  else
    spdlog::log(level_of(f.severity), "finding {}{}: {}", to_string(f.id), place_of(f), f.summary);
  model::Event e;
  e.time = monotonic_now();
  e.type = model::EventType::audit;
  e.finding = change.finding;
  e.resolved = change.resolved;
  core_.publish(std::move(e));
}

} // namespace bindlens::app
