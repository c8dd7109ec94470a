#include "screens.h"

#include "judged_group.h"
#include "repaint.h"
#include "text.h"

#include <bindlens/protocol/json.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace bindlens::cli {
namespace {

class NoNames final : public protocol::Names {
 public:
  [[nodiscard]] std::string user(uint32_t uid) const override {
    return uid == 33 ? "www-data" : "";
  }
  [[nodiscard]] std::string netns(uint32_t inode) const override {
    return inode == 4026531840 ? "host" : "web-1";
  }
  [[nodiscard]] std::string dev(uint32_t, uint32_t) const override { return ""; }
};

constexpr uint32_t host = 4026531840;

// As it comes from the daemon.
protocol::GroupView view_of(const model::JudgedGroup& g) {
  std::string text;
  append_group(text, g, NoNames());
  return protocol::read_group(text).value();
}

std::string screen(const protocol::GroupView& g, size_t width, bool utf8 = true,
                   bool color = false) {
  return group_screen(g, {.width = width, .color = color}, {.own_netns = host, .utf8 = utf8});
}

size_t widest_line(const std::string& text) {
  std::istringstream lines(text);
  size_t widest = 0;
  for (std::string line; std::getline(lines, line);)
    widest = std::max(widest, display_width(line));
  return widest;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ReuseportScreen, ShowsSharesRatesQueuesAndTheOneThatHangs) {
  EXPECT_EQ(screen(view_of(test::judged_group()), 80),
            R"(tcp 0.0.0.0:443   STALLED: nginx[813]
  4 members, user www-data, kernel hash, 25.0 % expected
  nginx[812]  ███████████████████  26.1 %  1,200/s  queue 0/511
  nginx[813]  ██████████████████   24.8 %      0/s  queue 512/511  dropped 4,112
  nginx[814]  █████████████████▉   24.6 %  1,202/s  queue 0/511
  nginx[815]  █████████████████▉   24.5 %  1,203/s  queue 0/511
  nginx[813] has not accepted for 9 s, and its accept queue is full: 25 % of new
  clients wait and time out.
  - restart nginx[813]
)");
}

TEST(ReuseportScreen, FitsNarrowTerminals) {
  const auto g = view_of(test::judged_group());
  for (const size_t width : {40, 50, 60, 80, 120})
    EXPECT_LE(widest_line(screen(g, width)), width) << screen(g, width);
  const std::string narrow = screen(g, 40);
  EXPECT_TRUE(has(narrow, "    0/s  queue 512/511  dropped 4,112\n")) << narrow;
  EXPECT_TRUE(has(narrow, "24.8 %")) << narrow;
}

TEST(ReuseportScreen, CutsNothingWithoutATerminal) {
  auto g = view_of(test::judged_group());
  g.members[0].socket.holders->front().comm = std::string(60, 'x');
  const std::string text = screen(g, 0);
  EXPECT_TRUE(has(text, std::string(60, 'x') + "[812]")) << text;
  EXPECT_TRUE(has(text, "tcp 0.0.0.0:443   4 members, user www-data, kernel hash, 25.0 % expected "
                        "  STALLED: nginx[813]"))
      << text;
}

TEST(ReuseportScreen, DrawsInAsciiWhereTheLocaleAsksForIt) {
  const std::string text = screen(view_of(test::judged_group()), 80, false);
  EXPECT_TRUE(has(text, "##################   24.6 %")) << text;
  EXPECT_TRUE(
      std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 128; }));
}

TEST(ReuseportScreen, ColoursWhatIsWrongAndNothingElse) {
  auto g = test::judged_group();
  EXPECT_TRUE(has(screen(view_of(g), 80, true, true), "\033[1;31mSTALLED: nginx[813]\033[0m"));
  g.distribution.verdict = model::Verdict::even;
  g.distribution.members[1].stalled = false;
  EXPECT_FALSE(has(screen(view_of(g), 80, true, true), "\033"));
}

TEST(ReuseportScreen, ShowsWhatIsExpectedOfEachWhereThatDiffers) {
  auto g = test::judged_group();
  g.distribution.members[0].expected = 0.5;
  const std::string text = screen(view_of(g), 80);
  EXPECT_TRUE(has(text, "26.1 %  of 50.0 %")) << text;
  EXPECT_FALSE(has(text, "% expected")) << text;
  EXPECT_TRUE(has(text, "████▏░░░  26.1 %")) << text;
}

TEST(ReuseportScreen, SaysWhoSteersAndWhereItIs) {
  auto g = test::judged_group();
  g.group.steering = model::Steering::ebpf;
  g.group.program = "to_first";
  g.group.netns = 7;
  for (auto& m : g.distribution.members)
    m.expected = std::nullopt;
  const std::string text = screen(view_of(g), 80);
  EXPECT_TRUE(has(text, "BPF program to_first, netns web-1")) << text;
}

TEST(ReuseportScreen, TellsMembersOfOneProcessApart) {
  auto g = test::judged_group();
  g.group.members[1].holders[0].process = g.group.members[0].holders[0].process;
  g.group.members[1].holders[0].fd = 7;
  const std::string text = screen(view_of(g), 80);
  EXPECT_TRUE(has(text, "nginx[812] fd 6")) << text;
  EXPECT_TRUE(has(text, "nginx[812] fd 7")) << text;
  EXPECT_FALSE(has(text, "nginx[814] fd")) << text;
}

TEST(ReuseportScreen, NamesDifferentProgramsOfOneGroup) {
  auto g = view_of(test::judged_group());
  EXPECT_FALSE(has(screen(g, 80), "Different programs"));
  g.members[3].socket.holders->front().exe = "/opt/rogue";
  EXPECT_TRUE(has(screen(g, 0), "  Different programs share this port: /opt/rogue (1 member), "
                                "/usr/sbin/nginx (3\n  members)."))
      << screen(g, 0);
}

TEST(ReuseportScreen, ShowsReceiveBuffersOfDatagramSockets) {
  auto g = view_of(test::judged_group());
  for (auto& m : g.members) {
    m.socket.backlog.reset();
    m.receive_queue = 106'496;
    m.receive_buffer = 212'992;
  }
  EXPECT_TRUE(has(screen(g, 80), "buffer 50 %")) << screen(g, 80);
}

TEST(ReuseportScreen, HasNoEscapeSequencesOfOthers) {
  auto g = view_of(test::judged_group());
  g.members[0].socket.holders->front().comm = "a\033[2Jb";
  g.program = "\033c";
  g.steering = "ebpf";
  EXPECT_FALSE(has(screen(g, 80), "\033"));
}

TEST(ReuseportScreen, ManagesWithoutAnyFigures) {
  auto g = view_of(test::judged_group());
  for (auto& m : g.members) {
    m = {};
    m.socket.state = "LISTEN";
  }
  g.verdict.clear();
  const std::string text = screen(g, 80);
  EXPECT_TRUE(has(text, "unknown")) << text;
  EXPECT_LE(widest_line(text), 80u);
}

TEST(FirstLines, SaysHowManyAreLeftOut) {
  EXPECT_EQ(first_lines("a\nb\nc\n", 3), "a\nb\nc\n");
  EXPECT_EQ(first_lines("a\nb\nc\n", 2), "a\nand 2 lines more\n");
  EXPECT_EQ(first_lines("", 2), "");
}

} // namespace
} // namespace bindlens::cli
