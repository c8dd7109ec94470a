#include <bindlens/model/tracker.h>

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace bindlens::model {
namespace {

uint64_t missing_after(std::initializer_list<std::pair<uint32_t, uint64_t>> records) {
  LossDetector losses;
  for (const auto& [cpu, seq] : records)
    losses.saw(cpu, seq);
  return losses.missing();
}

TEST(LossDetector, MissesNothingWhenAllCame) {
  EXPECT_EQ(missing_after({}), 0u);
  EXPECT_EQ(missing_after({{0, 1}, {0, 2}, {0, 3}}), 0u);
}

TEST(LossDetector, CountsWhatWasNumberedAndDidNotCome) {
  EXPECT_EQ(missing_after({{0, 1}, {0, 5}}), 3u);
  EXPECT_EQ(missing_after({{0, 3}}), 2u) << "the first two";
}

TEST(LossDetector, CountsEachCpuByItself) {
  EXPECT_EQ(missing_after({{0, 1}, {1, 1}, {0, 2}, {1, 2}}), 0u);
  EXPECT_EQ(missing_after({{0, 1}, {63, 4}, {1, 2}}), 4u);
  EXPECT_EQ(missing_after({{0xffffffff, 2}}), 1u) << "a number of any size is just a name";
}

// Two hooks on one cpu can write in another order than they reserve.
TEST(LossDetector, TakesRecordsInAnyOrder) {
  std::vector<uint64_t> seqs(500);
  std::iota(seqs.begin(), seqs.end(), 1);
  std::shuffle(seqs.begin(), seqs.end(), std::mt19937(3));
  LossDetector losses;
  for (const uint64_t seq : seqs)
    losses.saw(2, seq);
  EXPECT_EQ(losses.missing(), 0u);
  losses.saw(2, 502);
  EXPECT_EQ(losses.missing(), 1u);
}

TEST(LossDetector, ALateRecordDoesNotHideAnotherLoss) {
  EXPECT_EQ(missing_after({{0, 1}, {0, 4}, {0, 2}}), 1u);
}

TEST(LossDetector, ALateRecordIsNotLost) {
  LossDetector losses;
  losses.saw(0, 1);
  losses.saw(0, 3);
  EXPECT_EQ(losses.missing(), 1u);
  losses.saw(0, 2);
  EXPECT_EQ(losses.missing(), 0u);
}

} // namespace
} // namespace bindlens::model
