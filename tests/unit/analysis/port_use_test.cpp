#include "port_scene.h"

namespace bindlens::analysis::test {
namespace {

using model::EventType;

constexpr MonoNs s = 1'000'000'000;
constexpr MonoNs now = 1000 * s;

model::ProcessRef process(uint32_t pid) {
  auto p = std::make_shared<model::Process>();
  p->pid = pid;
  return p;
}

class PortUse : public testing::Test {
 protected:
  PortScene scene;
  ConnectMeter meter{0};
  PortQuestion q;

  model::PortReport report() {
    q.view = &scene.view;
    q.facts = scene.facts_of();
    q.now = now;
    return report_ports(q);
  }
  model::PortUse one() {
    const auto all = report();
    EXPECT_EQ(all.namespaces.size(), 1u);
    return all.namespaces.at(0);
  }
  // Connections that were made, and that were ended, in the last ten seconds.
  void happened(int opened, int closed, const char* to = "10.0.0.9:80") {
    q.meter = &meter;
    for (int i = 0; i < opened + closed; ++i) {
      model::Event e;
      e.time = now - 5 * s;
      e.type = i < opened ? EventType::connect : EventType::release;
      e.bound_by = model::BoundBy::connect;
      e.socket = holds("10.0.0.5:40000").child(to).socket();
      meter.note(e);
    }
  }
  model::ConnectPace pace() { return one().destinations.at(0).pace.value(); }
};

TEST_F(PortUse, MostLoadedDestinationsComeFirst) {
  scene.connect(1, "10.0.0.7:80");
  scene.connect(3, "10.0.0.8:80");
  scene.connect(2, "10.0.0.9:80");
  q.destinations = 2;
  const model::PortUse n = one();
  ASSERT_EQ(n.destinations.size(), 2u);
  EXPECT_EQ(n.destinations[0].to, endpoint("10.0.0.8:80"));
  EXPECT_EQ(n.destinations[1].to, endpoint("10.0.0.9:80"));
  EXPECT_EQ(n.destinations_left_out, 1u);
}

TEST_F(PortUse, WhatIsLeftForADestination) {
  scene.connect(5, "10.0.0.9:80");
  scene.wait(2, "10.0.0.9:80", 40005, 30'000);
  scene.add(holds("0.0.0.0:40009"));
  const model::DestinationUse d = one().destinations.at(0);
  EXPECT_EQ(d.connections, 5u);
  EXPECT_EQ(d.time_wait, 2u);
  EXPECT_EQ(d.left, 2u);
  EXPECT_EQ(d.severity, model::Severity::warning);
  scene.facts.tcp_tw_reuse = 1;
  EXPECT_EQ(one().destinations.at(0).left, 4u);
  EXPECT_EQ(one().destinations.at(0).severity, std::nullopt);
}

TEST_F(PortUse, ExplicitBindersWarnOfTheirOwn) {
  for (int i = 0; i < 9; ++i)
    scene.add(holds(("0.0.0.0:" + std::to_string(40000 + i)).c_str()));
  const model::PortUse n = one();
  EXPECT_EQ(n.closed_severity, model::Severity::warning);
  EXPECT_EQ(n.tcp_severity, model::Severity::warning);
  EXPECT_EQ(n.udp_severity, std::nullopt);
  EXPECT_EQ(n.tcp_used(), 9u);
}

TEST_F(PortUse, FiltersChooseDestinations) {
  scene.connect(1, "10.0.0.9:80");
  scene.connect(1, "10.0.0.9:443");
  scene.connect(1, "10.0.0.8:80");
  const auto count = [&] { return one().destinations.size(); };
  EXPECT_EQ(count(), 3u);
  q.to = address("10.0.0.9");
  EXPECT_EQ(count(), 2u);
  q.to_port = 80;
  EXPECT_EQ(count(), 1u);
  q.to.reset();
  EXPECT_EQ(count(), 2u);
  q.from = address("10.0.0.6");
  EXPECT_EQ(count(), 0u);
  EXPECT_EQ(one().connected, 1u) << "the namespace is counted as a whole";
}

TEST_F(PortUse, FullestNamespaceComesFirst) {
  scene.connect(2, "10.0.0.9:80");
  scene.add(holds("0.0.0.0:40000").netns(7));
  scene.add(holds("0.0.0.0:80").netns(8)); // none of the range
  const auto all = report().namespaces;
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].netns, netns);
  EXPECT_EQ(all[1].netns, 7u);
  q.netns = 7;
  EXPECT_EQ(one().netns, 7u);
  q.netns = 9; // holds nothing
  EXPECT_EQ(one().ports, 10u);
}

TEST_F(PortUse, ProcessesByThePortsTheyHold) {
  scene.connect(3, "10.0.0.9:80");
  scene.wait(1, "10.0.0.9:80", 40003, 1000);
  scene.add(holds("0.0.0.0:40008").listening());
  scene.add(holds("10.0.0.5:40008").child("10.0.0.9:1")); // of the same port
  q.owners = [](const model::Socket& at) {
    EXPECT_FALSE(at.is(SocketFlag::timewait)) << "it has no process";
    std::vector<model::ProcessRef> all{process(1)};
    if (at.local.port == 40001) all.push_back(process(2)); // open in two
    return all;
  };
  const model::PortUse n = one();
  const auto& of = n.destinations.at(0).processes;
  ASSERT_EQ(of.size(), 2u);
  EXPECT_EQ(of[0].process->pid, 1u);
  EXPECT_EQ(of[0].ports, 3u);
  EXPECT_EQ(of[1].ports, 1u);
  ASSERT_EQ(n.closers.size(), 1u);
  EXPECT_EQ(n.closers[0].ports, 1u);
}

TEST_F(PortUse, NoPaceWithoutEvents) {
  scene.connect(1, "10.0.0.9:80");
  EXPECT_FALSE(one().destinations.at(0).pace);
  EXPECT_EQ(report().window_s, 0);
  const ConnectMeter young(now - s / 2);
  q.meter = &young;
  EXPECT_FALSE(one().destinations.at(0).pace) << "half a second is too short";
}

TEST_F(PortUse, PortsThatAreKeptRunOut) {
  scene.connect(5, "10.0.0.9:80");
  happened(5, 0);
  EXPECT_EQ(report().window_s, 10);
  EXPECT_DOUBLE_EQ(pace().opened_per_s, 0.5);
  EXPECT_DOUBLE_EQ(pace().grows_per_s, 0.5);
  EXPECT_DOUBLE_EQ(pace().exhausted_in_s.value(), 10);
}

// The peer closes first: the port is free at once.
TEST_F(PortUse, PortsThatComeBackAtOnceDoNotRunOut) {
  scene.connect(1, "10.0.0.9:80");
  happened(500, 500);
  EXPECT_DOUBLE_EQ(pace().opened_per_s, 50);
  EXPECT_DOUBLE_EQ(pace().grows_per_s, 0);
  EXPECT_FALSE(pace().exhausted_in_s);
}

// This side closes first: each port waits for 60 s.
TEST_F(PortUse, PortsInTimeWaitAreNotBackYet) {
  scene.connect(1, "10.0.0.9:80");
  scene.wait(4, "10.0.0.9:80", 40001, 58'000);
  happened(5, 4);
  EXPECT_DOUBLE_EQ(pace().grows_per_s, 0.5);
  EXPECT_DOUBLE_EQ(pace().exhausted_in_s.value(), 10);
}

TEST_F(PortUse, TimeWaitThatEndsMakesUpForNewConnections) {
  scene.wait(4, "10.0.0.9:80", 40001, 58'000);
  scene.wait(4, "10.0.0.9:80", 40005, 3'000);
  happened(4, 4);
  EXPECT_DOUBLE_EQ(pace().opened_per_s, 0.4);
  EXPECT_DOUBLE_EQ(pace().grows_per_s, 0);
  EXPECT_FALSE(pace().exhausted_in_s);
}

TEST_F(PortUse, WhatIsFullIsExhaustedNow) {
  scene.connect(10, "10.0.0.9:80");
  happened(0, 0);
  EXPECT_DOUBLE_EQ(pace().exhausted_in_s.value(), 0);
}

TEST_F(PortUse, NamespaceThatCannotBeLookedIntoIsNamed) {
  scene.facts.local_port_range.reset();
  scene.connect(1, "10.0.0.9:80");
  EXPECT_TRUE(report().namespaces.empty());
  EXPECT_EQ(report().unknown, std::vector<uint32_t>{netns});
}

} // namespace
} // namespace bindlens::analysis::test
