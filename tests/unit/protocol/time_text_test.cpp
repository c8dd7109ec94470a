#include <bindlens/protocol/time_text.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace bindlens::protocol {
namespace {

constexpr WallNs second = 1'000'000'000;
// 2026-03-01T03:11:07.482113905Z, a Sunday.
constexpr WallNs now = 1'772'334'667 * second + 482'113'905;

class TimeText : public testing::Test {
 protected:
  void SetUp() override { use_zone("UTC"); }
  void TearDown() override { use_zone("UTC"); }
  static void use_zone(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  static std::string parsed(std::string_view text) {
    const auto t = parse_time(text, now);
    return t ? to_rfc3339(*t) : "error: " + t.error().text;
  }
};

TEST_F(TimeText, FormatsWithNineDigitsInUtc) {
  EXPECT_EQ(to_rfc3339(now), "2026-03-01T03:11:07.482113905Z");
  EXPECT_EQ(to_rfc3339(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(to_rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
}

TEST_F(TimeText, ReadsRfc3339) {
  EXPECT_EQ(parsed("2026-03-01T03:11:07.482113905Z"), to_rfc3339(now));
  EXPECT_EQ(parsed("2026-03-01T03:11:07Z"), "2026-03-01T03:11:07.000000000Z");
  EXPECT_EQ(parsed("2026-03-01t03:11:07.5z"), "2026-03-01T03:11:07.500000000Z");
  EXPECT_EQ(parsed("2026-03-01T03:11:07+02:00"), "2026-03-01T01:11:07.000000000Z");
  EXPECT_EQ(parsed("2026-03-01 03:11:07-00:30"), "2026-03-01T03:41:07.000000000Z");
}

TEST_F(TimeText, ReadsAges) {
  EXPECT_EQ(parsed("10m"), "2026-03-01T03:01:07.482113905Z");
  EXPECT_EQ(parsed("2h"), "2026-03-01T01:11:07.482113905Z");
  EXPECT_EQ(parsed("-1h"), "2026-03-01T02:11:07.482113905Z");
  EXPECT_EQ(parsed("3d"), "2026-02-26T03:11:07.482113905Z");
  EXPECT_EQ(parsed("1h30m"), "2026-03-01T01:41:07.482113905Z");
  EXPECT_EQ(parsed("2 hours ago"), "2026-03-01T01:11:07.482113905Z");
  EXPECT_EQ(parsed("1w"), "2026-02-22T03:11:07.482113905Z");
}

TEST_F(TimeText, ReadsNamedDaysAndClockTimes) {
  EXPECT_EQ(parsed("now"), to_rfc3339(now));
  EXPECT_EQ(parsed("today"), "2026-03-01T00:00:00.000000000Z");
  EXPECT_EQ(parsed("yesterday"), "2026-02-28T00:00:00.000000000Z");
  EXPECT_EQ(parsed("03:05"), "2026-03-01T03:05:00.000000000Z");
  EXPECT_EQ(parsed("03:05:09"), "2026-03-01T03:05:09.000000000Z");
  EXPECT_EQ(parsed("2026-02-27"), "2026-02-27T00:00:00.000000000Z");
  EXPECT_EQ(parsed("2026-02-27 18:30"), "2026-02-27T18:30:00.000000000Z");
}

TEST_F(TimeText, TakesTimesWithoutAZoneAsLocal) {
  use_zone("CET-1CEST,M3.5.0,M10.5.0/3");
  EXPECT_EQ(parsed("2026-02-27 18:30"), "2026-02-27T17:30:00.000000000Z");
  EXPECT_EQ(parsed("2026-07-27 18:30"), "2026-07-27T16:30:00.000000000Z");
  EXPECT_EQ(parsed("today"), "2026-02-28T23:00:00.000000000Z");
}

TEST_F(TimeText, NamesWhatIsNoTime) {
  for (const char* bad : {"",
                          "tomorrow",
                          "10",
                          "m",
                          "10x",
                          "25:00",
                          "12:60",
                          "2026-13-01",
                          "2026-02-30",
                          "2026-02-27T",
                          "2026-02-27 18",
                          "2026-02-27T18:30Zx",
                          "2026-02-27T18:30+1",
                          "--1h",
                          "99999999999999999999h",
                          "9999999w",
                          "9999-01-01",
                          "1:30",
                          "-",
                          "10m,"}) {
    const auto t = parse_time(bad, now);
    ASSERT_FALSE(t.has_value()) << bad;
    EXPECT_NE(t.error().text.find("'" + std::string(bad) + "'"), std::string::npos);
    EXPECT_NE(t.error().text.find("10m"), std::string::npos);
  }
}

} // namespace
} // namespace bindlens::protocol
