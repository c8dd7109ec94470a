#include "output.h"

#include <bindlens/util/fd.h>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace bindlens::cli {
namespace {

TEST(Output, ArrivesInOrder) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  Output out(write_end.get());
  EXPECT_TRUE(out.write("one "));
  EXPECT_TRUE(out.write("two"));
  EXPECT_TRUE(out.flush());
  char text[16];
  EXPECT_EQ(::read(read_end.get(), text, sizeof text), 7);
  EXPECT_EQ(std::string_view(text, 7), "one two");
}

TEST(Output, SeesAReaderThatHasGone) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  const Fd write_end(ends[1]);
  Output out(write_end.get());
  EXPECT_TRUE(out.write("x"));
  EXPECT_FALSE(out.flush());
  EXPECT_TRUE(out.gone());
  EXPECT_TRUE(out.result().has_value()) << "that is no error";
  EXPECT_FALSE(out.write("y"));
}

TEST(Output, ReportsAFullDisk) {
  const Fd full(::open("/dev/full", O_WRONLY));
  Output out(full.get());
  out.write("x");
  EXPECT_FALSE(out.flush());
  EXPECT_FALSE(out.gone());
  ASSERT_FALSE(out.result().has_value());
  EXPECT_EQ(out.result().error().code, ENOSPC);
}

TEST(Style, IsPlainAndUncutWithoutATerminal) {
  ::setenv("COLUMNS", "40", 1);
  const Fd null(::open("/dev/null", O_WRONLY));
  const Style s = style_of(null.get(), ColorMode::automatic);
  EXPECT_EQ(s.width, 0u);
  EXPECT_FALSE(s.color);
  EXPECT_EQ(s.critical("x"), "x");
  EXPECT_EQ(style_of(null.get(), ColorMode::always).critical("x"), "\033[1;31mx\033[0m");
  ::unsetenv("COLUMNS");
}

class OnATerminal : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(terminal_);
    ASSERT_EQ(::grantpt(terminal_.get()), 0);
    ASSERT_EQ(::unlockpt(terminal_.get()), 0);
    side_.reset(::open(::ptsname(terminal_.get()), O_RDWR | O_NOCTTY));
    ASSERT_TRUE(side_);
    ::setenv("TERM", "xterm", 1);
    ::unsetenv("NO_COLOR");
    ::unsetenv("COLUMNS");
  }
  void TearDown() override {
    ::unsetenv("NO_COLOR");
    ::unsetenv("COLUMNS");
  }
  Fd terminal_{::posix_openpt(O_RDWR | O_NOCTTY)};
  Fd side_;
};

TEST_F(OnATerminal, HasColorUnlessRefused) {
  EXPECT_TRUE(style_of(side_.get(), ColorMode::automatic).color);
  EXPECT_FALSE(style_of(side_.get(), ColorMode::never).color);
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(style_of(side_.get(), ColorMode::automatic).color);
  EXPECT_TRUE(style_of(side_.get(), ColorMode::always).color);
  ::setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(style_of(side_.get(), ColorMode::automatic).color);
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(style_of(side_.get(), ColorMode::automatic).color);
}

TEST_F(OnATerminal, HasAWidth) {
  EXPECT_EQ(style_of(side_.get(), ColorMode::automatic).width, 80u) << "a size of 0 is no size";
  ::setenv("COLUMNS", "132", 1);
  EXPECT_EQ(style_of(side_.get(), ColorMode::automatic).width, 132u);
  ::setenv("COLUMNS", "wide", 1);
  EXPECT_EQ(style_of(side_.get(), ColorMode::automatic).width, 80u);
}

} // namespace
} // namespace bindlens::cli
