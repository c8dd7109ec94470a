#pragma once

#include <bindlens/analysis/share_memory.h>

#include <vector>

namespace bindlens::app {

// Judges groups as they are read, with what is remembered of them.
class ShareJudge {
 public:
  // To be called from time to time: it is from then on that shares can be compared when
  // members have changed.
  void look(const std::vector<model::ReuseportGroup>& groups, MonoNs now);
  // The one in trouble first.
  [[nodiscard]] std::vector<model::JudgedGroup> judged(std::vector<model::ReuseportGroup> groups,
                                                       MonoNs now);

 private:
  analysis::ShareMemory memory_;
};

} // namespace bindlens::app
