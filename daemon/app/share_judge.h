#pragma once

#include <bindlens/analysis/share_memory.h>

#include <set>
#include <utility>
#include <vector>

namespace bindlens::app {

// Judges groups as they are read, with what is remembered of them.
class ShareJudge {
 public:
  // To be called from time to time: it is from then on that shares can be compared when
  // members have changed. True when another group or member is in trouble than before.
  bool look(const std::vector<model::ReuseportGroup>& groups, MonoNs now);
  // The one in trouble first.
  [[nodiscard]] std::vector<model::JudgedGroup> judged(std::vector<model::ReuseportGroup> groups,
                                                       MonoNs now);

 private:
  [[nodiscard]] std::vector<analysis::ShareWindow>
  observe(const std::vector<model::ReuseportGroup>& groups, MonoNs now);

  analysis::ShareMemory memory_;
  // Groups that are skewed, by their id, and members that stall, by their socket.
  std::set<std::pair<model::Verdict, uint64_t>> in_trouble_;
  MonoNs weigh_at_ = 0; // not before
};

} // namespace bindlens::app
