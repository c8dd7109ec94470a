#include "text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace bindlens::cli {
namespace {

constexpr int64_t second = 1'000'000'000;

TEST(Plain, ReplacesWhatATerminalWouldObey) {
  EXPECT_EQ(plain("a\x1b[31mb\n\t\x7f"), "a?[31mb???");
  EXPECT_EQ(plain("\xc2\x9b"
                  "31m"),
            "?31m"); // CSI in one character
  EXPECT_EQ(plain("ünï日"), "ünï日");
  EXPECT_EQ(plain("\xc2\xa0"), "\xc2\xa0");
}

TEST(Cut, CountsCharactersNotBytes) {
  EXPECT_EQ(cut("ünïcode", 7), "ünïcode");
  EXPECT_EQ(cut("ünïcode", 4), "ünï…");
  EXPECT_EQ(cut_front("[::1]:8080", 6), "…:8080");
  EXPECT_EQ(cut("ab", 1), "…");
  EXPECT_EQ(cut("ab", 0), "");
  EXPECT_EQ(display_width("日本"), 2u);
}

TEST(Wrap, KeepsWordsWhole) {
  EXPECT_EQ(wrap("one two three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrap("abcdefgh x", 4), (std::vector<std::string>{"abcdefgh", "x"}));
  EXPECT_EQ(wrap("  a   b ", 10), (std::vector<std::string>{"a b"}));
  EXPECT_EQ(wrap("", 10), (std::vector<std::string>{""}));
}

TEST(Numbers, HaveSeparators) {
  EXPECT_EQ(thousands(0), "0");
  EXPECT_EQ(thousands(999), "999");
  EXPECT_EQ(thousands(1204), "1,204");
  EXPECT_EQ(thousands(1234567), "1,234,567");
  EXPECT_EQ(count_of(1, "socket"), "1 socket");
  EXPECT_EQ(count_of(0, "socket"), "0 sockets");
}

TEST(Duration, HasOneOrTwoUnits) {
  EXPECT_EQ(duration(400'000), "0.4 ms");
  EXPECT_EQ(duration(31'000'000), "31 ms");
  EXPECT_EQ(duration(41 * second), "41 s");
  EXPECT_EQ(duration(125 * second), "2 min 5 s");
  EXPECT_EQ(duration((4 * 60 + 12) * 60 * second), "4 h 12 min");
  EXPECT_EQ(duration(4 * 3600 * second), "4 h");
  EXPECT_EQ(duration(74 * 3600 * second), "3 d 2 h");
  EXPECT_EQ(duration(-5), "0.0 ms");
}

TEST(ShortAge, HasOneUnit) {
  EXPECT_EQ(short_age(12 * second), "12s");
  EXPECT_EQ(short_age(60 * second), "1m");
  EXPECT_EQ(short_age(2 * 3600 * second), "2h");
  EXPECT_EQ(short_age(3 * 24 * 3600 * second), "3d");
}

TEST(Times, AreLocalAndNameAnotherDay) {
  ::setenv("TZ", "CET-1", 1);
  ::tzset();
  const int64_t now = 1'772'334'667 * second + 482'113'905; // 2026-03-01T03:11:07Z
  EXPECT_EQ(clock_time(now, now), "04:11:07.482");
  EXPECT_EQ(clock_time(now - 5 * 3600 * second, now), "2026-02-28 23:11:07.482");
  EXPECT_EQ(log_time(now), "Mar 01 04:11:07.482113");
  ::setenv("TZ", "UTC", 1);
  ::tzset();
}

} // namespace
} // namespace bindlens::cli
