// Who may share a port: options of both sides, users, both address families.

#include "scenario.h"

namespace bindlens::test {
namespace {

constexpr uint16_t port = 8080;
constexpr uint16_t mdns = 5353;

TEST_F(Scenario, ReuseportIsRefusedToAnotherUser) {
  a.become(1001);
  const int held = a.tcp();
  a.reuseport(held);
  listening(a, held, "127.0.0.1", port);
  const int fd = b.tcp();
  b.reuseport(fd);
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_blamed(f, "reuseport-uid", "same", a, {held_by(a, held)});
  EXPECT_EQ(f["holders"][0].value("uid", 0), 1001) << f.dump(1);
  EXPECT_EQ(f.value("uid", -1), 0) << f.dump(1);
  expect_check_refuses(question("tcp", "127.0.0.1", port, {"reuseport"}), "reuseport-uid");

  a.reuseaddr(held); // on both sides, and of no use
  b.reuseaddr(fd);
  expect_rule(refused_bind(b, fd, "127.0.0.1", port), "reuseport-uid");
  EXPECT_TRUE(advises(f, "make this socket as user ")) << f.dump(1);
  b.become(1001);
  const int same_user = b.tcp();
  b.reuseport(same_user);
  Json as_1001 = question("tcp", "127.0.0.1", port, {"reuseport"});
  as_1001["uid"] = 1001;
  expect_check_allows(as_1001);
  EXPECT_TRUE(b.bind(same_user, "127.0.0.1", port).ok());
}

// Socket activation: root opens the socket, a service of another user has it. Who
// made the socket counts, not who runs the service.
TEST_F(Scenario, SocketOfRootInAServiceOfAnotherUser) {
  const int made = a.tcp();
  a.reuseport(made);
  listening(a, made, "127.0.0.1", port);
  Actor service(netns, "kt-service");
  const int held = a.give(made, service);
  service.become(1001);
  a.close(made);

  b.become(1001);
  const int fd = b.tcp();
  b.reuseport(fd);
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_blamed(f, "reuseport-uid", "same", a, {held_by(service, held)});
  EXPECT_EQ(f["holders"][0].value("uid", -1), 0) << f.dump(1);
  EXPECT_EQ(f["holders"][0]["holders"][0].value("uid", 0), 1001) << f.dump(1);
  EXPECT_TRUE(advises(f, "make this socket as user root")) << f.dump(1);
  const int of_root = a.tcp();
  a.reuseport(of_root);
  EXPECT_TRUE(a.bind(of_root, "127.0.0.1", port).ok());
}

TEST_F(Scenario, DualStackListenerBlocksIpv4) {
  const int held = a.tcp6();
  a.v6only(held, false);
  listening(a, held, "::", port);
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "0.0.0.0", port);
  expect_blamed(f, "listener", "v6-wildcard-covers-v4", a, {held_by(a, held)});
  EXPECT_TRUE(explains(f, "IPV6_V6ONLY is off")) << f.dump(1);
  EXPECT_TRUE(explains(f, "SO_REUSEADDR would not help")) << f.dump(1);
  expect_check_refuses(question("tcp", "0.0.0.0", port), "listener");
  a.reuseaddr(held);
  b.reuseaddr(fd);
  expect_rule(refused_bind(b, fd, "0.0.0.0", port), "listener");

  a.close(held); // what the sentence says is missing
  const int v6 = a.tcp6();
  a.v6only(v6, true);
  listening(a, v6, "::", port);
  expect_check_allows(question("tcp", "0.0.0.0", port));
  EXPECT_TRUE(b.bind(fd, "0.0.0.0", port).ok());
}

TEST_F(Scenario, Ipv4ListenerBlocksDualStack) {
  const int held = listening(a, a.tcp(), "0.0.0.0", port);
  const int fd = b.tcp6();
  b.v6only(fd, false);
  const Json f = refused_bind(b, fd, "::", port);
  expect_blamed(f, "listener", "v6-wildcard-covers-v4", a, {held_by(a, held)});
  EXPECT_EQ(f.value("v6only", true), false) << f.dump(1);
  EXPECT_TRUE(advises(f, "set IPV6_V6ONLY on this socket before bind")) << f.dump(1);
  Json q = question("tcp", "::", port);
  q["v6only"] = false;
  expect_check_refuses(q, "listener");
  q["v6only"] = true;
  expect_check_allows(q);
  b.v6only(fd, true);
  EXPECT_TRUE(b.bind(fd, "::", port).ok());
}

TEST_F(Scenario, ListenIsRefusedAfterBindSucceeded) {
  const int first = a.tcp();
  a.reuseaddr(first);
  bound(a, first, "127.0.0.1", port);
  expect_check_allows(question("tcp", "127.0.0.1", port, {"reuseaddr", "listen"}));
  const int second = b.tcp();
  b.reuseaddr(second);
  bound(b, second, "127.0.0.1", port);
  ASSERT_TRUE(a.listen(first).ok());
  const Json f = refusal(b, port, EADDRINUSE, [&] { return b.listen(second); });
  expect_blamed(f, "listener", "same", a, {held_by(a, first)});
  EXPECT_EQ(f.value("call", ""), "listen");
  EXPECT_EQ(f["holders"][0].value("state", ""), "LISTEN");
  EXPECT_TRUE(explains(f, "SO_REUSEADDR, which is set here, does not help")) << f.dump(1);
  expect_check_refuses(question("tcp", "127.0.0.1", port, {"reuseaddr", "listen"}), "listener");

  EXPECT_TRUE(advises(f, "stop " + named("kt-a", a.pid()))) << f.dump(1);
  a.kill();
  EXPECT_TRUE(b.listen(second).ok());
}

TEST_F(Scenario, ReuseportOnBothSidesLetsASecondListenIn) {
  const int first = a.tcp();
  a.reuseaddr(first);
  bound(a, first, "127.0.0.1", port);
  const int second = b.tcp();
  b.reuseaddr(second);
  bound(b, second, "127.0.0.1", port);
  ASSERT_TRUE(a.listen(first).ok());
  const Json f = refusal(b, port, EADDRINUSE, [&] { return b.listen(second); });
  EXPECT_TRUE(advises(f, "set SO_REUSEPORT on this socket before bind and on the socket of " +
                             named("kt-a", a.pid())))
      << f.dump(1);
  a.reuseport(first);
  const int third = b.tcp();
  b.reuseport(third);
  b.close(second);
  expect_check_allows(question("tcp", "127.0.0.1", port, {"reuseport", "listen"}));
  ASSERT_TRUE(b.bind(third, "127.0.0.1", port).ok());
  EXPECT_TRUE(b.listen(third).ok());
}

// One program sets SO_REUSEADDR, the other SO_REUSEPORT: not the same group.
TEST_F(Scenario, UdpOptionsOfTwoKindsDoNotShare) {
  const int held = a.udp();
  a.reuseaddr(held);
  bound(a, held, "0.0.0.0", mdns);
  const int fd = b.udp();
  b.reuseport(fd);
  const Json f = refused_bind(b, fd, "0.0.0.0", mdns);
  expect_blamed(f, "udp-no-reuse", "same", a, {held_by(a, held)});
  EXPECT_EQ(f.value("proto", ""), "udp");
  EXPECT_EQ(f.value("reuseport", false), true);
  EXPECT_EQ(f["holders"][0].value("reuseaddr", false), true);
  expect_check_refuses(question("udp", "0.0.0.0", mdns, {"reuseport"}), "udp-no-reuse");

  EXPECT_TRUE(advises(f, "set SO_REUSEADDR on this socket before bind")) << f.dump(1);
  expect_check_allows(question("udp", "0.0.0.0", mdns, {"reuseport", "reuseaddr"}));
  b.reuseaddr(fd);
  EXPECT_TRUE(b.bind(fd, "0.0.0.0", mdns).ok());
}

TEST_F(Scenario, UdpHolderWithoutAnyOptionHasToSetIt) {
  const int held = bound(a, a.udp(), "0.0.0.0", mdns);
  const int fd = b.udp();
  b.reuseaddr(fd);
  b.reuseport(fd);
  const Json f = refused_bind(b, fd, "0.0.0.0", mdns);
  expect_blamed(f, "udp-no-reuse", "same", a, {held_by(a, held)});
  EXPECT_TRUE(advises(f, "set SO_REUSEADDR on the socket of " + named("kt-a", a.pid())))
      << f.dump(1);
  a.reuseaddr(held);
  EXPECT_TRUE(b.bind(fd, "0.0.0.0", mdns).ok());
}

// "localhost" of one program is 127.0.0.1, of another one ::1: both have to go
// before somebody can have all of the port.
TEST_F(Scenario, LoopbackOfBothFamiliesInDifferentPrograms) {
  const int v4 = listening(a, a.tcp(), "127.0.0.1", port);
  Actor other(netns, "kt-other");
  const int v6 = listening(other, other.tcp6(), "::1", port);
  const int fd = b.tcp6();
  b.v6only(fd, false);
  const Json f = refused_bind(b, fd, "::", port);
  expect_rule(f, "listener");
  Strings both = {held_by(a, v4), held_by(other, v6)};
  std::sort(both.begin(), both.end());
  EXPECT_EQ(holders_of(f), both) << f.dump(1);
  for (const Json& h : f["holders"])
    EXPECT_EQ(h.value("relation", ""),
              h["family"] == "inet" ? "v6-wildcard-covers-v4" : "requester-is-wildcard")
        << f.dump(1);

  a.kill();
  const Json again = refused_bind(b, fd, "::", port);
  expect_blamed(again, "listener", "requester-is-wildcard", other, {held_by(other, v6)});
  EXPECT_TRUE(advises(again, "stop " + named("kt-other", other.pid()))) << again.dump(1);
  other.kill();
  EXPECT_TRUE(b.bind(fd, "::", port).ok());
}

TEST_F(Scenario, SpecificAddressUnderAWildcard) {
  const int held = a.tcp();
  a.reuseport(held);
  listening(a, held, "0.0.0.0", port);
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  EXPECT_EQ(holders_of(f), Strings{held_by(a, held)}) << f.dump(1);
  EXPECT_EQ(f["holders"][0].value("relation", ""), "holder-is-wildcard") << f.dump(1);
  expect_check_refuses(question("tcp", "127.0.0.1", port), f.value("rule", ""));
  EXPECT_TRUE(advises(f, "set SO_REUSEPORT on this socket before bind")) << f.dump(1);

  b.reuseport(fd);
  expect_check_allows(question("tcp", "127.0.0.1", port, {"reuseport", "listen"}));
  ASSERT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
  ASSERT_TRUE(b.listen(fd).ok());
  const int client = a.tcp(); // the specific one gets what goes to its address
  ASSERT_TRUE(a.connect(client, "127.0.0.1", port).ok());
  EXPECT_TRUE(b.accept(fd).ok());
}

} // namespace
} // namespace bindlens::test
