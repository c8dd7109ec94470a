#include "table.h"

#include "text.h"

#include <gtest/gtest.h>

#include <sstream>

namespace bindlens::cli {
namespace {

Table sample() {
  Table t({{.title = "PROTO"},
           {.title = "ADDRESS", .keep_end = true, .least = 8},
           {.title = "NOTE", .least = 4, .drop_turn = 1}});
  t.add({"tcp", "127.0.0.1:8080", "short"});
  t.add({"tcp6", "[2001:db8::1]:8080", "a rather long note"});
  return t;
}

TEST(Table, IsAsWideAsItIsWithoutATerminal) {
  EXPECT_EQ(sample().render(0), "PROTO  ADDRESS             NOTE\n"
                                "tcp    127.0.0.1:8080      short\n"
                                "tcp6   [2001:db8::1]:8080  a rather long note\n");
}

TEST(Table, ShrinksTheWidestFirst) {
  EXPECT_EQ(sample().render(38), "PROTO  ADDRESS         NOTE\n"
                                 "tcp    127.0.0.1:8080  short\n"
                                 "tcp6   …:db8::1]:8080  a rather long …\n");
}

TEST(Table, LeavesOutWhatHasNoRoom) {
  EXPECT_EQ(sample().render(16), "PROTO  ADDRESS\n"
                                 "tcp    …0.1:8080\n"
                                 "tcp6   …:1]:8080\n");
}

TEST(Table, NeverGoesBeyondTheWidth) {
  for (size_t width = 1; width < 60; ++width) {
    std::istringstream lines(sample().render(width));
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(display_width(line), width) << line;
  }
}

TEST(Table, ReplacesControlCharacters) {
  Table t({{.title = "A"}});
  t.add({"x\x1b[2Jy\n"});
  EXPECT_EQ(t.render(0), "A\nx?[2Jy?\n");
}

} // namespace
} // namespace bindlens::cli
