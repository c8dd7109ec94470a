#pragma once

// The sentences about how a group fares.

#include <bindlens/analysis/judge.h>

namespace bindlens::analysis {

// What judge() found out, all but the words.
struct Facts {
  const model::ReuseportGroup& group;
  const model::Distribution& result;
  MonoNs now = 0;
  uint64_t tested = 0;          // samples behind the p-value
  std::vector<size_t> never;    // members that a program never selects
  std::vector<size_t> late;     // members that are not compared yet
  std::vector<size_t> dropping; // members off their share that dropped something
};

[[nodiscard]] std::string explain(const Facts& f);
[[nodiscard]] std::vector<std::string> advise(const Facts& f);

} // namespace bindlens::analysis
