// The statistics of shares, with random groups of a fixed seed.

#include <bindlens/analysis/fit.h>
#include <bindlens/analysis/judge.h>

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace bindlens::analysis {
namespace {

using Counts = std::vector<uint64_t>;

std::vector<double> alike(size_t n) {
  return std::vector<double>(n, 1);
}

// With two degrees of freedom it is exp(-x/2), with one erfc(sqrt(x/2)).
TEST(Fit, GivesThePValueOfChiSquare) {
  EXPECT_NEAR(fit(Counts{60, 30, 30}, alike(3)).p_value, std::exp(-15.0 / 2), 1e-12);
  EXPECT_NEAR(fit(Counts{60, 40}, alike(2)).p_value, std::erfc(std::sqrt(4.0 / 2)), 1e-12);
  EXPECT_NEAR(fit(Counts{60, 20, 20}, std::vector<double>{2, 1, 1}).p_value, std::exp(-4.0 / 2),
              1e-12);
  EXPECT_DOUBLE_EQ(fit(Counts{50, 50}, alike(2)).p_value, 1);
}

TEST(Fit, HasNothingToSayOfOneMemberOrOfNoSamples) {
  for (const Counts& counts : {Counts{7}, Counts{0, 0, 0}, Counts{}}) {
    const Fit f = fit(counts, alike(counts.size()));
    EXPECT_EQ(f.p_value, 1);
    EXPECT_EQ(f.log_evidence, 0);
  }
}

TEST(Fit, TakesWeightsOfAnySum) {
  const Counts counts = {210, 95, 105};
  const Fit a = fit(counts, std::vector<double>{2, 1, 1});
  const Fit b = fit(counts, std::vector<double>{0.5, 0.25, 0.25});
  EXPECT_DOUBLE_EQ(a.p_value, b.p_value);
  EXPECT_NEAR(a.log_evidence, b.log_evidence, 1e-9);
}

// What makes looking often harmless: on average over all that can come next, the
// evidence against fair shares stays the same as long as they are fair.
TEST(Fit, EvidenceIsAFairBet) {
  const Counts before = {5, 0, 2};
  double after = 0;
  for (size_t next = 0; next < before.size(); ++next) {
    Counts counts = before;
    ++counts[next];
    after += std::exp(fit(counts, alike(3)).log_evidence) / 3;
  }
  EXPECT_NEAR(after, std::exp(fit(before, alike(3)).log_evidence), 1e-9);
}

TEST(Fit, StandsLargeNumbers) {
  const uint64_t billion = 1'000'000'000;
  const Fit fair = fit(Counts{billion, billion, billion}, alike(3));
  EXPECT_LT(fair.log_evidence, 0);
  const Fit off = fit(Counts{billion * 2, billion, billion}, alike(3));
  EXPECT_GT(off.log_evidence, 1e6);
  EXPECT_EQ(off.p_value, 0);
  EXPECT_TRUE(std::isfinite(off.log_evidence));
}

// One thousand fair groups, each looked at again and again while connections come.
size_t false_alarms_of(size_t members, size_t connections, size_t looks) {
  std::mt19937 random(20261125);
  std::uniform_int_distribution<size_t> pick(0, members - 1);
  const double limit = std::log(1 / false_alarms);
  size_t alarms = 0;
  for (size_t group = 0; group < 1000; ++group) {
    Counts counts(members);
    bool alarm = false;
    for (size_t c = 1; c <= connections; ++c) {
      ++counts[pick(random)];
      if (c % (connections / looks) == 0)
        alarm = alarm || fit(counts, alike(members)).log_evidence >= limit;
    }
    alarms += alarm ? 1 : 0;
  }
  return alarms;
}

TEST(Fit, RaisesNoFalseAlarmOverFewSamples) {
  EXPECT_LT(false_alarms_of(32, 40, 1), 10u);
}

TEST(Fit, RaisesNoFalseAlarmHoweverOftenItIsAsked) {
  EXPECT_LT(false_alarms_of(32, 400, 40), 10u);
  EXPECT_LT(false_alarms_of(4, 400, 40), 10u);
}

// The same looks at a p-value below 1 %, for comparison: this is why it is not used so.
TEST(Fit, ThePValueAloneWouldRaiseThem) {
  std::mt19937 random(20261125);
  std::uniform_int_distribution<size_t> pick(0, 3);
  size_t alarms = 0;
  for (size_t group = 0; group < 1000; ++group) {
    Counts counts(4);
    bool alarm = false;
    for (size_t c = 1; c <= 400; ++c) {
      ++counts[pick(random)];
      if (c % 4 == 0) alarm = alarm || fit(counts, alike(4)).p_value < 0.01;
    }
    alarms += alarm ? 1 : 0;
  }
  EXPECT_GT(alarms, 50u);
}

size_t found_of(std::vector<double> shares, size_t connections) {
  std::mt19937 random(20261125);
  std::discrete_distribution<size_t> pick(shares.begin(), shares.end());
  const double limit = std::log(1 / false_alarms);
  size_t found = 0;
  for (size_t group = 0; group < 100; ++group) {
    Counts counts(shares.size());
    for (size_t c = 0; c < connections; ++c)
      ++counts[pick(random)];
    found += fit(counts, alike(shares.size())).log_evidence >= limit ? 1 : 0;
  }
  return found;
}

TEST(Fit, FindsWhatIsReallySkewed) {
  EXPECT_GE(found_of({2, 1, 1, 1}, 800), 99u);
  EXPECT_GE(found_of({1.3, 1, 1, 1}, 6000), 99u);
  std::vector<double> one_idle(32, 1);
  one_idle[7] = 0.1;
  EXPECT_GE(found_of(one_idle, 4000), 99u);
}

} // namespace
} // namespace bindlens::analysis
