#include "port_report.h"

#include <bindlens/protocol/json.h>
#include <bindlens/protocol/view.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace bindlens::protocol {
namespace {

using nlohmann::ordered_json;

class NoNames final : public Names {
 public:
  [[nodiscard]] std::string user(uint32_t) const override { return ""; }
  [[nodiscard]] std::string netns(uint32_t inode) const override {
    return inode == 4026531840 ? "host" : "";
  }
  [[nodiscard]] std::string dev(uint32_t, uint32_t) const override { return ""; }
};

std::vector<std::string> keys(const ordered_json& object) {
  std::vector<std::string> out;
  for (const auto& [key, value] : object.items())
    out.push_back(key);
  return out;
}

TEST(PortsJson, ComesBackWhole) {
  const std::string text = to_json(test::port_report(), NoNames());
  EXPECT_TRUE(text.ends_with("}\n"));
  const auto view = read_ports(text);
  ASSERT_TRUE(view) << view.error().text;
  EXPECT_EQ(view->window_s, 10);
  EXPECT_TRUE(view->complete);
  ASSERT_EQ(view->namespaces.size(), 1u);
  const PortUseView& n = view->namespaces[0];
  EXPECT_EQ(n.netns_name, "host");
  EXPECT_EQ(n.range.first, 32768);
  EXPECT_EQ(n.range.last, 33777);
  EXPECT_EQ(n.reserved.at(0).last, 33009);
  EXPECT_EQ(n.ports, 1000u);
  EXPECT_EQ(n.tcp.listening, 1u);
  EXPECT_EQ(n.tcp.bound, 49u);
  EXPECT_EQ(n.tcp.connected, 800u);
  EXPECT_EQ(n.tcp.time_wait, 60u);
  EXPECT_EQ(n.tcp.used, 910u);
  EXPECT_EQ(n.tcp.free, 90u);
  EXPECT_DOUBLE_EQ(n.tcp.share, 0.91);
  EXPECT_EQ(n.tcp.severity, "warning");
  EXPECT_EQ(n.tcp.closed, 50u);
  EXPECT_EQ(n.tcp.closed_severity, "");
  EXPECT_EQ(n.tcp.closers->at(0).process.comm, "java");
  EXPECT_EQ(n.udp.used, 7u);
  EXPECT_EQ(n.udp.free, 993u);
  EXPECT_EQ(n.destinations_left_out, 3u);
  const DestinationView& d = n.destinations.at(0);
  EXPECT_EQ(d.from, "10.0.0.5");
  EXPECT_EQ(d.to, "10.0.0.9:5432");
  EXPECT_EQ(d.connections, 800u);
  EXPECT_EQ(d.time_wait, 60u);
  EXPECT_EQ(d.time_wait_reusable, 10u);
  EXPECT_EQ(d.used, 900u);
  EXPECT_EQ(d.left, 100u);
  EXPECT_DOUBLE_EQ(d.share, 0.9);
  EXPECT_EQ(d.severity, "warning");
  EXPECT_DOUBLE_EQ(d.rate_per_s.value(), 12);
  EXPECT_DOUBLE_EQ(d.growth_per_s.value(), 4);
  EXPECT_DOUBLE_EQ(d.exhausted_in_s.value(), 25);
  EXPECT_EQ(d.processes->at(0).process.pid, 812u);
  EXPECT_EQ(d.processes->at(0).ports, 790u);
}

TEST(PortsJson, LeavesOutWhatIsNotKnown) {
  model::PortReport r = test::port_report();
  r.window_s = 0;
  r.unknown = {7};
  model::PortUse& n = r.namespaces[0];
  n.destinations[0].pace.reset();
  n.destinations[0].processes_known = n.closers_known = false;
  n.destinations[0].severity = n.tcp_severity = std::nullopt;
  n.destinations[0].reusable = 0;
  n.destinations_left_out = 0;
  const auto json = ordered_json::parse(to_json(r, NoNames()));
  EXPECT_EQ(keys(json), (std::vector<std::string>{"time", "complete", "namespaces", "unknown"}));
  EXPECT_EQ(keys(json["namespaces"][0]),
            (std::vector<std::string>{"netns", "netns_name", "range", "reserved", "ports", "tcp",
                                      "udp", "destinations"}));
  EXPECT_EQ(keys(json["namespaces"][0]["destinations"][0]),
            (std::vector<std::string>{"from", "to", "connections", "time_wait", "used", "left",
                                      "share"}));
  const auto view = read_ports(json.dump());
  ASSERT_TRUE(view);
  EXPECT_EQ(view->unknown, std::vector<uint32_t>{7});
  EXPECT_FALSE(view->namespaces[0].destinations[0].rate_per_s);
  EXPECT_FALSE(view->namespaces[0].destinations[0].processes);
}

TEST(PortsJson, ReadingRefusesOtherTypes) {
  EXPECT_FALSE(read_ports("[]"));
  EXPECT_FALSE(read_ports(R"({"namespaces":{}})"));
  EXPECT_FALSE(read_ports(R"({"window_s":"10"})"));
  EXPECT_FALSE(read_ports(R"({"namespaces":[{"range":[1,2]}]})"));
  EXPECT_TRUE(read_ports(R"({"namespaces":[],"window_s":10})"));
}

} // namespace
} // namespace bindlens::protocol
