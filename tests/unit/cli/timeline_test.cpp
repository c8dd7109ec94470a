#include "timeline.h"

#include "text.h"
#include "views.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace bindlens::cli {
namespace {

using protocol::EventView;
using protocol::WallNs;

constexpr WallNs start = 1'772'334'667'482'113'905; // 2026-03-01T03:11:07.482113905Z
constexpr WallNs millisecond = 1'000'000;

class TimelineTest : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
  static EventView event(const std::string& type, WallNs time) {
    EventView e;
    e.type = type;
    e.time = time;
    e.socket.proto = "tcp";
    e.socket.family = "inet";
    e.socket.addr = "127.0.0.1";
    e.socket.port = 8080;
    e.socket.netns = 4026531840;
    e.socket.netns_name = "host";
    e.process = test::view_of(3311, "node", {}, "app.service");
    return e;
  }
  static EventView refusal(WallNs time) {
    EventView e = event("fail", time);
    e.failure.emplace();
    e.failure->call = "bind";
    e.failure->error = "EADDRINUSE";
    e.failure->rule = "listener";
    e.failure->asked = e.socket;
    e.failure->asked.addr = "0.0.0.0";
    e.failure->process = test::view_of(4121, "nginx");
    e.failure->holders = {e.socket};
    e.failure->holders[0].holders = {test::view_of(3311, "node", 19)};
    return e;
  }
};

TEST_F(TimelineTest, TellsWhoTookItWhoWasRefusedWhoReleasedIt) {
  Timeline t(Style{});
  EXPECT_EQ(t.lines(event("bind", start)),
            "-- 2026-03-01 --\n"
            "03:11:07.482113             node[3311] (app.service) took tcp 127.0.0.1:8080\n");
  EXPECT_EQ(t.lines(event("listen", start + 200'000)),
            "03:11:07.482313    +0.2 ms  node[3311] (app.service) listens on tcp 127.0.0.1:8080\n");
  EXPECT_EQ(t.lines(refusal(start + 12 * millisecond + 600'000)),
            "03:11:07.494713   +12.4 ms  nginx[4121] refused: bind tcp 0.0.0.0:8080, EADDRINUSE, "
            "rule listener, held by node[3311] fd 19 on 127.0.0.1:8080\n");
  EXPECT_EQ(t.lines(event("release", start + 2012 * millisecond + 600'000)),
            "03:11:09.494713     +2.0 s  tcp 127.0.0.1:8080 released, bound by node[3311] "
            "(app.service)\n");
}

TEST_F(TimelineTest, SaysTheDateWhenItChangesAndTheNamespaceWhenItIsAnother) {
  Timeline t(Style{});
  (void)t.lines(event("bind", start));
  EventView next = event("bind", start + 86'400'000 * millisecond);
  next.socket.netns_name = "web-1";
  const std::string lines = t.lines(next);
  EXPECT_TRUE(lines.starts_with("-- 2026-03-02 --\n")) << lines;
  EXPECT_NE(lines.find("+24.0 h"), std::string::npos) << lines;
  EXPECT_NE(lines.find(", netns web-1"), std::string::npos) << lines;
}

TEST_F(TimelineTest, FitsEveryWidthAndCutsNothing) {
  for (const size_t width : {80u, 60u, 59u, 40u, 30u}) {
    Style style;
    style.width = width;
    Timeline t(style);
    (void)t.lines(event("bind", start));
    const std::string lines = t.lines(refusal(start + millisecond));
    std::string words;
    for (size_t at = 0; at < lines.size();) {
      const size_t end = lines.find('\n', at);
      const std::string line = lines.substr(at, end - at);
      EXPECT_LE(display_width(line), width) << line;
      words += line + " ";
      at = end + 1;
    }
    for (const char* word : {"+1.0", "nginx[4121]", "0.0.0.0:8080,", "EADDRINUSE,", "listener,",
                             "node[3311]", "127.0.0.1:8080"})
      EXPECT_NE(words.find(word), std::string::npos) << width << " " << word;
  }
}

TEST_F(TimelineTest, SaysWhatIsMissingInItsPlace) {
  Timeline t(Style{});
  EventView gap;
  gap.type = "gap";
  gap.missing = "not-running";
  gap.reason = "the daemon did not run";
  gap.time = start;
  gap.until = start + 250 * millisecond;
  EXPECT_EQ(t.lines(gap),
            "-- 2026-03-01 --\n-- the daemon did not run, from 2026-03-01 03:11:07.482 "
            "to 03:11:07.732 --\n");
  gap.missing = "counted";
  gap.counted = 1234;
  gap.reason = "only counted";
  EXPECT_TRUE(missing_text(gap).starts_with("1,234 sockets not shown: only counted, from "));
  gap.missing = "lost";
  gap.lost = 5;
  gap.reason = "the disk was too slow";
  EXPECT_TRUE(missing_text(gap).starts_with("5 events lost: the disk was too slow, from "));
}

TEST_F(TimelineTest, DifferencesAreShort) {
  EXPECT_EQ(difference_text(0), "+0.0 ms");
  EXPECT_EQ(difference_text(12'400'000), "+12.4 ms");
  EXPECT_EQ(difference_text(999'900'000), "+999.9 ms");
  EXPECT_EQ(difference_text(3'200 * millisecond), "+3.2 s");
  EXPECT_EQ(difference_text(90'000 * millisecond), "+1.5 min");
  EXPECT_EQ(difference_text(-1'000 * millisecond), "-1.0 s") << "the clock was set back";
}

TEST_F(TimelineTest, ControlCharactersDoNotReachTheTerminal) {
  Timeline t(Style{});
  EventView e = event("bind", start);
  e.process->comm = "a\x1b[2J";
  EXPECT_EQ(t.lines(e).find('\x1b'), std::string::npos);
}

} // namespace
} // namespace bindlens::cli
