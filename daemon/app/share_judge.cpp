#include "share_judge.h"

#include <bindlens/analysis/judge.h>

namespace bindlens::app {

namespace {

// A group that nobody has asked for in so long is remembered no more.
constexpr MonoNs memory_lasts = 24ull * 3600 * 1'000'000'000;
// Weighing takes one part of so many of the time, however many groups there are.
constexpr MonoNs most_share = 500;

} // namespace

bool ShareJudge::look(const std::vector<model::ReuseportGroup>& groups, MonoNs now) {
  const auto windows = observe(groups, now);
  if (now < weigh_at_) return false;
  const MonoNs start = monotonic_now();
  decltype(in_trouble_) found;
  for (size_t i = 0; i < groups.size(); ++i) {
    const auto d = analysis::weigh(groups[i], windows[i], {.now = now, .groups = memory_.size()});
    if (d.verdict == model::Verdict::skewed) found.emplace(d.verdict, groups[i].id);
    for (size_t m = 0; m < d.members.size(); ++m)
      if (d.members[m].stalled)
        found.emplace(model::Verdict::stalled, groups[i].members[m].socket.id);
  }
  weigh_at_ = now + most_share * (monotonic_now() - start);
  return std::exchange(in_trouble_, found) != found;
}

std::vector<analysis::ShareWindow>
ShareJudge::observe(const std::vector<model::ReuseportGroup>& groups, MonoNs now) {
  std::vector<analysis::ShareWindow> windows;
  for (const model::ReuseportGroup& g : groups)
    windows.push_back(memory_.observe(g, now));
  return windows;
}

std::vector<model::JudgedGroup> ShareJudge::judged(std::vector<model::ReuseportGroup> groups,
                                                   MonoNs now) {
  memory_.forget_before(now > memory_lasts ? now - memory_lasts : 0);
  const auto windows = observe(groups, now);
  std::vector<model::JudgedGroup> out;
  for (size_t i = 0; i < groups.size(); ++i) {
    auto distribution =
        analysis::judge(groups[i], windows[i], {.now = now, .groups = memory_.size()});
    out.push_back({std::move(groups[i]), std::move(distribution)});
  }
  analysis::put_worst_first(out);
  return out;
}

} // namespace bindlens::app
