#include "port_scene.h"

namespace bindlens::analysis::test {
namespace {

using model::State;
using rules::PortRange;
using Ranges = std::vector<PortRange>;

TEST(Holes, AreClippedToTheRangeAndJoined) {
  const PortRange range{100, 200};
  EXPECT_EQ(holes(range, {}), Ranges{});
  EXPECT_EQ(holes(range, {{10, 99}, {201, 300}}), Ranges{});
  EXPECT_EQ(holes(range, {{150, 160}, {10, 100}}), (Ranges{{100, 100}, {150, 160}}));
  EXPECT_EQ(holes(range, {{150, 160}, {155, 170}, {171, 172}}), (Ranges{{150, 172}}));
  EXPECT_EQ(holes(range, {{1, 65535}}), (Ranges{{100, 200}}));
  EXPECT_EQ(holes({1, 65535}, {{65535, 65535}, {65534, 65534}}), (Ranges{{65534, 65535}}));
}

TEST(Fullness, WarnsFrom80PercentAndIsCriticalFrom95) {
  EXPECT_EQ(fullness(799, 1000), std::nullopt);
  EXPECT_EQ(fullness(800, 1000), model::Severity::warning);
  EXPECT_EQ(fullness(949, 1000), model::Severity::warning);
  EXPECT_EQ(fullness(950, 1000), model::Severity::critical);
  EXPECT_EQ(fullness(0, 0), std::nullopt) << "all of the range is reserved";
}

TEST(PortCensus, EachPortStandsUnderOneState) {
  PortScene scene;
  scene.add(holds("0.0.0.0:40000").listening());
  scene.add(holds("0.0.0.0:40000").child("10.0.0.9:1")); // accepted: the same port
  scene.add(holds("10.0.0.5:40001"));
  scene.add(holds("10.0.0.5:40002").connected("10.0.0.9:80")); // bound by number, connected
  scene.connect(1, "10.0.0.9:80", 40003);
  scene.connect(1, "10.0.0.8:80", 40003); // the same port to another destination
  scene.wait(1, "10.0.0.8:80", 40004, 1000);
  scene.add(holds("0.0.0.0:40005").udp());
  scene.add(holds("0.0.0.0:40000").udp()); // UDP has a table of its own
  scene.add(holds("0.0.0.0:39999"));       // outside the range
  const NamespaceUse use = scene.census().namespaces.at(netns);
  EXPECT_EQ(use.ports, 10u);
  EXPECT_EQ(use.listening, 1u);
  EXPECT_EQ(use.bound, 2u);
  EXPECT_EQ(use.connected, 1u);
  EXPECT_EQ(use.time_wait, 1u);
  EXPECT_EQ(use.udp, 2u);
  EXPECT_EQ(use.closed_to_connect, 3u);
}

TEST(PortCensus, ReservedPortsAreNotGivenOut) {
  PortScene scene;
  scene.facts.reserved_ports = Ranges{{40002, 40005}, {50000, 50010}};
  scene.add(holds("0.0.0.0:40001"));
  scene.add(holds("0.0.0.0:40002"));
  const NamespaceUse use = scene.census().namespaces.at(netns);
  EXPECT_EQ(use.ports, 6u);
  EXPECT_EQ(use.bound, 1u);
  EXPECT_EQ(use.reserved, (Ranges{{40002, 40005}}));
}

TEST(PortCensus, PortsAreSharedBetweenDestinationsUnlessABindHasClosedThem) {
  PortScene scene;
  scene.connect(3, "10.0.0.9:80");
  scene.connect(2, "10.0.0.9:443");
  scene.connect(1, "10.0.0.8:80");
  scene.add(holds("0.0.0.0:40009"));
  const Census all = scene.census();
  EXPECT_EQ(all.routes.size(), 3u);
  const RouteUse busiest = scene.route("10.0.0.9:80");
  EXPECT_EQ(busiest.connections, 3u);
  EXPECT_EQ(all.used({netns, address("10.0.0.5"), endpoint("10.0.0.9:80")}, busiest), 4u);
  EXPECT_EQ(scene.route("10.0.0.9:443").connections, 2u);
  EXPECT_EQ(all.namespaces.at(netns).connected, 3u) << "the same ports";
}

TEST(PortCensus, ConnectionOnAClosedPortIsNotCountedTwice) {
  PortScene scene;
  scene.add(holds("10.0.0.5:40000").connected("10.0.0.9:80")); // bound first: fastreuse is 0
  EXPECT_TRUE(scene.census().routes.empty());
  EXPECT_EQ(scene.census().namespaces.at(netns).closed_to_connect, 1u);
}

TEST(PortCensus, MappedAddressIsTheSameDestination) {
  PortScene scene;
  scene.add(holds("10.0.0.5:40000").child("10.0.0.9:80"), by_connect);
  scene.add(holds("[::ffff:10.0.0.5]:40001").child("[::ffff:10.0.0.9]:80"), by_connect);
  scene.add(holds("[fd00::5]:40002").child("[fd00::9]:80"), by_connect);
  EXPECT_EQ(scene.route("10.0.0.9:80").connections, 2u);
  EXPECT_EQ(scene.route("[fd00::9]:80", "fd00::5").connections, 1u);
}

TEST(PortCensus, TimeWaitMayBeTakenOverAsTheSysctlSays) {
  const auto reusable = [](std::optional<uint32_t> policy, const char* to, uint32_t left_ms,
                           State substate = State::time_wait) {
    PortScene scene;
    scene.facts.tcp_tw_reuse = policy;
    scene.wait(1, to, 40000, left_ms);
    scene.view.buckets[0].sockets[0].tw_substate = substate;
    const RouteUse use = scene.route(to);
    EXPECT_EQ(use.time_wait, 1u);
    EXPECT_EQ(use.ports(), 1u - use.reusable);
    return use.reusable == 1;
  };
  EXPECT_TRUE(reusable(1, "10.0.0.9:80", 30'000));
  EXPECT_TRUE(reusable(2, "127.0.0.1:80", 30'000));
  EXPECT_FALSE(reusable(2, "10.0.0.9:80", 30'000)) << "2 is for loopback";
  EXPECT_FALSE(reusable(0, "127.0.0.1:80", 30'000));
  EXPECT_FALSE(reusable(std::nullopt, "127.0.0.1:80", 30'000));
  EXPECT_FALSE(reusable(1, "10.0.0.9:80", 59'500)) << "within the first second";
  EXPECT_FALSE(reusable(1, "10.0.0.9:80", 0)) << "it is not known since when";
  EXPECT_FALSE(reusable(1, "10.0.0.9:80", 30'000, State::fin_wait2));
}

TEST(PortCensus, NothingIsCountedWithoutTheSysctls) {
  PortScene scene;
  scene.facts.reserved_ports.reset();
  scene.connect(1, "10.0.0.9:80");
  const Census all = scene.census();
  EXPECT_FALSE(all.namespaces.at(netns).known);
  EXPECT_TRUE(all.routes.empty());
}

TEST(PortCensus, EmptyBucketsAndVrfsAreLeftAside) {
  PortScene scene;
  scene.add(holds("0.0.0.0:40000"));
  scene.view.buckets[0].sockets.clear(); // emptied while it was walked
  EXPECT_TRUE(scene.census().namespaces.empty());
  scene.add(holds("0.0.0.0:40001"));
  scene.view.buckets[1].l3mdev = 9;
  EXPECT_TRUE(scene.census().namespaces.empty());
}

TEST(PortCensus, NamespaceThatIsAskedForIsThere) {
  const PortScene scene;
  const Census all = count_ports(scene.view, scene.facts_of(), {netns});
  ASSERT_EQ(all.namespaces.size(), 1u);
  EXPECT_EQ(all.namespaces.at(netns).ports, 10u);
}

} // namespace
} // namespace bindlens::analysis::test
