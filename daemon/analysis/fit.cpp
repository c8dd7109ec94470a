#include <bindlens/analysis/fit.h>

#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/special_functions/gamma.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

namespace bindlens::analysis {
namespace {

// How far shares may be from the expected ones, from "anything goes" to a tenth. Each is
// a fair bet, and so is their mean.
constexpr std::array<double, 5> concentrations = {0.25, 1, 4, 16, 64}; // by member

// Twice as fast as with long double, and exact enough for millions of samples.
using InDouble = boost::math::policies::policy<boost::math::policies::promote_double<false>>;

double log_gamma(double x) {
  return boost::math::lgamma(x, InDouble());
}

double chi_square(std::span<const uint64_t> counts, std::span<const double> shares, double total) {
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * shares[i];
    const double off = static_cast<double>(counts[i]) - expected;
    sum += off * off / expected;
  }
  return sum;
}

// The logarithm of the probability of the counts, in the order in which they came, under
// a Dirichlet distribution of shares.
double log_probability(std::span<const uint64_t> counts, std::span<const double> shares,
                       double total, double concentration) {
  double sum = log_gamma(concentration) - log_gamma(concentration + total);
  for (size_t i = 0; i < counts.size(); ++i) {
    const double a = concentration * shares[i];
    sum += log_gamma(a + static_cast<double>(counts[i])) - log_gamma(a);
  }
  return sum;
}

double log_evidence(std::span<const uint64_t> counts, std::span<const double> shares,
                    double total) {
  double expected = 0;
  for (size_t i = 0; i < counts.size(); ++i)
    expected += static_cast<double>(counts[i]) * std::log(shares[i]);
  std::array<double, concentrations.size()> logs{};
  std::ranges::transform(concentrations, logs.begin(), [&](double c) {
    return log_probability(counts, shares, total, c * static_cast<double>(counts.size())) -
           expected;
  });
  const double largest = std::ranges::max(logs);
  double sum = 0;
  for (const double l : logs)
    sum += std::exp(l - largest);
  return largest + std::log(sum / static_cast<double>(logs.size()));
}

} // namespace

Fit fit(std::span<const uint64_t> counts, std::span<const double> weights) {
  Fit out;
  out.total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (counts.size() < 2 || out.total == 0) return out;
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> shares(weights.begin(), weights.end());
  for (double& s : shares)
    s /= all;
  const auto total = static_cast<double>(out.total);
  const boost::math::chi_squared law(static_cast<double>(counts.size() - 1));
  out.p_value = boost::math::cdf(complement(law, chi_square(counts, shares, total)));
  out.log_evidence = log_evidence(counts, shares, total);
  return out;
}

} // namespace bindlens::analysis
