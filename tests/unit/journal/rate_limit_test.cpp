#include <bindlens/journal/rate_limit.h>

#include <gtest/gtest.h>

namespace bindlens::journal {
namespace {

constexpr MonoNs second = 1'000'000'000;

TEST(RateLimit, LetsABurstThroughAndCountsTheRest) {
  RateLimit limit(3, second);
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(limit.admit(100 * second));
  EXPECT_FALSE(limit.admit(100 * second));
  EXPECT_FALSE(limit.admit(100 * second + 1));
  EXPECT_EQ(limit.left_out(), 2u);
  EXPECT_EQ(limit.take_left_out(), 2u);
  EXPECT_EQ(limit.take_left_out(), 0u);
}

TEST(RateLimit, LetsOneThroughInEachInterval) {
  RateLimit limit(2, second);
  int through = 0;
  // Ten a second, for ten seconds.
  for (MonoNs t = 0; t < 100; ++t)
    through += limit.admit(50 * second + t * second / 10) ? 1 : 0;
  EXPECT_EQ(through, 2 + 9);
  EXPECT_EQ(limit.left_out(), 100u - 11u);
}

TEST(RateLimit, SavesNoMoreThanABurst) {
  RateLimit limit(2, second);
  EXPECT_TRUE(limit.admit(second));
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(limit.admit(1000 * second));
  EXPECT_FALSE(limit.admit(1000 * second));
}

TEST(RateLimit, CountsWhatIsLeftOutForOtherReasons) {
  RateLimit limit(1, second);
  limit.leave_out();
  EXPECT_TRUE(limit.admit(second));
  EXPECT_EQ(limit.take_left_out(), 1u);
}

} // namespace
} // namespace bindlens::journal
