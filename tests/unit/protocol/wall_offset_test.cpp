#include <bindlens/util/clock.h>

#include <gtest/gtest.h>

namespace bindlens {
namespace {

TEST(WallOffset, AnEventHasOneTimeInAllAnswers) {
  const int64_t first = wall_time_of(5);
  for (int i = 0; i < 20'000; ++i)
    ASSERT_EQ(wall_time_of(5), first) << "after " << i;
}

TEST(WallOffset, IsThatOfTheTwoClocks) {
  const auto before = static_cast<int64_t>(read_clock_ns(CLOCK_REALTIME));
  const int64_t now = wall_time_of(monotonic_now());
  const auto after = static_cast<int64_t>(read_clock_ns(CLOCK_REALTIME));
  constexpr int64_t smallest_step = 1'000'000;
  EXPECT_GE(now, before - smallest_step);
  EXPECT_LE(now, after + smallest_step);
}

TEST(WallOffset, ChangesWhenTheClockIsSet) {
  EXPECT_EQ(settled_offset(1'000'000'000, {1'000'000'090, 40}), 1'000'000'000);
  EXPECT_EQ(settled_offset(1'000'000'000, {1'002'000'000, 40}), 1'002'000'000);
  EXPECT_EQ(settled_offset(1'000'000'000, {998'000'000, 40}), 998'000'000);
}

TEST(WallOffset, IsNotTakenFromClocksReadTooFarApart) {
  EXPECT_EQ(settled_offset(1'000'000'000, {1'008'000'000, 7'500'000}), 1'000'000'000);
}

} // namespace
} // namespace bindlens
