// Every finding of the audit with real processes: one arrangement that is it, and
// one that nearly is and must not be told. Those about what is counted and seen over
// time are in audit_counted_test.cpp.

#include "audit_scenario.h"
#include "leak.h"

namespace bindlens::test {
namespace {

constexpr uint16_t port = 8080;
constexpr uint32_t login_user = 1234;

class Audit : public AuditScenario {
 protected:
  int udp_with_reuseaddr(Actor& by, const std::string& address, uint16_t at = port) {
    const int fd = by.udp();
    by.reuseaddr(fd);
    return bound(by, fd, address, at);
  }
  int listener_with_reuseport(Actor& by, const std::string& address, uint16_t at = port) {
    const int fd = address.find(':') == std::string::npos ? by.tcp() : by.tcp6();
    by.reuseport(fd);
    return listening(by, fd, address, at);
  }
};

// Destination and receiver of every row, in order.
Strings rows(const Json& finding) {
  Strings all;
  for (const Json& d : finding.value("delivery", Json::array()))
    all.push_back(d["destination"].get<std::string>() + " -> " + d["receiver"].get<std::string>());
  return all;
}

TEST_F(Audit, WildcardConflict) {
  listener_with_reuseport(a, "0.0.0.0");
  const int held = listener_with_reuseport(b, "127.0.0.1");
  const Json f = one("wildcard-conflict", "warning");
  const std::string of_a = named("kt-a", a.pid());
  const std::string of_b = named("kt-b", b.pid());
  EXPECT_EQ(rows(f), (Strings{"127.0.0.1 -> " + of_b, "any other IPv4 address -> " + of_a}));
  EXPECT_EQ(f.value("key", ""), "wildcard-conflict - tcp 8080 kt-a,kt-b");
  EXPECT_EQ(f.value("port", 0), port);
  EXPECT_EQ(f["sockets"].size(), 2u);
  EXPECT_TRUE(says(f, of_b + " on 127.0.0.1:8080 takes connections from " + of_a)) << f.dump(1);
  EXPECT_EQ(f["sockets"][1]["holders"][0]["fd"], held);
}

TEST_F(Audit, WildcardAndSpecificOfOneProgramAreNoConflict) {
  listener_with_reuseport(a, "0.0.0.0");
  listener_with_reuseport(a, "127.0.0.1");
  Actor worker = a.fork();
  listener_with_reuseport(worker, "127.0.0.2");
  // Bound only: nothing is delivered to it.
  const int idle = b.tcp();
  b.reuseport(idle);
  bound(b, idle, "127.0.0.3", port);
  expect_none();
}

TEST_F(Audit, WildcardConflictByAnotherUserIsCritical) {
  udp_with_reuseaddr(a, "0.0.0.0");
  b.become(login_user);
  udp_with_reuseaddr(b, "127.0.0.1");
  const Json f = one("wildcard-conflict", "critical");
  EXPECT_TRUE(says(f, "takes datagrams from")) << f.dump(1);
  EXPECT_TRUE(says(f, "uid 1234")) << f.dump(1);
}

TEST_F(Audit, ResolverOnALoopbackAddressOfItsOwnIsNoAlarm) {
  udp_with_reuseaddr(a, "0.0.0.0", 53);
  udp_with_reuseaddr(b, "127.0.0.53", 53);
  (void)one("wildcard-conflict", "info");
}

TEST_F(Audit, DualStackOverlap) {
  listening(a, a.tcp(), "0.0.0.0", port);
  const int only = b.tcp6();
  b.v6only(only, true);
  listening(b, only, "::", port);
  const Json f = one("dual-stack-overlap", "warning");
  EXPECT_EQ(rows(f), (Strings{"any IPv4 address -> " + named("kt-a", a.pid()),
                              "any IPv6 address -> " + named("kt-b", b.pid())}));
}

TEST_F(Audit, DualStackOverlapOfLocalhost) {
  listening(a, a.tcp(), "127.0.0.1", port);
  listening(b, b.tcp6(), "::1", port);
  const Json f = one("dual-stack-overlap", "warning");
  EXPECT_TRUE(says(f, "asks for localhost")) << f.dump(1);
}

TEST_F(Audit, BothFamiliesOfOneProgramAreNoOverlap) {
  listening(a, a.tcp(), "0.0.0.0", port); // nginx, sshd
  const int only = a.tcp6();
  a.v6only(only, true);
  listening(a, only, "::", port);
  listening(a, a.tcp(), "127.0.0.1", 5432); // PostgreSQL
  listening(a, a.tcp6(), "::1", 5432);
  listening(b, b.tcp6(), "::", 22);    // dual stack
  bound(a, a.udp(), "127.0.0.1", 323); // chrony
  bound(a, a.udp6(), "::1", 323);
  listening(a, a.tcp(), "127.0.0.2", 80); // different programs, unrelated addresses
  listening(b, b.tcp6(), "::1", 80);
  expect_none();
}

// [::] without IPV6_V6ONLY takes IPv4 as well; that two listen is for SO_REUSEPORT.
TEST_F(Audit, WildcardOfBothFamiliesAndSpecificOfOne) {
  listener_with_reuseport(a, "::");
  listener_with_reuseport(b, "127.0.0.1");
  const Json f = one("wildcard-conflict", "warning");
  EXPECT_EQ(rows(f), (Strings{"127.0.0.1 -> " + named("kt-b", b.pid()),
                              "any other IPv4 address -> " + named("kt-a", a.pid()),
                              "any other IPv6 address -> " + named("kt-a", a.pid())}));
}

TEST_F(Audit, WildcardOfIPv6AndSpecificOfIPv6) {
  listener_with_reuseport(a, "::");
  listener_with_reuseport(b, "::1");
  const Json f = one("wildcard-conflict", "warning");
  EXPECT_TRUE(says(f, named("kt-b", b.pid()) + " on [::1]:8080 takes connections")) << f.dump(1);
  EXPECT_EQ(rows(f).front(), "::1 -> " + named("kt-b", b.pid()));
}

TEST_F(Audit, BothWildcardsByDifferentPrograms) {
  listener_with_reuseport(a, "0.0.0.0");
  listener_with_reuseport(b, "::"); // IPV6_V6ONLY is off: it would take IPv4 as well
  const Json f = one("dual-stack-overlap", "warning");
  EXPECT_EQ(rows(f), (Strings{"any IPv4 address -> " + named("kt-a", a.pid()),
                              "any IPv6 address -> " + named("kt-b", b.pid())}));
}

// A published port of a container is two sockets in two namespaces, and what joins
// them - a NAT rule, a proxy - is no socket: neither namespace has a conflict.
TEST_F(Audit, SocketsOfTwoNamespacesAreNoConflict) {
  const Netns container;
  Actor inside(container, "kt-in");
  listener_with_reuseport(a, "0.0.0.0");
  listener_with_reuseport(inside, "127.0.0.1");
  expect_none();
  EXPECT_EQ(Json(daemon().lines("/v1/audit?" + container.query())).dump(), "[]");
  // The proxy on the host is a program like others: a listener beside it is found.
  listener_with_reuseport(b, "127.0.0.1");
  const Json f = one("wildcard-conflict", "warning");
  EXPECT_FALSE(says(f, "kt-in")) << f.dump(1);
}

TEST_F(Audit, UdpSharedPort) {
  udp_with_reuseaddr(a, "0.0.0.0");
  b.become(login_user);
  udp_with_reuseaddr(b, "0.0.0.0");
  const Json f = one("udp-shared-port", "critical");
  EXPECT_EQ(rows(f), Strings{"any IPv4 address -> " + named("kt-b", b.pid())});
}

TEST_F(Audit, UdpPortOfMulticastIsSharedByDesign) {
  udp_with_reuseaddr(a, "0.0.0.0", 5353);
  b.become(login_user);
  udp_with_reuseaddr(b, "0.0.0.0", 5353);
  const Json f = one("udp-shared-port", "info");
  EXPECT_TRUE(says(f, "Multicast, which this port is for, reaches all of them"));
}

TEST_F(Audit, UdpPortOfOneProgramIsNotShared) {
  udp_with_reuseaddr(a, "0.0.0.0");
  udp_with_reuseaddr(a, "0.0.0.0");
  Actor worker = a.fork();
  udp_with_reuseaddr(worker, "0.0.0.0");
  udp_with_reuseaddr(a, "127.0.0.1", 68);
  udp_with_reuseaddr(b, "127.0.0.2", 68);
  const int connected = udp_with_reuseaddr(b, "0.0.0.0");
  EXPECT_TRUE(b.connect(connected, "127.0.0.1", 9).ok());
  expect_none();
}

TEST_F(Audit, ReuseportHijack) {
  listener_with_reuseport(a, "127.0.0.1");
  listener_with_reuseport(b, "127.0.0.1");
  const Json f = one("reuseport-single-user-hijack", "warning");
  EXPECT_EQ(f["sockets"].size(), 2u);
  EXPECT_TRUE(says(f, "answers alternate")) << f.dump(1);
}

TEST_F(Audit, ReuseportGroupThatALoginUserOwns) {
  a.become(login_user);
  listener_with_reuseport(a, "127.0.0.1");
  (void)one("reuseport-single-user-hijack", "info");
}

TEST_F(Audit, ReuseportGroupOfWorkersIsNoHijack) {
  listener_with_reuseport(a, "0.0.0.0");
  Actor worker = a.fork();
  listener_with_reuseport(worker, "0.0.0.0");
  const int alone = b.tcp(); // the option without a group: bound, not listening
  b.reuseport(alone);
  bound(b, alone, "127.0.0.1", 81);
  expect_none();
}

TEST_F(Audit, EphemeralOverlap) {
  set_sysctl("ipv4/ip_local_port_range", "40000 40999");
  listening(a, a.tcp(), "127.0.0.1", 40500);
  bound(b, b.udp(), "127.0.0.1", 40501);
  EXPECT_EQ(keys("ephemeral-overlap"),
            (Strings{"ephemeral-overlap - tcp 40500 kt-a", "ephemeral-overlap - udp 40501 kt-b"}));
  EXPECT_EQ(found("ephemeral-overlap")[0]["severity"], "warning");
  EXPECT_EQ(found("ephemeral-overlap")[1]["severity"], "info");
  EXPECT_TRUE(says(found("ephemeral-overlap")[0], "40000-40999"));
}

TEST_F(Audit, ReservedOrChosenPortIsNoEphemeralOverlap) {
  set_sysctl("ipv4/ip_local_port_range", "40000 40999");
  set_sysctl("ipv4/ip_local_reserved_ports", "40500,40600-40700");
  listening(a, a.tcp(), "127.0.0.1", 40500);
  listening(a, a.tcp(), "127.0.0.1", 40700);
  listening(a, a.tcp(), "127.0.0.1", 39999);
  listening(a, a.tcp(), "127.0.0.1", 41000);
  listening(a, a.tcp(), "127.0.0.1", 0); // the kernel's choice
  bound(a, a.udp(), "127.0.0.1", 0);
  expect_none();
}

TEST_F(Audit, EphemeralNearExhaustion) {
  set_sysctl("ipv4/ip_local_port_range", "40000 40009");
  const int server = a.tcp();
  bound(a, server, "127.0.0.1", port);
  ASSERT_TRUE(a.listen(server, 64).ok());
  const auto connect_one = [&] { EXPECT_TRUE(b.connect(b.tcp(), "127.0.0.1", port).ok()); };
  for (int i = 0; i < 7; ++i)
    connect_one();
  EXPECT_TRUE(found("ephemeral-near-exhaustion").empty()) << "7 of 10";
  connect_one();
  const Json f = one("ephemeral-near-exhaustion", "warning");
  EXPECT_TRUE(says(f, "8 of 10 ephemeral ports from 127.0.0.1 to 127.0.0.1:8080")) << f.dump(1);
  EXPECT_FALSE(f.contains("port"));
  connect_one();
  connect_one();
  (void)one("ephemeral-near-exhaustion", "critical");
  EXPECT_EQ(b.connect(b.tcp(), "127.0.0.1", port).error, EADDRNOTAVAIL) << "as it said";
}

TEST_F(Audit, PortsOfManyDestinationsAreNoExhaustion) {
  set_sysctl("ipv4/ip_local_port_range", "40000 40009");
  for (uint16_t server = 8000; server < 8005; ++server) {
    listening(a, a.tcp(), "127.0.0.1", server);
    for (int i = 0; i < 6; ++i)
      EXPECT_TRUE(b.connect(b.tcp(), "127.0.0.1", server).ok());
  }
  expect_none();
}

// A connection that the server closed first, so that TIME_WAIT is on its side.
void leave_time_wait(Actor& server, int listener, Actor& client) {
  const int fd = client.tcp();
  ASSERT_TRUE(client.connect(fd, "127.0.0.1", port).ok());
  const Outcome accepted = server.accept(listener);
  ASSERT_TRUE(accepted.ok());
  server.close(accepted.value);
  client.close(fd);
}

TEST_F(Audit, TimeWaitBlocksRestart) {
  const int held = listening(a, a.tcp(), "0.0.0.0", port);
  EXPECT_TRUE(found("time-wait-blocks-restart").empty()) << "no connection yet";
  leave_time_wait(a, held, b);
  ASSERT_TRUE(eventually([&] { return !found("time-wait-blocks-restart").empty(); }));
  const Json f = one("time-wait-blocks-restart", "warning");
  EXPECT_EQ(f["sockets"].size(), 2u) << f.dump(1);
  a.close(held); // and so it is
  EXPECT_EQ(a.bind(a.tcp(), "0.0.0.0", port).error, EADDRINUSE);
}

TEST_F(Audit, TimeWaitWithReuseaddrDoesNotBlock) {
  const int fd = a.tcp();
  a.reuseaddr(fd);
  const int held = listening(a, fd, "0.0.0.0", port);
  leave_time_wait(a, held, b);
  ASSERT_TRUE(eventually([&] { return !sockets("&state=TIME_WAIT").empty(); }));
  expect_none();
  a.close(held); // and so it does not
  const int again = a.tcp();
  a.reuseaddr(again);
  listening(a, again, "0.0.0.0", port);
}

TEST_F(Audit, LeakedDescriptor) {
  // Long enough for the daemon to see which program it was.
  Leaked leaked =
      leak_into_a_program(netns, port, std::chrono::milliseconds(is_slow() ? 1000 : 150));
  const pid_t server = leaked.server.pid();
  ASSERT_EQ(leaked.server.wait(), 0);
  ASSERT_TRUE(eventually([&] { return !found("leaked-descriptor").empty(); }));
  const Json f = one("leaked-descriptor", "warning");
  EXPECT_TRUE(says(f, named("sleep", leaked.program.pid()))) << f.dump(1);
  EXPECT_TRUE(says(f, "[" + std::to_string(server) + "], which is gone")) << f.dump(1);
  EXPECT_EQ(f["sockets"][0].value("binder_exited", false), true);
}

TEST_F(Audit, ServerInTheBackgroundIsNoLeak) {
  listening(a, a.tcp(), "127.0.0.1", port);
  Actor daemonized = a.fork(); // the same program goes on in a child
  a.kill();
  expect_none();
}

TEST_F(Audit, DescriptorGivenToAProgramIsNoLeak) {
  const int held = listening(a, a.tcp(), "127.0.0.1", port);
  EXPECT_GE(a.give(held, b), 0);
  a.kill(); // the same program, and it knows what it was given
  expect_none();
}

TEST_F(Audit, BoundNotListening) {
  bound(a, a.tcp(), "127.0.0.1", port);
  expect_none(); // not for long
  ASSERT_TRUE(eventually([&] { return !found("bound-not-listening", "&idle=1").empty(); }));
  const Json f = one("bound-not-listening", "warning", "&idle=1");
  EXPECT_TRUE(says(f, "for at least 1 s")) << f.dump(1);
}

TEST_F(Audit, ListeningOrConnectedIsNotIdle) {
  listening(a, a.tcp(), "127.0.0.1", port);
  bound(a, a.udp(), "127.0.0.1", port); // UDP does not listen
  const int client = b.tcp();
  bound(b, client, "127.0.0.1", 2000);
  EXPECT_TRUE(b.connect(client, "127.0.0.1", port).ok());
  EXPECT_EQ(Json(found("bound-not-listening", "&idle=0")).dump(), "[]");
}

TEST_F(Audit, LingerZero) {
  const int held = listening(a, a.tcp(), "127.0.0.1", port);
  a.linger(held, 0);
  (void)one("linger-zero", "warning");
  // As it says: an accepted connection ends with a reset.
  const int client = b.tcp();
  ASSERT_TRUE(b.connect(client, "127.0.0.1", port).ok());
  const Outcome accepted = a.accept(held);
  ASSERT_TRUE(accepted.ok());
  EXPECT_EQ(sockets("&port=8080&state=ESTABLISHED").at(0).value("linger", -1), 0);
  a.close(accepted.value);
  EXPECT_TRUE(sockets("&state=TIME_WAIT").empty());
}

TEST_F(Audit, LingerOfSomeSecondsIsNoFinding) {
  const int held = listening(a, a.tcp(), "127.0.0.1", port);
  a.linger(held, 5);
  const int idle = b.tcp(); // not a listener
  bound(b, idle, "127.0.0.1", 81);
  b.linger(idle, 0);
  expect_none();
}

TEST_F(Audit, PrivilegedByUnprivileged) {
  set_sysctl("ipv4/ip_unprivileged_port_start", "80");
  a.become(login_user);
  listening(a, a.tcp(), "127.0.0.1", 80);
  const Json f = one("privileged-by-unprivileged", "info");
  EXPECT_TRUE(says(f, "net.ipv4.ip_unprivileged_port_start is 80")) << f.dump(1);
}

TEST_F(Audit, SystemUserOnAPrivilegedPortIsNoFinding) {
  set_sysctl("ipv4/ip_unprivileged_port_start", "80");
  a.become(101); // systemd-resolved, bind, chrony
  listening(a, a.tcp(), "127.0.0.1", 80);
  b.become(login_user);
  listening(b, b.tcp(), "127.0.0.1", 1024);
  expect_none();
}

TEST_F(Audit, FiltersLookAtTheSocketsOfAFinding) {
  listener_with_reuseport(a, "0.0.0.0");
  listener_with_reuseport(b, "127.0.0.1");
  a.linger(listening(a, a.tcp(), "127.0.0.1", 81), 0);
  const auto count = [&](const std::string& more) {
    return daemon().lines("/v1/audit?" + netns.query() + more).size();
  };
  EXPECT_EQ(count(""), 2u);
  EXPECT_EQ(count("&port=81"), 1u);
  EXPECT_EQ(count("&comm=kt-b"), 1u);
  EXPECT_EQ(count("&pid=" + std::to_string(a.pid())), 2u);
  EXPECT_EQ(count("&proto=udp"), 0u);
  EXPECT_EQ(count("&limit=1"), 1u);
}

} // namespace
} // namespace bindlens::test
