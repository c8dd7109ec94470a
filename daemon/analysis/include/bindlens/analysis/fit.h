#pragma once

#include <cstdint>
#include <span>

namespace bindlens::analysis {

// How well counts fit the shares that are expected of them.
struct Fit {
  uint64_t total = 0;
  // Pearson's chi-square with one degree of freedom less than there are counts: how
  // often fair shares would look at least as uneven as this. 1 when there is nothing
  // to compare.
  double p_value = 1;
  // Natural logarithm of how much better the counts are explained by shares that are
  // not known than by the expected ones (a Bayes factor over Dirichlet distributions
  // around these). Under fair shares the chance that it is *ever* above log(k), however
  // often somebody looks, is below 1/k: unlike a p-value, it may be watched.
  double log_evidence = 0;
};

// `weights`: as many as counts, all above 0; their sum need not be 1.
[[nodiscard]] Fit fit(std::span<const uint64_t> counts, std::span<const double> weights);

} // namespace bindlens::analysis
