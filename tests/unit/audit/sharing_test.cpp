// Several programs on one port, and those that only look like several.

#include "scene.h"

namespace bindlens::audit::test {
namespace {

const model::Process nginx = process(10, "nginx", "nginx.service");
const model::Process node = process(20, "node", "app.service");

holds listens(const char* at) {
  return holds(at).listening().reuseaddr().uid(0);
}
holds gets(const char* at) {
  return holds(at).udp().reuseaddr().uid(0);
}
holds group(const char* at) {
  return listens(at).reuseport().with(SocketFlag::has_group);
}

TEST(Sharing, WildcardAndSpecificOfTwoPrograms) {
  Scene scene;
  scene.add(listens("0.0.0.0:80"), {nginx});
  scene.add(listens("127.0.0.1:80"), {node});
  const auto found = scene.run();
  ASSERT_EQ(found.size(), 1u);
  const model::Finding& f = found[0];
  EXPECT_EQ(scene.told(), Strings{"warning wildcard-conflict 80"});
  EXPECT_EQ(f.summary, "node[20] (app.service) on 127.0.0.1:80 takes connections from nginx[10] "
                       "(nginx.service) on 0.0.0.0:80");
  EXPECT_EQ(f.subject, "tcp 80 nginx,node");
  ASSERT_EQ(f.deliveries.size(), 2u);
  EXPECT_EQ(f.deliveries[0].destination, "127.0.0.1");
  EXPECT_EQ(f.deliveries[0].receiver, "node[20] (app.service)");
  EXPECT_EQ(f.deliveries[1].destination, "any other IPv4 address");
  EXPECT_EQ(f.deliveries[1].receiver, "nginx[10] (nginx.service)");
}

TEST(Sharing, TheTableNamesInterfacesWhereASocketHasOne) {
  Scene scene;
  scene.add(listens("0.0.0.0:80"), {nginx});
  scene.add(listens("10.0.0.5:80").dev(2), {node});
  const auto found = scene.run();
  ASSERT_EQ(found.size(), 1u);
  Strings rows;
  for (const auto& d : found[0].deliveries)
    rows.push_back(d.destination + ": " + d.receiver.substr(0, d.receiver.find('[')));
  EXPECT_EQ(rows, (Strings{"10.0.0.5 on eth0: node", "10.0.0.5 on other interfaces: nginx",
                           "any other IPv4 address on eth0: nginx",
                           "any other IPv4 address on other interfaces: nginx"}));
}

TEST(Sharing, OneProgramIsWhatSharesAProcessAServiceOrAContainer) {
  const auto conflicts = [](const model::Process& a, const model::Process& b) {
    Scene scene;
    scene.add(listens("0.0.0.0:80"), {a});
    scene.add(listens("127.0.0.1:80"), {b});
    return !scene.run().empty();
  };
  EXPECT_FALSE(conflicts(nginx, nginx));
  EXPECT_FALSE(conflicts(nginx, process(11, "nginx", "nginx.service")));
  EXPECT_TRUE(conflicts(nginx, process(11, "nginx", "other.service")));
  EXPECT_TRUE(conflicts(nginx, process(11, "helper", "nginx.service")));
  EXPECT_TRUE(conflicts(process(10, "nginx", "a.scope"), process(11, "nginx", "a.scope")));
  model::Process child = process(11, "nginx");
  child.ppid = 10;
  EXPECT_FALSE(conflicts(process(10, "nginx"), child));
  model::Process inside = nginx;
  inside.container = "c1";
  model::Process beside = process(11, "nginx", "nginx.service");
  EXPECT_TRUE(conflicts(inside, beside));
  beside.container = "c1";
  EXPECT_FALSE(conflicts(inside, beside));
}

TEST(Sharing, WhatNobodyKnowsTheProcessesOfIsNoConflict) {
  Scene scene;
  scene.add(listens("0.0.0.0:80"), {nginx});
  scene.add(listens("127.0.0.1:80"));
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Sharing, TheCopyThatSystemdKeepsDoesNotCount) {
  const model::Process systemd = process(1, "systemd", "init.scope");
  Scene scene;
  scene.add(listens("0.0.0.0:80"), {systemd, nginx});
  scene.add(listens("127.0.0.1:80"), {systemd, node});
  EXPECT_EQ(scene.told(), Strings{"warning wildcard-conflict 80"});
  Scene waiting; // socket units that no service has taken over
  waiting.add(listens("0.0.0.0:80"), {systemd});
  waiting.add(listens("127.0.0.1:80"), {systemd});
  EXPECT_EQ(waiting.told(), Strings{});
}

TEST(Sharing, TheKernelIsAProgramOfItsOwn) {
  Scene scene;
  scene.add(gets("0.0.0.0:4789").with(SocketFlag::kernel));
  scene.add(gets("127.0.0.1:4789"), {node});
  EXPECT_EQ(scene.told(), Strings{"warning wildcard-conflict 4789"});
  EXPECT_EQ(scene.run()[0].subject, "udp 4789 kernel,node");
}

TEST(Sharing, SeverityGoesByWhoTakesTheTraffic) {
  const auto severity = [](uint32_t wide, uint32_t narrow, const char* at = "10.0.0.5:53") {
    Scene scene;
    scene.add(gets("0.0.0.0:53").uid(wide), {nginx});
    scene.add(gets(at).uid(narrow), {node});
    const auto found = scene.run();
    return found.empty() ? "none" : std::string(to_string(found[0].severity));
  };
  EXPECT_EQ(severity(0, 1000), "critical");
  EXPECT_EQ(severity(1000, 1001), "critical");
  EXPECT_EQ(severity(1000, 1000), "warning");
  EXPECT_EQ(severity(0, 101), "warning") << "a system user";
  EXPECT_EQ(severity(0, 65534), "warning") << "nobody";
  EXPECT_EQ(severity(0, 101, "127.0.0.53:53"), "info");
  EXPECT_EQ(severity(0, 101, "127.0.0.1:53"), "warning");
}

TEST(Sharing, DifferentDevicesAndFamiliesDoNotMeet) {
  Scene scene;
  scene.add(listens("0.0.0.0:80").dev(2), {nginx});
  scene.add(listens("127.0.0.1:80").dev(3), {node});
  scene.add(listens("0.0.0.0:81"), {nginx});
  scene.add(holds("127.0.0.1:81"), {node}); // does not listen
  scene.bucket(81).sockets[1].flags.set(SocketFlag::port_locked, false);
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Sharing, TheIpv6WildcardCoversIpv4UnlessItIsV6Only) {
  Scene scene;
  scene.add(listens("[::]:80"), {nginx});
  scene.add(listens("10.0.0.5:80"), {node});
  scene.add(listens("[::]:81").v6only(), {nginx});
  scene.add(listens("10.0.0.5:81"), {node});
  EXPECT_EQ(scene.told(), Strings{"warning wildcard-conflict 80"});
}

TEST(Sharing, DualStackOverlap) {
  Scene scene;
  scene.add(listens("0.0.0.0:80"), {nginx});
  scene.add(listens("[::]:80").v6only(), {node});
  scene.add(listens("127.0.0.1:81"), {nginx});
  scene.add(listens("[::1]:81"), {node});
  EXPECT_EQ(scene.told(),
            (Strings{"warning dual-stack-overlap 80", "warning dual-stack-overlap 81"}));
  EXPECT_NE(scene.run()[1].detail.find("localhost"), std::string::npos);
}

TEST(Sharing, DualStackOfOneProgramIsNoOverlap) {
  Scene scene;
  scene.add(listens("0.0.0.0:80"), {nginx});
  scene.add(listens("[::]:80").v6only(), {process(11, "nginx", "nginx.service")});
  scene.add(listens("127.0.0.1:5432"), {node});
  scene.add(listens("[::1]:5432"), {node});
  scene.add(listens("10.0.0.5:81"), {nginx}); // one address each: no name is split
  scene.add(listens("[fd00::5]:81"), {node});
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Sharing, AConflictExplainsLocalhostOnce) {
  Scene scene;
  scene.add(listens("0.0.0.0:80"), {nginx});
  scene.add(listens("[::]:80").v6only(), {nginx});
  scene.add(listens("127.0.0.1:80"), {node});
  EXPECT_EQ(scene.told(), Strings{"warning wildcard-conflict 80"});
}

TEST(Sharing, UdpSharedPort) {
  const model::Process other = process(21, "node", "other.service");
  const auto told = [](const model::Process& first, uint32_t uid, const model::Process& second,
                       uint16_t port = 4000) {
    Scene scene;
    const std::string at = "0.0.0.0:" + std::to_string(port);
    scene.add(gets(at.c_str()).uid(uid), {second}); // the newest comes first
    scene.add(gets(at.c_str()), {first});
    return scene.told();
  };
  EXPECT_EQ(told(nginx, 1000, node), Strings{"critical udp-shared-port 4000"});
  EXPECT_EQ(told(nginx, 101, node), Strings{"warning udp-shared-port 4000"});
  EXPECT_EQ(told(nginx, 0, node), Strings{"warning udp-shared-port 4000"});
  EXPECT_EQ(told(node, 0, other), Strings{"info udp-shared-port 4000"});
  EXPECT_EQ(told(node, 0, node), Strings{});
  EXPECT_EQ(told(nginx, 1000, node, 5353), Strings{"info udp-shared-port 5353"});
}

TEST(Sharing, UdpOnDifferentDevicesOrConnectedIsNotShared) {
  Scene scene;
  scene.add(gets("0.0.0.0:67").dev(2), {nginx});
  scene.add(gets("0.0.0.0:67").dev(3), {node});
  scene.add(gets("0.0.0.0:68"), {nginx});
  scene.add(gets("127.0.0.1:68").connected("127.0.0.1:9"), {node});
  scene.add(gets("224.0.0.251:70"), {nginx});
  scene.add(gets("224.0.0.251:70"), {node});
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Sharing, ReuseportGroups) {
  Scene scene;
  scene.add(group("0.0.0.0:80").uid(33), {nginx});
  scene.add(group("0.0.0.0:80").uid(33), {node});
  scene.add(group("0.0.0.0:8081").uid(1000), {node});
  scene.add(group("0.0.0.0:82").uid(33), {nginx});
  scene.add(group("0.0.0.0:82").uid(33), {process(12, "nginx", "other.service")});
  EXPECT_EQ(scene.told(), (Strings{"warning reuseport-single-user-hijack 80",
                                   "info reuseport-single-user-hijack 8081"}));
}

TEST(Sharing, StalledMemberBesideOthers) {
  const auto told = [](uint32_t first, uint32_t second) {
    Scene scene;
    for (const uint32_t queued : {first, second}) {
      scene.add(group("0.0.0.0:80"), {nginx});
      scene.bucket(80).sockets.back().backlog = queued;
      scene.bucket(80).sockets.back().max_backlog = 10;
    }
    return scene.told();
  };
  EXPECT_EQ(told(11, 0), Strings{"warning reuseport-stalled-member 80"});
  EXPECT_EQ(told(10, 0), Strings{}) << "one more fits in";
  EXPECT_EQ(told(11, 11), Strings{}) << "all of them: too much load";
}

TEST(Sharing, SocketsInAVrfAreLeftAside) {
  Scene scene;
  scene.add(listens("0.0.0.0:80"), {nginx});
  scene.add(listens("127.0.0.1:80"), {node});
  scene.bucket(80).l3mdev = 9;
  EXPECT_EQ(scene.told(), Strings{});
}

// What a Debian host runs by default, and what servers are commonly set up as.
TEST(Sharing, OrdinaryHostHasNoFinding) {
  Scene scene;
  scene.facts.local_port_range = rules::PortRange{32768, 60999};
  const auto sshd = process(100, "sshd", "ssh.service");
  const auto systemd = process(1, "systemd", "init.scope");
  scene.add(listens("0.0.0.0:22"), {sshd});
  scene.add(listens("[::]:22").v6only(), {sshd});
  const auto resolved = process(101, "systemd-resolve", "systemd-resolved.service");
  for (const char* at : {"127.0.0.53:53", "127.0.0.54:53"}) {
    scene.add(listens(at).uid(991), {resolved});
    scene.add(gets(at).uid(991), {resolved});
  }
  const auto avahi = process(102, "avahi-daemon", "avahi-daemon.service");
  scene.add(gets("0.0.0.0:5353").reuseport().uid(108), {avahi});
  scene.add(gets("[::]:5353").reuseport().v6only().uid(108), {avahi});
  const auto chrony = process(103, "chronyd", "chrony.service");
  scene.add(holds("127.0.0.1:323").udp().uid(0), {chrony});
  scene.add(holds("[::1]:323").udp().uid(0), {chrony});
  const auto postgres = process(104, "postgres", "postgresql@15-main.service");
  scene.add(listens("127.0.0.1:5432").uid(110), {postgres});
  scene.add(listens("[::1]:5432").uid(110), {postgres});
  const auto cups = process(105, "cupsd", "cups.service");
  scene.add(listens("127.0.0.1:631"), {systemd, cups});
  scene.add(listens("[::1]:631"), {systemd, cups});
  for (uint32_t worker = 200; worker < 204; ++worker) {
    auto p = process(worker, "nginx", "nginx.service");
    p.ppid = 199;
    scene.add(group("0.0.0.0:80").uid(33), {process(199, "nginx", "nginx.service"), p});
    scene.add(group("[::]:80").v6only().uid(33), {process(199, "nginx", "nginx.service"), p});
  }
  const auto dnsmasq = process(106, "dnsmasq", "libvirtd.service");
  scene.add(listens("192.168.122.1:53").uid(65534), {dnsmasq});
  scene.add(gets("192.168.122.1:53").uid(65534), {dnsmasq});
  scene.add(gets("0.0.0.0:67").dev(2).uid(65534), {dnsmasq});
  const auto proxy4 = process(107, "docker-proxy", "docker.service");
  const auto proxy6 = process(108, "docker-proxy", "docker.service");
  scene.add(listens("0.0.0.0:8080"), {proxy4});
  scene.add(listens("[::]:8080").v6only(), {proxy6});
  EXPECT_EQ(scene.told(), Strings{});
}

} // namespace
} // namespace bindlens::audit::test
