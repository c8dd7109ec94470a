#include "screens.h"

#include "text.h"
#include "views.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <sstream>

namespace bindlens::cli {
namespace {

using namespace protocol;
using test::view_of;

constexpr WallNs second = 1'000'000'000;
constexpr WallNs now = 1'772'334'667 * second; // 2026-03-01T03:11:07Z

SocketView holder() {
  SocketView s;
  s.proto = "tcp";
  s.family = "inet";
  s.addr = "127.0.0.1";
  s.port = 8080;
  s.state = "LISTEN";
  s.reuseaddr = true;
  s.netns = 1;
  s.backlog = {0, 511};
  s.bound_at = now - (4 * 60 + 12) * 60 * second;
  s.binder = view_of(3311, "node");
  s.binder_exited = true;
  s.holders = {view_of(3340, "node", 19, {}, "app")};
  s.holders->front().ppid = 3311;
  return s;
}

FailureView failure() {
  FailureView f;
  f.time = now;
  f.first_time = now - 15 * second;
  f.count = 6;
  f.call = "bind";
  f.error = "EADDRINUSE";
  f.asked.proto = "tcp";
  f.asked.family = "inet";
  f.asked.addr = "0.0.0.0";
  f.asked.port = 8080;
  f.asked.reuseaddr = true;
  f.asked.netns_name = "host";
  f.process = view_of(4121, "nginx", {}, "nginx.service", "www-data");
  f.rule = "listener";
  f.explanation = "node[3340] listens on 127.0.0.1:8080 and a listener blocks every overlapping "
                  "address; 0.0.0.0 overlaps it. SO_REUSEADDR (set here) does not help against a "
                  "listener.";
  f.holders = {holder()};
  f.advice = {"stop node[3340]", "bind another address than 127.0.0.1"};
  f.evidence = "observed";
  return f;
}

class Screens : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

TEST_F(Screens, WhyAt80Columns) {
  EXPECT_EQ(why_screen(failure(), {.width = 80}, now),
            R"(EADDRINUSE  bind tcp 0.0.0.0:8080   nginx[4121] (nginx.service, www-data)
            03:11:07.000, 6 times since 03:10:52.000, namespace host, with
            reuseaddr

  Refused: node[3340] listens on 127.0.0.1:8080 and a listener blocks every
  overlapping address; 0.0.0.0 overlaps it. SO_REUSEADDR (set here) does not
  help against a listener.                                         rule listener

  Holder   tcp 127.0.0.1:8080  LISTEN  reuseaddr  backlog 0/511
           bound 4 h 12 min ago by node[3311], which has exited
           open in node[3340] fd 19 (child of 3311, user app)

  Do one of
    - stop node[3340]
    - bind another address than 127.0.0.1

  Observed at the moment of the call; no events were lost.
)");
}

TEST_F(Screens, WhyIsTheSameInAPipe) {
  EXPECT_EQ(why_screen(failure(), {.width = 0}, now), why_screen(failure(), {.width = 80}, now));
}

TEST_F(Screens, WhyAt60Columns) {
  const std::string text = why_screen(failure(), {.width = 60}, now);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    EXPECT_LE(display_width(line), 60u) << line;
  EXPECT_EQ(text.substr(0, text.find("\n\n")), R"(EADDRINUSE  bind tcp 0.0.0.0:8080
            nginx[4121] (nginx.service, www-data)
            03:11:07.000, 6 times since 03:10:52.000,
            namespace host, with reuseaddr)");
}

TEST_F(Screens, WhyFitsEveryWidth) {
  auto f = failure();
  f.holders.assign(7, holder());
  f.holders[0].holders->assign(9, f.holders[0].holders->front());
  f.complete = false;
  for (size_t width = 40; width <= 140; ++width) {
    std::istringstream lines(why_screen(f, {.width = width}, now));
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(display_width(line), width) << line;
  }
}

TEST_F(Screens, WhySaysWhatIsNotKnown) {
  FailureView f = failure();
  f.process.reset();
  f.explanation.clear();
  f.evidence = "reconstructed";
  f.complete = false;
  f.holders[0].holders.reset();
  f.holders[0].binder.reset();
  f.holders[0].bound_at.reset();
  const std::string text = why_screen(f, {.width = 80}, now);
  EXPECT_NE(text.find("unknown process"), std::string::npos);
  EXPECT_NE(text.find("the reason is not known"), std::string::npos);
  EXPECT_NE(text.find("could not be listed in time"), std::string::npos);
  EXPECT_NE(text.find("Reconstructed after the call"), std::string::npos);
  EXPECT_NE(text.find("events were lost around it"), std::string::npos);
}

TEST_F(Screens, WhyNamesTheKernelAndOrphans) {
  FailureView f = failure();
  SocketView kernel = holder();
  kernel.kernel = true;
  kernel.holders->clear();
  SocketView orphan = holder();
  orphan.orphan = true;
  orphan.holders->clear();
  SocketView time_wait = holder();
  time_wait.state = "TIME_WAIT";
  time_wait.timewait_left_ms = 41'000;
  orphan.state = "FIN_WAIT2";
  SocketView queued = orphan;
  queued.state = "ESTABLISHED";
  f.holders = {kernel, orphan, time_wait, queued};
  const std::string text = why_screen(f, {.width = 80}, now);
  EXPECT_NE(text.find("made by the kernel itself"), std::string::npos);
  EXPECT_NE(text.find("no process has it open any more: it was closed"), std::string::npos);
  EXPECT_NE(text.find("no process has accepted it yet"), std::string::npos);
  EXPECT_NE(text.find("gone in 41 s"), std::string::npos);
}

TEST_F(Screens, WhyInOneLine) {
  EXPECT_EQ(why_line(failure(), {.width = 0}, now),
            "03:11:07.000  EADDRINUSE  bind tcp 0.0.0.0:8080  nginx[4121]  rule listener  "
            "6 times\n");
}

TEST_F(Screens, TextOfOthersCannotDriveTheTerminal) {
  FailureView f = failure();
  f.process->comm = "\x1b]0;owned\x07";
  f.explanation = "\x1b[2J";
  f.advice = {"a\rb"};
  f.holders[0].holders->front().comm = "\x1b[H";
  f.holders[0].dev = "\x1b";
  EventView e;
  e.type = "fail";
  e.failure = f;
  const std::string text = why_screen(f, {.width = 80}, now) + event_line(e, {.width = 0});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\x07'), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST_F(Screens, EventsAreLines) {
  EventView e;
  e.time = now;
  e.type = "bind";
  e.socket = holder();
  e.socket.netns_name = "host";
  e.process = view_of(990, "java", {}, "app@2.service");
  EXPECT_EQ(event_line(e, {.width = 0}),
            "Mar 01 03:11:07.000000  bind       tcp 127.0.0.1:8080  java[990] (app@2.service)  "
            "reuseaddr\n");
  EXPECT_EQ(display_width(event_line(e, {.width = 60})), 61u) << "60 and the newline";
  e.socket.netns_name = "web-1";
  EXPECT_NE(event_line(e, {.width = 0}).find("  netns web-1\n"), std::string::npos);

  EventView fail;
  fail.time = now;
  fail.type = "fail";
  fail.failure = failure();
  EXPECT_EQ(event_line(fail, {.width = 0}),
            "Mar 01 03:11:07.000000  fail       EADDRINUSE  bind tcp 0.0.0.0:8080  nginx[4121]  "
            "rule listener  holder tcp 127.0.0.1:8080 node[3340] fd 19\n");

  EventView gap;
  gap.time = now;
  gap.type = "gap";
  gap.lost = 1200;
  EXPECT_EQ(event_line(gap, {.width = 0, .color = true}),
            "\033[33mMar 01 03:11:07.000000  gap        1,200 events lost here\033[0m\n");
}

TEST_F(Screens, EventsOfFindings) {
  EventView e;
  e.time = now;
  e.type = "audit";
  e.finding.emplace();
  e.finding->id = "linger-zero";
  e.finding->severity = "warning";
  e.finding->summary = "nginx[812] closes connections of tcp 0.0.0.0:80 with RST";
  e.finding->netns_name = "host";
  EXPECT_EQ(event_line(e, {.width = 0, .color = true}),
            "\033[33mMar 01 03:11:07.000000  audit      warning  linger-zero  "
            "nginx[812] closes connections of tcp 0.0.0.0:80 with RST\033[0m\n");
  EXPECT_EQ(display_width(event_line(e, {.width = 60})), 61u) << "60 and the newline";
  e.finding->severity = "critical";
  EXPECT_TRUE(event_line(e, {.width = 0, .color = true}).starts_with("\033[1;31m"));
  e.resolved = true;
  e.finding->netns_name.clear();
  e.finding->netns = 7;
  EXPECT_EQ(event_line(e, {.width = 0, .color = true}),
            "Mar 01 03:11:07.000000  audit      gone  linger-zero  "
            "nginx[812] closes connections of tcp 0.0.0.0:80 with RST  netns 7\n");
}

TEST_F(Screens, Status) {
  StatusView s;
  s.version = "0.1.0";
  s.tier = "tracepoint";
  s.tier_reason = "trampolines: refused by the kernel";
  s.uptime_ns = 11'520'000'000'000;
  s.sockets = 1204;
  s.namespaces = 7;
  s.source = "walk";
  s.snapshot_ns = 31'000'000;
  s.verified_ago_ns = 41'000'000'000;
  s.events_seen = 88120;
  s.failures_seen = 12;
  s.failures_kept = 9;
  s.audit = {.interval_s = 5, .runs = 12, .cpu_ns = 36'000'000, .findings = 3};
  s.history = "disk";
  s.history_file = {.state = "waiting",
                    .path = "/var/lib/bindlens/history.db",
                    .problem = "the disk is full",
                    .set_aside = "",
                    .bytes = 10u << 20,
                    .max_bytes = 256u << 20,
                    .events = 88120,
                    .pending_bytes = 0,
                    .written = 88120,
                    .lost = 3,
                    .oldest = {}};
  s.hooks = {{"bind", "tracepoint", "attached", "", ""},
             {"listen", "tracepoint", "attached", "", ""},
             {"release", "", "unavailable", "kprobes are not built in", "found by the next walk"}};
  s.observed = {"bind", "listen"};
  s.reconstructed = {"UDP autobind"};
  s.rules = {{"orphan-uid", "own", "P5", true}};
  s.calibration_ns = 14'000'000;
  EXPECT_EQ(status_screen(s, {.width = 80}),
            R"(bindlensd 0.1.0, up 3 h 12 min, tier tracepoint (trampolines: refused by the
  kernel)
table          1,204 sockets in 7 namespaces, verified 41 s ago, 0 differences;
               last snapshot by walk in 31 ms
events         88,120 seen, 0 lost, 0 resyncs
failures       12 seen; kept in memory: 9 failures, 0 events
findings       3 known; looked for 12 times, 3.0 ms of a processor each
history        /var/lib/bindlens/history.db: 10.0 MB of 256.0 MB, 88,120 events;
               3 events could not be written
               kept in memory for now: the disk is full
hooks          tracepoint: bind, listen
               release unavailable: kprobes are not built in; found by the next
               walk
observed       bind, listen
reconstructed  UDP autobind
rules          calibrated in 14 ms: orphan-uid own (assumed)
)");
}

TEST_F(Screens, Verify) {
  VerifyView v;
  v.sockets = 1204;
  v.duration_ns = 30'000'000;
  v.source = "walk";
  EXPECT_EQ(verify_screen(v, {}), "differences: 0\n1,204 sockets compared in 30 ms (walk)\n");
  v.differences = 3;
  v.list = {{"missing", "not in the table", holder()}};
  EXPECT_EQ(verify_screen(v, {}), "differences: 3\n"
                                  "missing  tcp 127.0.0.1:8080  LISTEN  netns 1  not in the table\n"
                                  "and 2 more\n"
                                  "1,204 sockets compared in 30 ms (walk)\n");
}

TEST_F(Screens, Check) {
  CheckView c;
  c.error = "EADDRINUSE";
  c.rule = "time-wait";
  c.explanation = "37 TIME_WAIT sockets hold 0.0.0.0:8080 for another 41 s.";
  c.minimal_change = {"wait 41 s", "bind 10.0.0.5"};
  c.advice = {"bind 10.0.0.5", "ask the owner of the port"};
  c.unknown = {"a security module"};
  EXPECT_EQ(check_screen(c, {.width = 80}, now),
            R"(no   EADDRINUSE   rule time-wait
     37 TIME_WAIT sockets hold 0.0.0.0:8080 for another 41 s.
     smallest change: wait 41 s; or bind 10.0.0.5
     - ask the owner of the port
     not decidable from outside: a security module
)");
  CheckView free;
  free.would_succeed = true;
  EXPECT_EQ(check_screen(free, {.width = 80}, now), "yes  this would succeed now\n");
}

TEST(WhyScreen, TellsWhichRefusalsAreNotSeen) {
  protocol::StatusView s;
  s.hooks = {{"bind", "tracepoint", "attached", "", ""},
             {"listen", "kprobe", "attached", "", ""},
             {"connect", "tracepoint", "attached", "", ""},
             {"tcp-release", "", "unavailable", "no tracepoint", ""}};
  EXPECT_EQ(unseen_refusals(s), "");
  s.hooks[0] = {"bind", "", "unavailable", "the kernel has no BTF", ""};
  s.hooks[2] = {"connect", "", "unavailable", "the kernel has no BTF", ""};
  EXPECT_EQ(unseen_refusals(s),
            "refused calls of bind, connect are not seen here: the kernel has no BTF");
}

} // namespace
} // namespace bindlens::cli
