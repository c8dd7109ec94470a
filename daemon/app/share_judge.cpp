#include "share_judge.h"

#include <bindlens/analysis/judge.h>

namespace bindlens::app {

namespace {

// A group that nobody has asked for in so long is remembered no more.
constexpr MonoNs memory_lasts = 24ull * 3600 * 1'000'000'000;

} // namespace

void ShareJudge::look(const std::vector<model::ReuseportGroup>& groups, MonoNs now) {
  for (const model::ReuseportGroup& g : groups)
    (void)memory_.observe(g, now);
}

std::vector<model::JudgedGroup> ShareJudge::judged(std::vector<model::ReuseportGroup> groups,
                                                   MonoNs now) {
  memory_.forget_before(now > memory_lasts ? now - memory_lasts : 0);
  std::vector<analysis::ShareWindow> windows;
  for (const model::ReuseportGroup& g : groups)
    windows.push_back(memory_.observe(g, now));
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
