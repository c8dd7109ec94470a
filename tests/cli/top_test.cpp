// bindlens top in a real terminal, with a real daemon and real sockets.

#include "tmux.h"

#include "../kernel/actor.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <ostream>
#include <regex>
#include <unistd.h>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 8080;

class Top : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (no_tmux().empty() && ::geteuid() == 0) daemon_ = std::make_unique<Daemon>();
  }
  static void TearDownTestSuite() { daemon_.reset(); }

  void SetUp() override {
    if (const std::string why = no_tmux(); !why.empty()) GTEST_SKIP() << why;
    if (!daemon_) GTEST_SKIP() << "bindlensd needs root";
  }

  // The actor refuses itself: it listens, and binds again.
  static void refused_binds(Actor& a, int count, uint16_t at = port) {
    const int held = a.tcp();
    ASSERT_TRUE(a.bind(held, "127.0.0.1", at).ok());
    ASSERT_TRUE(a.listen(held).ok());
    for (int i = 0; i < count; ++i) {
      const int fd = a.tcp();
      ASSERT_EQ(a.bind(fd, "0.0.0.0", at).error, EADDRINUSE);
      a.close(fd);
    }
  }

  static std::string command(const Netns& netns, const std::string& options = {}) {
    return BINDLENS_PROGRAM " top --socket " + daemon_->socket() + " --netns " +
           std::to_string(netns.inode()) + " " + options;
  }

  // "state STTY" is the first line of the answer: what the terminal is set to.
  static std::string settings(Tmux& t) {
    t.enter("clear; echo state $(stty -g)=");
    std::smatch found;
    std::string text;
    const bool told = eventually([&] {
      text = t.screen();
      return std::regex_search(text, found, std::regex("state ([0-9a-f:\n]+)="));
    });
    if (!told) give_up("no settings in\n" + text);
    return std::regex_replace(found[1].str(), std::regex("\n"), "");
  }

  static bool gone(pid_t pid) {
    return eventually([&] { return ::kill(pid, 0) != 0; });
  }

  static void expect_width(const Tmux& t, size_t columns, size_t rows) {
    EXPECT_EQ(t.ask("window_width") + "x" + t.ask("window_height"),
              std::to_string(columns) + "x" + std::to_string(rows));
  }

  static std::unique_ptr<Daemon> daemon_;
};
std::unique_ptr<Daemon> Top::daemon_;

const std::vector<std::string> utf8 = {"LC_ALL=C.UTF-8"};

TEST_F(Top, ShowsWhatHappens) {
  const Netns netns;
  Actor a(netns, "kt-web");
  Tmux t(80, 24, utf8);
  t.enter(command(netns));
  ASSERT_TRUE(t.shows_all({"bindlens top", "1 Failures  none since", "F1 Help"})) << t.screen();
  refused_binds(a, 6);
  EXPECT_TRUE(t.shows_all({"6 refused calls, going on", "tcp 8080", "EADDRINUSE", "listener",
                           "kt-web[" + std::to_string(a.pid()) + "]"}))
      << t.screen();
  EXPECT_TRUE(t.shows("█")) << t.screen();
  EXPECT_EQ(t.ask("alternate_on"), "1");
  EXPECT_EQ(t.ask("cursor_flag"), "0");

  t.press({"Enter"});
  EXPECT_TRUE(t.shows_all({"EADDRINUSE  bind tcp 0.0.0.0:8080", "rule listener", "Esc Back"}))
      << t.screen();
  t.press({"Escape"});
  EXPECT_TRUE(t.shows("4 Processes")) << t.screen();
}

TEST_F(Top, ShowsWhatWasRefusedBefore) {
  const Netns netns;
  Actor a(netns, "kt-web");
  refused_binds(a, 3);
  Tmux t(80, 24, utf8);
  t.enter(command(netns));
  EXPECT_TRUE(t.shows_all({"3 refused calls", "kt-web"})) << t.screen();
}

TEST_F(Top, ShowsFindings) {
  const Netns netns;
  Actor a(netns, "kt-web");
  const int fd = a.tcp();
  ASSERT_TRUE(a.bind(fd, "0.0.0.0", 40500).ok());
  ASSERT_TRUE(a.listen(fd).ok());
  Tmux t(80, 24, utf8);
  t.enter(command(netns));
  EXPECT_TRUE(t.shows_all({"ephemeral-overlap", "tcp 40500", "1 warning"})) << t.screen();
  t.press({"2", "Enter"});
  EXPECT_TRUE(t.shows_all({"bindlens audit --explain ephemeral-overlap", "kt-web"})) << t.screen();
}

TEST_F(Top, ShowsReuseportGroups) {
  const Netns netns;
  Actor a(netns, "kt-web");
  Actor b(netns, "kt-web");
  for (Actor* actor : {&a, &b}) {
    const int fd = actor->tcp();
    actor->reuseport(fd);
    ASSERT_TRUE(actor->bind(fd, "127.0.0.1", 8443).ok());
    ASSERT_TRUE(actor->listen(fd).ok());
  }
  Tmux t(80, 24, utf8);
  t.enter(command(netns));
  EXPECT_TRUE(t.shows_all({"3 Reuseport groups", "tcp 127.0.0.1:8443"})) << t.screen();
  t.press({"3", "Enter"});
  EXPECT_TRUE(t.shows_all({"2 members", "kt-web[" + std::to_string(b.pid()) + "]"})) << t.screen();
}

TEST_F(Top, FitsTheWindow) {
  const Netns netns;
  Actor a(netns, "kt-web");
  refused_binds(a, 2);
  Tmux t(80, 24, utf8);
  t.enter(command(netns));
  ASSERT_TRUE(t.shows_all({"tcp 8080", "F1 Help"})) << t.screen();
  t.resize(120, 40);
  EXPECT_TRUE(t.shows_all({"CALL", "I Invert"})) << t.screen();
  t.resize(40, 12);
  EXPECT_TRUE(t.shows_all({"tcp 8080", "1 Failures", "binds ", "F1 Help"})) << t.screen();
  expect_width(t, 40, 12);
  t.resize(12, 4);
  t.resize(80, 24);
  EXPECT_TRUE(t.shows_all({"EADDRINUSE", "tcp 8080", "F6 Sort"})) << t.screen();
}

TEST_F(Top, ObeysItsKeys) {
  const Netns netns;
  Actor a(netns, "kt-web");
  Actor b(netns, "kt-mail");
  refused_binds(a, 2);
  refused_binds(b, 3, 25);
  Tmux t(80, 24, utf8);
  t.enter(command(netns));
  ASSERT_TRUE(t.shows_all({"kt-web", "kt-mail"})) << t.screen();
  t.press({"F1"});
  EXPECT_TRUE(t.shows("this help")) << t.screen();
  t.press({"Escape"});
  t.press({"F6"});
  EXPECT_TRUE(t.shows("▲LAST")) << t.screen();
  t.press({"F4"});
  t.press({"m", "a", "i"});
  EXPECT_TRUE(t.shows("Filter: mai")) << t.screen();
  EXPECT_EQ(t.ask("cursor_flag"), "1") << "where text is typed";
  t.press({"Enter"});
  EXPECT_TRUE(t.shows("Filter: mai  F1")) << t.screen();
  EXPECT_EQ(t.screen().find("kt-web"), std::string::npos) << t.screen();
  t.press({"Escape"});
  EXPECT_TRUE(t.shows("kt-web")) << t.screen();
  t.press({"p"});
  EXPECT_TRUE(t.shows("PAUSED")) << t.screen();
  refused_binds(a, 1, 8081);
  t.press({"p"});
  EXPECT_TRUE(t.shows("tcp 8081")) << t.screen();
  t.press({"F10"});
  EXPECT_TRUE(eventually([&] { return t.child() == 0; }));
}

struct End {
  std::string key; // or
  int signal = 0;
  int status = 0;
};
void PrintTo(const End& e, std::ostream* out) {
  *out << (e.signal != 0 ? ::strsignal(e.signal) : e.key.c_str());
}
class TopEnds : public Top, public testing::WithParamInterface<End> {};

TEST_P(TopEnds, AndLeavesTheTerminalAsItWas) {
  const Netns netns;
  Tmux t(80, 24, utf8);
  const std::string before = settings(t);
  t.enter("clear; echo was here; " + command(netns));
  ASSERT_TRUE(t.shows("F10 Quit")) << t.screen();
  EXPECT_EQ(t.ask("alternate_on"), "1");
  if (GetParam().signal != 0)
    ASSERT_EQ(::kill(t.child(), GetParam().signal), 0);
  else
    t.press({GetParam().key});
  ASSERT_TRUE(eventually([&] { return t.child() == 0; }));
  t.enter("echo status $?"); // a shell gives up the rest of a line after SIGINT
  EXPECT_TRUE(t.shows_all({"was here", "status " + std::to_string(GetParam().status)}))
      << t.screen();
  EXPECT_EQ(t.ask("alternate_on"), "0");
  EXPECT_EQ(t.ask("cursor_flag"), "1");
  EXPECT_EQ(t.ask("keypad_flag"), "0");
  EXPECT_EQ(settings(t), before);
}

INSTANTIATE_TEST_SUITE_P(Ways, TopEnds,
                         testing::Values(End{"q"}, End{"F10"}, End{"C-c", 0, 130},
                                         End{"C-\\", 0, 131}, End{"", SIGINT, 130},
                                         End{"", SIGTERM, 143}, End{"", SIGHUP, 129}));

TEST_F(Top, StopsAndGoesOn) {
  const Netns netns;
  Tmux t(80, 24, utf8);
  const std::string before = settings(t);
  t.enter(command(netns));
  ASSERT_TRUE(t.shows("F10 Quit")) << t.screen();
  t.press({"C-z"});
  ASSERT_TRUE(t.shows("Stopped")) << t.screen();
  EXPECT_EQ(t.ask("alternate_on"), "0");
  EXPECT_EQ(t.ask("cursor_flag"), "1");
  EXPECT_EQ(settings(t), before);
  t.resize(120, 30);
  t.enter("fg");
  ASSERT_TRUE(t.shows_all({"bindlens top", "I Invert"})) << "in its new size\n" << t.screen();
  EXPECT_EQ(t.ask("alternate_on"), "1");
  t.press({"q"});
  ASSERT_TRUE(eventually([&] { return t.child() == 0; }));
  EXPECT_EQ(settings(t), before);
}

TEST_F(Top, GoesOnAfterAStopThatCannotBeCaught) {
  const Netns netns;
  Tmux t(80, 24, utf8);
  t.enter(command(netns));
  ASSERT_TRUE(t.shows("F10 Quit")) << t.screen();
  ASSERT_EQ(::kill(t.child(), SIGSTOP), 0);
  ASSERT_TRUE(t.shows("Stopped")) << t.screen();
  t.enter("fg");
  EXPECT_TRUE(t.shows_all({"bindlens top", "F10 Quit"})) << t.screen();
  t.press({"F1"});
  EXPECT_TRUE(t.shows("this help")) << "keys come one by one\n" << t.screen();
}

TEST_F(Top, EndsWithItsTerminal) {
  const Netns netns;
  for (const std::string& prefix : {std::string(), std::string("trap '' HUP; ")}) {
    Tmux t(80, 24, utf8);
    t.enter(prefix + command(netns));
    ASSERT_TRUE(t.shows("F10 Quit")) << t.screen();
    const pid_t pid = t.child();
    ASSERT_GT(pid, 0);
    t.close();
    EXPECT_TRUE(gone(pid)) << prefix;
    if (::kill(pid, 0) == 0) ::kill(pid, SIGKILL);
  }
}

TEST_F(Top, OutlivesTheDaemon) {
  const Netns netns;
  Actor a(netns, "kt-web");
  const TempDir dir;
  const std::string socket = dir.path() + "/sock";
  auto daemon = std::make_unique<Daemon>(std::vector<std::string>{}, wanted_tier(), socket);
  Tmux t(80, 24, utf8);
  t.enter(BINDLENS_PROGRAM " top --socket " + socket + " --netns " + std::to_string(netns.inode()));
  ASSERT_TRUE(t.shows("F10 Quit")) << t.screen();
  refused_binds(a, 2);
  ASSERT_TRUE(t.shows_all({"2 refused calls", "tcp 8080"})) << t.screen();
  EXPECT_EQ(daemon->stop(), 0);
  EXPECT_TRUE(t.shows_all({"daemon gone since", "trying again", "tcp 8080"})) << t.screen();
  daemon = std::make_unique<Daemon>(std::vector<std::string>{}, wanted_tier(), socket);
  EXPECT_TRUE(t.shows("bindlensd ")) << t.screen();
  refused_binds(a, 1, 8081);
  EXPECT_TRUE(t.shows_all({"3 refused calls", "tcp 8080", "tcp 8081"})) << t.screen();
  t.press({"q"});
  EXPECT_TRUE(eventually([&] { return t.child() == 0; }));
}

TEST_F(Top, SpeaksAsciiWhereThereIsNoUtf8) {
  const Netns netns;
  Actor a(netns, "kt-web");
  Tmux t(80, 24, {"LC_ALL=C"});
  t.enter(command(netns));
  ASSERT_TRUE(t.shows("F10 Quit")) << t.screen();
  refused_binds(a, 2);
  EXPECT_TRUE(t.shows_all({"tcp 8080", "#", "vPER S", "----"})) << t.screen();
  for (const char c : t.screen())
    ASSERT_LT(static_cast<unsigned char>(c), 0x80) << t.screen();
}

TEST_F(Top, HasColourForWhatIsSevereAndHonoursNoColor) {
  const std::regex colour("\033\\[[0-9;]*3[1-7]m");
  for (const bool wanted : {true, false}) {
    const Netns netns;
    Actor a(netns, "kt-web");
    Tmux t(80, 24, wanted ? utf8 : std::vector<std::string>{"LC_ALL=C.UTF-8", "NO_COLOR=1"});
    t.enter("clear; " + command(netns));
    ASSERT_TRUE(t.shows("F10 Quit")) << t.screen();
    EXPECT_FALSE(std::regex_search(t.screen(true), colour)) << "nothing is severe";
    refused_binds(a, 1);
    ASSERT_TRUE(t.shows("going on")) << t.screen();
    EXPECT_EQ(std::regex_search(t.screen(true), colour), wanted) << t.screen(true);
    t.press({"q"});
    ASSERT_TRUE(eventually([&] { return t.child() == 0; }));
  }
}

TEST_F(Top, SaysWhatIsWrongWithTheTerminal) {
  const Netns netns;
  Tmux t(80, 24, utf8);
  t.enter("clear; TERM=no-such " + command(netns) + "; echo status $?");
  EXPECT_TRUE(t.shows_all({"TERM='no-such'", "TERM=xterm-256color", "status 2"})) << t.screen();
  t.enter("clear; TERM= " + command(netns) + "; echo status $?");
  EXPECT_TRUE(t.shows_all({"TERM is not set", "status 2"})) << t.screen();
  t.enter("clear; TERM=dumb " + command(netns) + "; echo status $?");
  EXPECT_TRUE(t.shows_all({"no screen", "status 2"})) << t.screen();
  t.enter("clear; " + command(netns) + " | cat; echo status ${PIPESTATUS[0]}");
  EXPECT_TRUE(t.shows_all({"needs a terminal", "status 2"})) << t.screen();
}

TEST_F(Top, SaysWhatIsWrongWithTheDaemonBeforeItTakesTheScreen) {
  Tmux t(80, 24, utf8);
  t.enter("clear; " BINDLENS_PROGRAM " top --socket /nonexistent; echo status $?");
  EXPECT_TRUE(t.shows_all({"no daemon at /nonexistent", "status 3"})) << t.screen();
  t.enter("clear; " BINDLENS_PROGRAM " top --netns gone --socket " + daemon_->socket() +
          "; echo status $?");
  EXPECT_TRUE(t.shows_all({"\"gone\"", "status 4"})) << t.screen();
}

} // namespace
} // namespace bindlens::test
