// Each kind of call, alone: what the hooks take down of it.

#include "world.h"

namespace bindlens::test {
namespace {

// --- every protocol and family ---------------------------------------------------

struct Kind {
  const char* name;
  int family, type, protocol;
  const char* address;
  const char* proto;
};

constexpr int ipproto_mptcp = 262;
constexpr uint16_t port = 7001;

class EveryKind : public World, public testing::WithParamInterface<Kind> {
 protected:
  // Skips the test where this kernel has no such socket.
  int open(Actor& by) {
    const Outcome o = by.try_open(GetParam().family, GetParam().type, GetParam().protocol);
    return o.value;
  }
  void expect_address(const Json& e) {
    EXPECT_EQ(e["proto"], GetParam().proto);
    EXPECT_EQ(e["family"], GetParam().family == AF_INET ? "inet" : "inet6");
    EXPECT_EQ(e["addr"], GetParam().address);
    EXPECT_EQ(e["port"], port);
    EXPECT_EQ(e["netns"], netns.inode());
  }
};

TEST_P(EveryKind, BindIsTold) {
  (void)daemon();
  const int fd = open(a);
  if (fd < 0) GTEST_SKIP() << "not run here: this kernel has no " << GetParam().name << " sockets";
  a.reuseaddr(fd);
  ASSERT_TRUE(a.bind(fd, GetParam().address, port).ok());
  const Json e = event(port);
  ASSERT_FALSE(e.is_null());
  expect_address(e);
  EXPECT_EQ(e["type"], "bind");
  EXPECT_EQ(e["state"], "BOUND");
  EXPECT_EQ(e["reuseaddr"], true);
  EXPECT_EQ(e["reuseport"], false);
  EXPECT_EQ(e["bound_by"], "bind");
  EXPECT_EQ(e["process"]["pid"], a.pid());
  EXPECT_EQ(e["process"]["comm"], "kt-a");
  a.close(fd);
  EXPECT_EQ(event(port)["type"], "release");
}

TEST_P(EveryKind, RefusedBindKeepsTheAddressAskedFor) {
  (void)daemon();
  const int held = open(a);
  if (held < 0)
    GTEST_SKIP() << "not run here: this kernel has no " << GetParam().name << " sockets";
  ASSERT_TRUE(a.bind(held, GetParam().address, port).ok());
  const int fd = open(b);
  b.reuseport(fd);
  ASSERT_EQ(b.bind(fd, GetParam().address, port).error, EADDRINUSE);
  const Json f = failure(port);
  ASSERT_FALSE(f.is_null());
  expect_address(f);
  EXPECT_EQ(f["call"], "bind");
  EXPECT_EQ(f["errno"], "EADDRINUSE");
  EXPECT_EQ(f["reuseport"], true);
  EXPECT_EQ(f["reuseaddr"], false);
  EXPECT_EQ(f["process"]["pid"], b.pid());
  EXPECT_EQ(f["holders"].size(), 1u) << f.dump(1);
}

INSTANTIATE_TEST_SUITE_P(
    Hooks, EveryKind,
    testing::Values(Kind{"Tcp4", AF_INET, SOCK_STREAM, 0, "127.0.0.1", "tcp"},
                    Kind{"Tcp6", AF_INET6, SOCK_STREAM, 0, "::1", "tcp"},
                    Kind{"TcpMapped", AF_INET6, SOCK_STREAM, 0, "::ffff:127.0.0.1", "tcp"},
                    Kind{"Udp4", AF_INET, SOCK_DGRAM, 0, "127.0.0.1", "udp"},
                    Kind{"Udp6", AF_INET6, SOCK_DGRAM, 0, "::1", "udp"},
                    Kind{"UdpMapped", AF_INET6, SOCK_DGRAM, 0, "::ffff:127.0.0.1", "udp"},
                    Kind{"UdpLite4", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, "127.0.0.1", "udplite"},
                    Kind{"UdpLite6", AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE, "::1", "udplite"},
                    Kind{"Mptcp4", AF_INET, SOCK_STREAM, ipproto_mptcp, "127.0.0.1", "mptcp"},
                    Kind{"Mptcp6", AF_INET6, SOCK_STREAM, ipproto_mptcp, "::1", "mptcp"}),
    [](const auto& kind) { return std::string(kind.param.name); });

// --- the ways to be refused --------------------------------------------------------

class Hooks : public World {
 protected:
  void expect(uint16_t at, const std::string& error, const std::string& rule) {
    const Json f = failure(at);
    ASSERT_FALSE(f.is_null());
    EXPECT_EQ(f["errno"], error);
    EXPECT_EQ(f.value("rule", ""), rule) << f.dump(1);
  }
};

TEST_F(Hooks, AddressOfAnotherHost) {
  EXPECT_EQ(a.bind(a.tcp(), "192.0.2.7", port).error, EADDRNOTAVAIL);
  expect(port, "EADDRNOTAVAIL", "address-not-local");
  EXPECT_EQ(failure(port)["addr"], "192.0.2.7");
}

TEST_F(Hooks, PrivilegedPort) {
  a.become(1001);
  EXPECT_EQ(a.bind(a.tcp(), "127.0.0.1", 81).error, EACCES);
  expect(81, "EACCES", "privileged-port");
  const Json f = failure(81);
  EXPECT_EQ(f["uid"], 1001);
  EXPECT_EQ(f["process"]["uid"], 1001);
}

TEST_F(Hooks, AlreadyBound) {
  const int fd = a.tcp();
  ASSERT_TRUE(a.bind(fd, "127.0.0.1", port).ok());
  EXPECT_EQ(a.bind(fd, "127.0.0.1", 7002).error, EINVAL);
  expect(7002, "EINVAL", "already-bound");
}

TEST_F(Hooks, ThreadsAreTold) {
  ASSERT_TRUE(a.bind(a.tcp(), "127.0.0.1", port).ok());
  EXPECT_EQ(b.bind_in_thread(b.tcp(), "127.0.0.1", port).error, EADDRINUSE);
  const Json f = failure(port);
  ASSERT_FALSE(f.is_null());
  EXPECT_EQ(f["process"]["pid"], b.pid());
  EXPECT_GT(f["process"].value("tid", 0), 0);
  EXPECT_NE(f["process"]["tid"], b.pid());
}

// --- ports that the kernel chooses ---------------------------------------------------

TEST_F(Hooks, PortsChosenByTheKernel) {
  (void)daemon();
  const int bound = a.tcp();
  ASSERT_TRUE(a.bind(bound, "127.0.0.1", 0).ok());
  const int listening = a.tcp();
  ASSERT_TRUE(a.listen(listening).ok());
  const int connected = b.tcp();
  ASSERT_TRUE(b.connect(connected, "127.0.0.1", a.port(listening)).ok());
  const int datagrams = b.udp();
  ASSERT_TRUE(b.connect(datagrams, "127.0.0.1", 7005).ok());
  const auto told = [&](Actor& who, int fd) {
    const Json e = event(who.port(fd));
    return e.value("type", "") + " " + e.value("bound_by", "") + " " + e.value("addr", "");
  };
  EXPECT_EQ(told(a, bound), "bind autobind 127.0.0.1");
  EXPECT_EQ(told(a, listening), "listen autobind 0.0.0.0");
  EXPECT_EQ(told(b, connected), "connect connect 127.0.0.1");
  EXPECT_EQ(told(b, datagrams), "connect connect 127.0.0.1");
  EXPECT_EQ(event(b.port(connected))["peer"], "127.0.0.1:" + std::to_string(a.port(listening)));
}

TEST_F(Hooks, DisconnectGivesTheChosenPortBack) {
  const int listening = a.tcp();
  ASSERT_TRUE(a.bind(listening, "127.0.0.1", port).ok());
  ASSERT_TRUE(a.listen(listening).ok());
  for (const int fd : {b.tcp(), b.udp()}) {
    ASSERT_TRUE(b.connect(fd, "127.0.0.1", port).ok());
    const uint16_t chosen = b.port(fd);
    EXPECT_EQ(event(chosen)["type"], "connect");
    ASSERT_TRUE(b.disconnect(fd).ok());
    EXPECT_EQ(event(chosen)["type"], "release");
  }
}

TEST_F(Hooks, ConnectThatDoesNotWaitIsNoFailure) {
  const int listening = a.tcp();
  ASSERT_TRUE(a.bind(listening, "127.0.0.1", port).ok());
  ASSERT_TRUE(a.listen(listening).ok());
  const int fd = b.open(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  ASSERT_EQ(b.connect(fd, "127.0.0.1", port).error, EINPROGRESS);
  EXPECT_EQ(event(b.port(fd))["type"], "connect");
  EXPECT_TRUE(failures().empty());
}

TEST_F(Hooks, RefusedConnectionsTakeNoPort) {
  (void)daemon();
  EXPECT_EQ(a.connect(a.tcp(), "127.0.0.1", port).error, ECONNREFUSED);
  EXPECT_TRUE(events().empty());
  EXPECT_TRUE(failures().empty());
}

TEST_F(Hooks, BindWithoutPortTellsNothingUntilConnect) {
  const int listening = b.tcp();
  ASSERT_TRUE(b.bind(listening, "127.0.0.1", port).ok());
  ASSERT_TRUE(b.listen(listening).ok());
  const int fd = a.tcp();
  a.set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  const size_t before = events().size();
  ASSERT_TRUE(a.bind(fd, "127.0.0.1", 0).ok());
  EXPECT_EQ(events().size(), before);
  ASSERT_TRUE(a.connect(fd, "127.0.0.1", port).ok());
  EXPECT_EQ(event(a.port(fd))["type"], "connect");
}

TEST_F(Hooks, ListenerThatShutsDownKeepsItsPort) {
  const int fd = a.tcp();
  ASSERT_TRUE(a.bind(fd, "127.0.0.1", port).ok());
  ASSERT_TRUE(a.listen(fd).ok());
  ASSERT_TRUE(a.shutdown(fd).ok());
  const auto rows = sockets("&port=" + std::to_string(port));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["state"], "BOUND");
  EXPECT_NE(event(port)["type"], "release");
}

// --- io_uring ------------------------------------------------------------------------

TEST_F(Hooks, BindByUring) {
  (void)daemon();
  const Outcome o = a.bind_by_uring(a.tcp(), "127.0.0.1", port);
  if (!o.ok())
    GTEST_SKIP() << "not run here: no IORING_OP_BIND (" << o << "), Linux 6.11 has it first";
  const Json e = event(port);
  ASSERT_FALSE(e.is_null());
  EXPECT_EQ(e["type"], "bind");
  EXPECT_EQ(e["addr"], "127.0.0.1");
  EXPECT_EQ(e["process"]["pid"], a.pid());
}

TEST_F(Hooks, RefusedBindByUring) {
  ASSERT_TRUE(a.bind(a.tcp(), "127.0.0.1", port).ok());
  const Outcome o = b.bind_by_uring(b.tcp(), "127.0.0.1", port);
  if (o.error != EADDRINUSE)
    GTEST_SKIP() << "not run here: no IORING_OP_BIND (" << o << "), Linux 6.11 has it first";
  if (daemon().one("/v1/status")["tier"] == "tracepoint")
    GTEST_SKIP() << "not run here: the tracepoint tier does not see refusals by io_uring";
  expect(port, "EADDRINUSE", "requester-no-reuseaddr");
}

} // namespace
} // namespace bindlens::test
