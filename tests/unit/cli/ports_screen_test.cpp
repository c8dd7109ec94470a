#include "screens.h"

#include "port_report.h"
#include "text.h"

#include <bindlens/protocol/json.h>

#include <gtest/gtest.h>

#include <sstream>

namespace bindlens::cli {
namespace {

class NoNames final : public protocol::Names {
 public:
  [[nodiscard]] std::string user(uint32_t) const override { return ""; }
  [[nodiscard]] std::string netns(uint32_t inode) const override {
    return inode == 4026531840 ? "host" : "";
  }
  [[nodiscard]] std::string dev(uint32_t, uint32_t) const override { return ""; }
};

// As it comes from the daemon.
protocol::PortReportView view_of(const model::PortReport& r) {
  return protocol::read_ports(protocol::to_json(r, NoNames())).value();
}

std::string screen(const model::PortReport& r, size_t width, bool color = false) {
  return ports_screen(view_of(r), {.width = width, .color = color});
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(PortsScreen, SaysWhatIsInUseAndWhatRunsOut) {
  EXPECT_EQ(screen(test::port_report(), 80),
            R"(namespace host: 1,000 ports, 32768-33777 without the reserved 33000-33009
  warning: when no port is left to 10.0.0.9:5432, connect to there fails with
    EADDRNOTAVAIL
  warning: when no TCP port is free, bind to port 0 fails with EADDRINUSE;
    connect goes on with ports that other destinations use
  tcp  █████████████████████░░░  91.0 %  warning  910 in use, 90 free
       1 listening, 49 bound, 800 connected, 60 TIME_WAIT
       50 closed to connect by a bind or listen: java[99] 50
  udp  ░░░░░░░░░░░░░░░░░░░░░░░░   0.7 %  7 in use, 993 free
  to 10.0.0.9:5432 from 10.0.0.5
       █████████████████████░░░  90.0 %  warning
       100 left, 12 new/s, full in 25 s
       800 connected, 60 TIME_WAIT, 50 closed to connect; connect may take over
       10 of TIME_WAIT
       app[812] 790
  and 3 destinations with fewer ports in use

New connections and how long it lasts: from the last 10 s.
'bindlens audit --explain ephemeral-near-exhaustion' tells what helps.
)");
}

TEST(PortsScreen, FitsNarrowTerminals) {
  for (const size_t width : {40, 60, 80, 120}) {
    std::istringstream lines(screen(test::port_report(), width));
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(display_width(line), width) << line;
  }
}

TEST(PortsScreen, ColourTellsHowSevereAndNothingElse) {
  model::PortReport r = test::port_report();
  r.namespaces[0].destinations[0].severity = model::Severity::critical;
  const std::string colored = screen(r, 80, true);
  EXPECT_TRUE(has(colored, "\033[1;31mcritical\033[0m: when no port is left to 10.0.0.9:5432"));
  EXPECT_TRUE(has(colored, "\033[33mwarning\033[0m: when no TCP port is free"));
  EXPECT_TRUE(has(colored, "90.0 %  critical\033[0m"));
  r.namespaces[0].destinations[0].severity = r.namespaces[0].tcp_severity = std::nullopt;
  EXPECT_FALSE(has(screen(r, 80, true), "\033"));
}

TEST(PortsScreen, HowLongItLasts) {
  const auto told = [](model::ConnectPace pace, uint32_t left = 100) {
    model::PortReport r = test::port_report();
    r.namespaces[0].destinations[0].pace = pace;
    r.namespaces[0].destinations[0].left = left;
    return screen(r, 100);
  };
  EXPECT_TRUE(has(told({5000, 10, 7384}), "100 left, 5,000 new/s, full in 2 h 3 min"));
  EXPECT_TRUE(has(told({5000, -1, {}}), "100 left, 5,000 new/s, as many come back"));
  EXPECT_TRUE(has(told({0.3, 0.1, 1000}), "100 left, less than 1 new/s, full in 16 min 40 s"));
  EXPECT_TRUE(has(told({5000, 0, 0}, 0), "none left, 5,000 new/s\n"));
  const std::string idle = told({0, 0, {}});
  EXPECT_TRUE(has(idle, "100 left\n")) << idle;
  EXPECT_FALSE(has(idle, "from the last")) << idle;
}

TEST(PortsScreen, BindsThatCloseAllPortsComeFirst) {
  model::PortReport r = test::port_report();
  r.namespaces[0].closed_to_connect = 960;
  r.namespaces[0].closed_severity = model::Severity::critical;
  const std::string text = screen(r, 0);
  EXPECT_TRUE(has(text, "critical: binds have closed 96.0 % of the ports to connect")) << text;
  EXPECT_FALSE(has(text, "when no port is left to")) << "it is so for all destinations";
}

TEST(PortsScreen, QuietNamespacesTakeALine) {
  model::PortReport r;
  r.time = 1;
  EXPECT_EQ(screen(r, 80), "no TCP or UDP port is held in any network namespace\n");
  model::PortUse n;
  n.netns = 7;
  n.range = {32768, 60999};
  n.ports = 28232;
  r.namespaces = {n};
  EXPECT_EQ(screen(r, 80), "namespace 7: none of 28,232 ports (32768-60999) in use\n");
  r.unknown = {8};
  r.complete = false;
  const std::string text = screen(r, 80);
  EXPECT_TRUE(has(text, "1 more namespace could not be looked into")) << text;
  EXPECT_TRUE(has(text, "Incomplete: ")) << text;
}

TEST(Bar, IsFullOnlyWhenAllIs) {
  EXPECT_EQ(bar(0, 4), "░░░░");
  EXPECT_EQ(bar(0.5, 4), "██░░");
  EXPECT_EQ(bar(0.999, 4), "███░");
  EXPECT_EQ(bar(1, 4), "████");
  EXPECT_EQ(bar(7, 4), "████");
  EXPECT_EQ(bar(-1, 4), "░░░░");
}

} // namespace
} // namespace bindlens::cli
