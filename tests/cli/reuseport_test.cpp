// bindlens reuseport, against a daemon that answers.

#include "judged_group.h"
#include "program.h"
#include "server_fixture.h"
#include "terminal.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace bindlens::test {
namespace {

using nlohmann::json;

class ReuseportCommand : public testing::Test {
 protected:
  void SetUp() override { server_.backend().groups = {judged_group()}; }
  [[nodiscard]] std::vector<std::string> command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "reuseport");
    arguments.insert(arguments.end(), {"--socket", server_.path()});
    return arguments;
  }
  [[nodiscard]] Outcome bindlens(std::vector<std::string> arguments) const {
    return run(command(std::move(arguments)));
  }
  void count_on(uint64_t connections) {
    server_.in_loop([&] {
      for (auto& m : server_.backend().groups[0].group.members)
        *m.counters.accepted += connections;
    });
  }
  RunningServer server_;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(ReuseportCommand, ShowsEachGroup) {
  const auto r = bindlens({});
  EXPECT_EQ(r.exit_code, 0) << "a stalled member is no failure: " << r.err;
  EXPECT_TRUE(has(r.out, "STALLED: nginx[813]")) << r.out;
  EXPECT_TRUE(has(r.out, "queue 512/511  dropped 4,112")) << r.out;
  EXPECT_TRUE(has(r.out, "- restart nginx[813]")) << r.out;
}

TEST_F(ReuseportCommand, DrawsWithTheCharactersOfTheLocale) {
  const auto utf8 = run(command({}), {.user = {}, .variables = {"LC_ALL=C.UTF-8"}});
  EXPECT_TRUE(has(utf8.out, "████")) << utf8.out;
  const auto ascii = run(command({}), {.user = {}, .variables = {"LC_ALL=C"}});
  EXPECT_TRUE(has(ascii.out, "####")) << ascii.out;
  EXPECT_FALSE(has(ascii.out, "█")) << ascii.out;
}

TEST_F(ReuseportCommand, AsksForWhatTheFlagsSay) {
  EXPECT_EQ(bindlens({"443", "--proto", "tcp", "--pid", "813"}).exit_code, 0);
  const auto filter = server_.in_loop([&] { return server_.backend().last_reuseport; });
  EXPECT_EQ(filter.single_port(), 443);
  EXPECT_EQ(filter.pid, 813u);
  const auto as_json = bindlens({"443", "--json"});
  EXPECT_EQ(std::ranges::count(as_json.out, '\n'), 1);
  EXPECT_EQ(json::parse(as_json.out)["verdict"], "stalled");
  EXPECT_EQ(bindlens({"--limit", "0"}).out, "");
}

TEST_F(ReuseportCommand, SaysThatThereIsNone) {
  const auto other = bindlens({"8080"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_TRUE(has(other.err, "no SO_REUSEPORT group on port 8080")) << other.err;
  EXPECT_EQ(other.out, "");
  EXPECT_EQ(bindlens({"--port", "8080", "--json"}).exit_code, 1);
  const auto nobody = bindlens({"--comm", "apache"});
  EXPECT_EQ(nobody.exit_code, 0);
  EXPECT_TRUE(has(nobody.err, "no SO_REUSEPORT group matches")) << nobody.err;
  server_.in_loop([&] { server_.backend().groups.clear(); });
  const auto none = bindlens({});
  EXPECT_EQ(none.exit_code, 0);
  EXPECT_TRUE(has(none.err, "there is no SO_REUSEPORT group")) << none.err;
}

TEST_F(ReuseportCommand, PassesTheDaemonsErrorOn) {
  server_.in_loop([&] { server_.backend().broken = "the tables cannot be read"; });
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{}, {"--json"}, {"--watch"}}) {
    const auto r = bindlens(arguments);
    EXPECT_EQ(r.exit_code, 4);
    EXPECT_TRUE(has(r.err, "the tables cannot be read")) << r.err;
  }
}

TEST_F(ReuseportCommand, RefusesWhatItDoesNotUnderstand) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"http"},
                                                    {"--watch=0"},
                                                    {"--watch=soon"},
                                                    {"--watch=3601"},
                                                    {"--state", "LISTEN"},
                                                    {"443", "80"}}) {
    const auto r = bindlens(arguments);
    EXPECT_EQ(r.exit_code, 2) << arguments[0];
    EXPECT_TRUE(has(r.err, "Try 'bindlens --help'")) << r.err;
  }
  EXPECT_TRUE(has(bindlens({"--watch=soon"}).err, "1 to 3600 seconds"));
}

TEST_F(ReuseportCommand, WatchTakesNoPortForItsSeconds) {
  Running watch(command({"--watch", "443"}));
  EXPECT_TRUE(has(watch.next_line(), "every 1 s"));
  watch.interrupt();
  EXPECT_EQ(server_.in_loop([&] { return server_.backend().last_reuseport; }).single_port(), 443);
}

// Without a terminal one look follows the other, with rates of the time between.
TEST_F(ReuseportCommand, WatchShowsRatesOfTheTimeBetween) {
  Running watch(command({"--watch=1", "--json"}));
  EXPECT_EQ(json::parse(watch.next_line())["total"], 981220);
  EXPECT_EQ(json::parse(watch.next_line())["total"], 981220);
  watch.stop_reading();
  EXPECT_EQ(watch.finish().exit_code, 0) << "the reader went away";

  Running text(command({"--watch=1"}));
  const auto row = [&] {
    for (int i = 0; i < 40; ++i)
      if (const std::string line = text.next_line(); has(line, "nginx[814]")) return line;
    return std::string();
  };
  EXPECT_TRUE(has(row(), "1,202/s")); // the daemon's own at first
  EXPECT_TRUE(has(row(), "0/s"));     // nothing came meanwhile
  count_on(1'000'000'000);
  bool seen = false;
  for (int look = 0; look < 10 && !seen; ++look)
    seen = !has(row(), " 0/s");
  EXPECT_TRUE(seen);
  text.interrupt();
}

TEST_F(ReuseportCommand, WatchStaysInItsPlaceOfATerminal) {
  const auto r = run_on_terminal(command({"--watch=1"}), {}, {.after = "\033[", .keys = "\x03"});
  EXPECT_EQ(r.exit_code, -1) << "ended by SIGINT";
  EXPECT_TRUE(has(r.out, "STALLED: nginx[813]")) << r.out;
  EXPECT_TRUE(has(r.out, "\033[K\n")) << r.out;
  EXPECT_FALSE(has(r.out, "\033[?1049h")) << "takes the screen";
}

} // namespace
} // namespace bindlens::test
