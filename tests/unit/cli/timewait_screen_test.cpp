#include "screens.h"

#include "phrases.h"
#include "text.h"
#include "views.h"

#include <gtest/gtest.h>

#include <sstream>

namespace bindlens::cli {
namespace {

using namespace protocol;

constexpr WallNs now = 1'772'334'667'000'000'000; // 2026-03-01T03:11:07Z

TimeWaitView held() {
  TimeWaitView t;
  t.local.proto = "tcp";
  t.local.family = "inet";
  t.local.addr = "127.0.0.1";
  t.local.port = 8080;
  t.local.netns_name = "host";
  t.count = 37;
  t.fin_wait2 = 2;
  t.next_left_ms = 1'500;
  t.last_left_ms = 41'000;
  t.owners = {{test::view_of(812, "app", {}, "app.service"), 30}};
  t.bind_reuses = 5;
  t.linger_zero = 1;
  ReuseView r;
  r.time = now - 60'000'000'000;
  r.kind = "bind";
  r.evidence = "observed";
  r.sockets = 3;
  r.process = test::view_of(900, "app");
  r.left_out = 4;
  t.reuses = {r};
  return t;
}

// Wherever the lines are broken.
bool has(const std::string& text, const std::string& part) {
  std::istringstream words(text);
  std::string flat;
  for (std::string word; words >> word;)
    flat += (flat.empty() ? "" : " ") + word;
  return flat.find(part) != std::string::npos;
}

TEST(TimeWaitScreen, SaysWhoMayBindAndForHowLongNobodyDoes) {
  const std::string text = timewait_screen(held(), {.width = 80, .color = false}, now);
  EXPECT_TRUE(text.starts_with("tcp 127.0.0.1:8080 37 in TIME_WAIT")) << text;
  EXPECT_TRUE(has(text, "The last is gone in 41 s, the first in 2 s.")) << text;
  EXPECT_TRUE(has(text, "Bound by app[812] (app.service) 30, not known 7.")) << text;
  EXPECT_TRUE(has(text, "no bind gets the port for another 41 s")) << text;
  EXPECT_TRUE(has(text, "Reused: 5 by bind. 1 connection closed with SO_LINGER 0")) << text;
  EXPECT_TRUE(has(text, "bind over 3 TIME_WAIT sockets")) << text;
}

TEST(TimeWaitScreen, FlagsThatTheyRememberDecide) {
  const auto told = [](uint64_t reuseaddr, uint64_t reuseport) {
    TimeWaitView t = held();
    t.reuseaddr = reuseaddr;
    t.reuseport = reuseport;
    return timewait_screen(t, {.width = 0, .color = false}, now);
  };
  EXPECT_TRUE(has(told(37, 0), "a bind with SO_REUSEADDR gets the"));
  EXPECT_TRUE(has(told(0, 37), "a bind with SO_REUSEPORT gets the port, of any user"));
  EXPECT_TRUE(has(told(30, 0), "7 of the connections lacked SO_REUSEADDR"));
}

TEST(TimeWaitScreen, ReusesSayWhatIsNotHarmlessAndWhatWasNotSeen) {
  TimeWaitView t = held();
  t.reuses[0].kind = "syn";
  t.reuses[0].sockets = 1;
  t.reuses[0].harmless = false;
  t.reuses[0].evidence = "reconstructed";
  t.reuses[0].process.reset();
  t.reuses[0].socket.peer = "10.0.0.9:5555";
  const std::string text = timewait_screen(t, {.width = 100, .color = false}, now);
  EXPECT_TRUE(has(text, "new SYN revived a TIME_WAIT socket peer 10.0.0.9:5555")) << text;
  EXPECT_TRUE(has(text, "old segments can arrive")) << text;
  EXPECT_TRUE(has(text, "(reconstructed)")) << text;
}

TEST(TimeWaitScreen, FitsNarrowTerminals) {
  for (const size_t width : {40, 60, 80}) {
    std::istringstream lines(timewait_screen(held(), {.width = width, .color = false}, now));
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(display_width(line), width) << line;
  }
}

TEST(TimeWaitScreen, EventLine) {
  EventView e;
  e.type = "timewait-reuse";
  e.socket = held().local;
  e.process = test::view_of(900, "app");
  e.reuse = EventView::Reuse{"bind", "observed", 3, true, 0};
  const std::string text = event_line(e, {.width = 0, .color = true});
  EXPECT_TRUE(has(text, "timewait-reuse bind over 3 TIME_WAIT sockets tcp 127.0.0.1:8080 app[900]"))
      << text;
  EXPECT_FALSE(has(text, "\033")) << "it is as it should be";
  e.process.reset();
  e.reuse = EventView::Reuse{"syn", "reconstructed", 1, false, 12};
  const std::string warned = event_line(e, {.width = 0, .color = true});
  EXPECT_TRUE(has(warned, "not harmless (reconstructed) (12 more not told)")) << warned;
  EXPECT_TRUE(has(warned, "\033[33m")) << warned;
  EXPECT_FALSE(has(warned, "kernel")) << "a SYN is nobody's call";
}

TEST(BucketText, SaysToWhomAndWhy) {
  BucketView b;
  b.open_to = "reuseport";
  b.because = "all 2 sockets on it have set SO_REUSEPORT";
  EXPECT_EQ(bucket_text(b), "open to bind with SO_REUSEPORT of any user: all 2 sockets on it have "
                            "set SO_REUSEPORT");
  b.open_uid = 33;
  EXPECT_TRUE(bucket_text(b).starts_with("open to bind with SO_REUSEPORT of uid 33: "));
  b.open_to = "nobody";
  b.because.clear();
  EXPECT_EQ(bucket_text(b), "open to nobody");
}

} // namespace
} // namespace bindlens::cli
