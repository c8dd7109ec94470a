// A refused bind or listen: which rule, which relation, who holds the port.

#include "world.h"

namespace bindlens::test {
namespace {

using Strings = std::vector<std::string>;

constexpr uint16_t port = 8080;

class Failures : public World {
 protected:
  int listener(Actor& by, const std::string& address, bool v6only = false) {
    const bool v6 = address.find(':') != std::string::npos;
    const int fd = v6 ? by.tcp6() : by.tcp();
    if (v6) by.v6only(fd, v6only);
    EXPECT_TRUE(by.bind(fd, address, port).ok());
    EXPECT_TRUE(by.listen(fd).ok());
    return fd;
  }

  void expect_in_use(const Outcome& o) { EXPECT_EQ(o.error, EADDRINUSE); }

  // The failure on `port` names these.
  void expect(const std::string& rule, const std::string& relation, const Strings& holders,
              const std::string& call = "bind") {
    const Json f = failure(port);
    ASSERT_FALSE(f.is_null()) << "no failure, or more than one";
    EXPECT_EQ(f.value("rule", ""), rule) << f.dump(1);
    EXPECT_EQ(f["call"], call);
    EXPECT_EQ(f["errno"], "EADDRINUSE");
    EXPECT_EQ(f["netns"], netns.inode());
    EXPECT_EQ(f["evidence"], "observed");
    EXPECT_EQ(f["complete"], true);
    EXPECT_FALSE(f.value("explanation", "").empty());
    EXPECT_EQ(holders_of(f), holders) << f.dump(1);
    ASSERT_FALSE(f["holders"].empty());
    EXPECT_EQ(f["holders"][0].value("relation", ""), relation) << f.dump(1);
  }

  // A TCP connection from `client` to a listener on `port`; {client's, server's}.
  std::pair<int, int> connection(Actor& server, int listening, Actor& client) {
    const int fd = client.tcp();
    EXPECT_TRUE(client.connect(fd, "127.0.0.1", port).ok());
    return {fd, server.accept(listening).value};
  }
};

TEST_F(Failures, ListenerOnTheSameAddress) {
  const int held = listener(a, "127.0.0.1");
  const int fd = b.tcp();
  expect_in_use(b.bind(fd, "127.0.0.1", port));
  expect("listener", "same", {held_by(a, held)});
  EXPECT_EQ(failure(port)["process"]["pid"], b.pid());
  EXPECT_EQ(failure(port)["process"]["comm"], "kt-b");
}

TEST_F(Failures, ListenerOnTheWildcard) {
  const int held = listener(a, "0.0.0.0");
  const int fd = b.tcp();
  expect_in_use(b.bind(fd, "127.0.0.1", port));
  expect("listener", "holder-is-wildcard", {held_by(a, held)});
}

TEST_F(Failures, WildcardAskedFor) {
  const int held = listener(a, "127.0.0.1");
  expect_in_use(b.bind(b.tcp(), "0.0.0.0", port));
  expect("listener", "requester-is-wildcard", {held_by(a, held)});
}

TEST_F(Failures, DualStackWildcardCoversIpv4) {
  const int held = listener(a, "::");
  expect_in_use(b.bind(b.tcp(), "0.0.0.0", port));
  expect("listener", "v6-wildcard-covers-v4", {held_by(a, held)});
}

TEST_F(Failures, V6onlyLeavesIpv4Alone) {
  const int held = listener(a, "::", true);
  EXPECT_TRUE(b.bind(b.tcp(), "0.0.0.0", port).ok());
  EXPECT_TRUE(failures().empty());
  expect_in_use(b.bind(b.tcp6(), "::1", port));
  expect("listener", "holder-is-wildcard", {held_by(a, held)});
}

TEST_F(Failures, MappedAddressIsIpv4) {
  const int held = listener(a, "::ffff:127.0.0.1");
  expect_in_use(b.bind(b.tcp(), "127.0.0.1", port));
  expect("listener", "v4-mapped", {held_by(a, held)});
}

TEST_F(Failures, HolderWithoutReuseaddr) {
  const int held = a.tcp();
  ASSERT_TRUE(a.bind(held, "127.0.0.1", port).ok());
  const int fd = b.tcp();
  b.reuseaddr(fd);
  expect_in_use(b.bind(fd, "127.0.0.1", port));
  expect("holder-no-reuseaddr", "same", {held_by(a, held)});
  EXPECT_EQ(failure(port)["reuseaddr"], true);
  EXPECT_EQ(failure(port)["holders"][0]["state"], "BOUND");
}

TEST_F(Failures, RequesterWithoutReuseaddr) {
  const int held = a.tcp();
  a.reuseaddr(held);
  ASSERT_TRUE(a.bind(held, "127.0.0.1", port).ok());
  expect_in_use(b.bind(b.tcp(), "127.0.0.1", port));
  expect("requester-no-reuseaddr", "same", {held_by(a, held)});
}

TEST_F(Failures, SecondListen) {
  const int first = a.tcp();
  const int second = b.tcp();
  a.reuseaddr(first);
  b.reuseaddr(second);
  ASSERT_TRUE(a.bind(first, "127.0.0.1", port).ok());
  ASSERT_TRUE(b.bind(second, "127.0.0.1", port).ok());
  ASSERT_TRUE(a.listen(first).ok());
  expect_in_use(b.listen(second));
  expect("listener", "same", {held_by(a, first)}, "listen");
}

TEST_F(Failures, ReuseportOfAnotherUser) {
  a.become(1001);
  const int held = a.tcp();
  a.reuseport(held);
  ASSERT_TRUE(a.bind(held, "127.0.0.1", port).ok());
  ASSERT_TRUE(a.listen(held).ok());
  const int fd = b.tcp();
  b.reuseport(fd);
  expect_in_use(b.bind(fd, "127.0.0.1", port));
  expect("reuseport-uid", "same", {held_by(a, held)});
  EXPECT_EQ(failure(port)["holders"][0]["uid"], 1001);
}

TEST_F(Failures, HolderWithoutReuseport) {
  const int held = a.tcp();
  ASSERT_TRUE(a.bind(held, "127.0.0.1", port).ok());
  const int fd = b.tcp();
  b.reuseport(fd);
  expect_in_use(b.bind(fd, "127.0.0.1", port));
  expect("holder-no-reuseport", "same", {held_by(a, held)});
}

TEST_F(Failures, TimeWaitOfTheServer) {
  const int held = listener(a, "127.0.0.1");
  const auto [client, server] = connection(a, held, b);
  a.close(server); // first: the server keeps TIME_WAIT
  b.close(client);
  a.close(held);
  expect_in_use(b.bind(b.tcp(), "127.0.0.1", port));
  expect("time-wait", "same", {});
  EXPECT_EQ(failure(port)["holders"][0]["state"], "TIME_WAIT");
}

TEST_F(Failures, TimeWaitOfTheClient) {
  const int held = a.tcp();
  ASSERT_TRUE(a.bind(held, "127.0.0.1", 9000).ok());
  ASSERT_TRUE(a.listen(held).ok());
  const int client = b.tcp();
  ASSERT_TRUE(b.bind(client, "127.0.0.1", port).ok());
  ASSERT_TRUE(b.connect(client, "127.0.0.1", 9000).ok());
  const int server = a.accept(held).value;
  b.close(client);
  a.close(server);
  expect_in_use(b.bind(b.tcp(), "127.0.0.1", port));
  expect("time-wait", "same", {});
}

TEST_F(Failures, AcceptedChildAfterTheListenerClosed) {
  const int held = listener(a, "127.0.0.1");
  const auto [client, server] = connection(a, held, b);
  a.close(held);
  expect_in_use(b.bind(b.tcp(), "127.0.0.1", port));
  expect("connected-child", "same", {held_by(a, server)});
}

TEST_F(Failures, UdpWithoutReuse) {
  const int held = a.udp();
  ASSERT_TRUE(a.bind(held, "0.0.0.0", port).ok());
  expect_in_use(b.bind(b.udp(), "127.0.0.1", port));
  expect("udp-no-reuse", "holder-is-wildcard", {held_by(a, held)});
  EXPECT_EQ(failure(port)["proto"], "udp");
}

TEST_F(Failures, UdpReuseportOfAnotherUser) {
  a.become(1001);
  const int held = a.udp();
  a.reuseport(held);
  ASSERT_TRUE(a.bind(held, "127.0.0.1", port).ok());
  const int fd = b.udp();
  b.reuseport(fd);
  expect_in_use(b.bind(fd, "127.0.0.1", port));
  expect("udp-reuseport-uid", "same", {held_by(a, held)});
}

TEST_F(Failures, OnlyTheTransportProtocolAskedForIsBlamed) {
  const int held = a.udp();
  ASSERT_TRUE(a.bind(held, "127.0.0.1", port).ok());
  const int stream = a.tcp();
  ASSERT_TRUE(a.bind(stream, "127.0.0.1", port).ok());
  expect_in_use(b.bind(b.udp(), "127.0.0.1", port));
  expect("udp-no-reuse", "same", {held_by(a, held)});
}

} // namespace
} // namespace bindlens::test
