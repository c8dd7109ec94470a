#pragma once

#include <bindlens/analysis/share_memory.h>

#include <vector>

namespace bindlens::app {

// Judges groups as they are read, with what is remembered of them.
class ShareJudge {
 public:
  // The one in trouble first.
  [[nodiscard]] std::vector<model::JudgedGroup> judged(std::vector<model::ReuseportGroup> groups,
                                                       MonoNs now);

 private:
  analysis::ShareMemory memory_;
};

} // namespace bindlens::app
