// Output on a terminal: through a pager, as journalctl has it.

#include "server_fixture.h"
#include "terminal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

namespace bindlens::test {
namespace {

class Paged : public testing::Test {
 protected:
  void SetUp() override {
    const auto nginx = process(812, "nginx", "nginx.service");
    for (uint16_t port = 1001; port <= 1100; ++port)
      server_.backend().sockets.push_back({listener(port), nginx, {{nginx, 6}}});
  }
  Outcome on_terminal(std::vector<std::string> arguments, std::vector<std::string> variables = {},
                      const Typing& typing = {}) {
    arguments.insert(arguments.end(), {"--socket", server_.path()});
    return run_on_terminal(arguments, {.user = {}, .variables = std::move(variables)}, typing);
  }
  RunningServer server_;
};

// Marks every line that went through it.
const std::string marker = "sed s/^/paged:/";

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++n;
  return n;
}

TEST_F(Paged, GoesThroughThePagerThatIsNamed) {
  const auto r = on_terminal({"ls"}, {"BINDLENS_PAGER=" + marker, "PAGER=false"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(count(r.out, "paged:"), 101u) << r.out;
  EXPECT_EQ(count(on_terminal({"ls", "--port", "1001-1010"}, {"PAGER=" + marker}).out, "paged:"),
            11u);
}

TEST_F(Paged, MayBeAShellCommand) {
  const auto r = on_terminal({"ls"}, {"PAGER=sed 's/^/a pager:/' | sed 's/a pager/this pager/'"});
  EXPECT_EQ(count(r.out, "this pager:"), 101u) << r.out;
}

TEST_F(Paged, NotWhenItIsNotWanted) {
  const std::vector<std::vector<std::string>> environments = {
      {"BINDLENS_PAGER=", "PAGER=" + marker},
      {"BINDLENS_PAGER=cat", "PAGER=" + marker},
      {"PAGER="},
      {"PAGER=" + marker, "TERM=dumb"}};
  for (const auto& variables : environments) {
    const auto r = on_terminal({"ls"}, variables);
    EXPECT_EQ(r.exit_code, 0);
    EXPECT_EQ(count(r.out, "nginx[812]"), 100u) << variables.front();
    EXPECT_EQ(count(r.out, "paged:"), 0u) << variables.front();
  }
  EXPECT_EQ(count(on_terminal({"ls", "--no-pager"}, {"PAGER=" + marker}).out, "paged:"), 0u);
}

TEST_F(Paged, NotWithoutATerminal) {
  const auto r = run({"ls", "--socket", server_.path()},
                     {.user = {}, .variables = {"TERM=xterm", "PAGER=" + marker}});
  EXPECT_EQ(count(r.out, "nginx[812]"), 100u);
  EXPECT_EQ(count(r.out, "paged:"), 0u);
}

TEST_F(Paged, NotWhatHasNoEnd) {
  model::Event event;
  event.id = 1;
  event.time = monotonic_now();
  event.socket = listener(80);
  server_.in_loop([&] { server_.backend().kept_events = {event}; });
  const auto r = on_terminal({"events", "--follow"}, {"PAGER=" + marker}, {":80", "\x03"});
  EXPECT_EQ(count(r.out, ":80"), 1u);
  EXPECT_EQ(count(r.out, "paged:"), 0u);
  EXPECT_EQ(count(on_terminal({"events"}, {"PAGER=" + marker}).out, "paged:"), 1u);
}

TEST_F(Paged, WithoutTheProgramItIsLess) {
  const auto r = on_terminal({"ls", "--port", "1001-1003"}, {"PAGER=no-such-pager"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(count(r.out, "nginx[812]"), 3u) << r.out;
}

TEST_F(Paged, WithoutAnyPagerItIsPlain) {
  const TemporaryDirectory empty;
  const auto r = on_terminal({"ls"}, {"PAGER=no-such-pager", "PATH=" + empty.file("")});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(count(r.out, "nginx[812]"), 100u);
}

TEST_F(Paged, QuittingItEndsTheCommandQuietly) {
  for (const char* pager : {"head -n1", "true"}) {
    const auto r = on_terminal({"ls", "--json"}, {"BINDLENS_PAGER=" + std::string(pager)});
    EXPECT_EQ(r.exit_code, 0) << r.out;
    EXPECT_LE(count(r.out, "\n"), 1u) << r.out;
  }
}

TEST_F(Paged, WhoReadsSlowlyDoesNotMakeTheDaemonWait) {
  server_.in_loop([&] {
    for (uint16_t port = 2000; port < 12'000; ++port)
      server_.backend().sockets.push_back({listener(port), process(812, "nginx"), {}});
  });
  // The pager reads nothing until the server has no client any more.
  const TemporaryDirectory directory;
  const std::string go = directory.file("go");
  std::thread ends([&] {
    EXPECT_TRUE(server_.wait_until([&] { return server_.backend().listings == 1; }));
    EXPECT_TRUE(server_.wait_until([&] { return server_.backend().live_cursors() == 0; }));
    std::ofstream(go) << "go";
  });
  const auto r = on_terminal({"ls", "--json"},
                             {"PAGER=while ! test -e " + go + "; do sleep 0.01; done; wc -l"});
  ends.join();
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_NE(r.out.find("10100"), std::string::npos) << r.out;
}

TEST_F(Paged, TheCommandsExitCodeStays) {
  const auto refused = on_terminal({"why", "81"}, {"PAGER=" + marker});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.out.find("no failure seen"), std::string::npos);
  EXPECT_EQ(count(refused.out, "paged:"), 0u) << "nothing is shown, so no pager is started";
}

TEST_F(Paged, LessShowsAScreenAndWaits) {
  if (!std::filesystem::exists("/usr/bin/less")) GTEST_SKIP() << "less is not installed";
  const auto quit = on_terminal({"ls"}, {}, {":1001 ", "q"});
  EXPECT_EQ(quit.exit_code, 0);
  EXPECT_NE(quit.out.find(":1001 "), std::string::npos) << quit.out;
  EXPECT_EQ(quit.out.find(":1100 "), std::string::npos) << "that is on the fifth screen";
  const auto to_the_end = on_terminal({"ls"}, {}, {":1001 ", "Gq"});
  EXPECT_NE(to_the_end.out.find(":1100 "), std::string::npos);
  // What fits one screen is shown and nothing waits.
  EXPECT_EQ(on_terminal({"ls", "--port", "1001-1009"}).exit_code, 0);
}

TEST_F(Paged, ColoursStay) {
  auto failure = std::make_shared<model::Failure>();
  failure->error = EADDRINUSE;
  failure->process = process(812, "nginx");
  server_.in_loop([&] { server_.backend().kept_failures = {failure}; });
  for (const char* pager : {"PAGER=sed s/^/paged:/", "LESS="}) {
    const auto r = on_terminal({"why"}, {pager});
    EXPECT_NE(r.out.find("\033[1;31mEADDRINUSE"), std::string::npos) << pager << "\n" << r.out;
  }
}

TEST_F(Paged, ThroughSudoItIsLessInItsSecureMode) {
  const auto r = on_terminal({"ls", "--port", "1001"}, {"SUDO_UID=1000", "PAGER=" + marker});
  EXPECT_EQ(count(r.out, "paged:"), 0u);
  EXPECT_EQ(count(r.out, "nginx[812]"), 1u);
  if (!std::filesystem::exists("/usr/bin/less")) GTEST_SKIP() << "less is not installed";
  const TemporaryDirectory directory;
  const std::string proof = directory.file("proof");
  const Typing keys{":1001 ", "!touch " + proof + "\n\nqqq"};
  (void)on_terminal({"ls"}, {"SUDO_UID=1000", "SHELL=/bin/sh"}, keys);
  EXPECT_FALSE(std::filesystem::exists(proof)) << "a shell could be started";
  (void)on_terminal({"ls"}, {"SHELL=/bin/sh"}, keys);
  EXPECT_TRUE(std::filesystem::exists(proof)) << "this is how it would be";
}

} // namespace
} // namespace bindlens::test
