// GET /v1/ports against what the test itself has opened, and against what
// connect() still gets afterwards.

#include "scenario.h"

#include <algorithm>
#include <set>

namespace bindlens::test {
namespace {

constexpr uint16_t service = 9000;
constexpr uint16_t other_service = 9001;

class Ports : public Scenario {
 protected:
  void SetUp() override {
    Scenario::SetUp();
    set_sysctl("ipv4/tcp_tw_reuse", "0");
    use_range(40000, 40039);
    // A daemon that has just started has no pace to tell of.
    ASSERT_TRUE(eventually([&] { return report().contains("window_s"); }));
  }
  // Of an even number of ports: with an odd one the kernel leaves one out.
  void use_range(int first, int last, const std::string& reserved = "") {
    set_sysctl("ipv4/ip_local_port_range", std::to_string(first) + " " + std::to_string(last));
    if (!reserved.empty()) set_sysctl("ipv4/ip_local_reserved_ports", reserved);
    // The daemon reads sysctls again after a moment.
    ASSERT_TRUE(eventually([&] {
      const Json n = use();
      return n["range"] == Json({{"first", first}, {"last", last}}) &&
             n["reserved"].empty() == reserved.empty();
    }));
  }
  Json report(const std::string& more = "") {
    return daemon().one("/v1/ports?" + netns.query() + more);
  }
  // Of this namespace.
  Json use(const std::string& more = "") {
    const Json all = report(more)["namespaces"];
    EXPECT_EQ(all.size(), 1u) << all.dump(1);
    return all.empty() ? Json::object() : all[0];
  }
  Json destination(const std::string& to) {
    const Json n = use();
    for (const Json& d : n["destinations"])
      if (d["to"] == to) return d;
    return Json::object();
  }
  int serve(uint16_t port, const std::string& address = "0.0.0.0") {
    const bool v6 = address.find(':') != std::string::npos;
    const int fd = bound(a, v6 ? a.tcp6() : a.tcp(), address, port);
    EXPECT_TRUE(a.listen(fd, 64).ok()) << "not all connections are accepted";
    return fd;
  }
  // Connections of `b`, accepted and kept.
  void connect(int server, int count, const std::string& to = "127.0.0.1",
               uint16_t port = service) {
    for (int i = 0; i < count; ++i)
      (void)connect_one(server, to, port);
  }
  std::pair<int, int> connect_one(int server, const std::string& to = "127.0.0.1",
                                  uint16_t port = service) {
    const int fd = to.find(':') == std::string::npos ? b.tcp() : b.tcp6();
    const Outcome outcome = b.connect(fd, to, port);
    EXPECT_TRUE(outcome.ok()) << outcome;
    return {fd, a.accept(server).value};
  }
  // … and closed by `b`, so that its port waits.
  void wait_after(int server, int count) {
    for (int i = 0; i < count; ++i) {
      const auto [client, accepted] = connect_one(server);
      b.close(client);
      a.close(accepted);
    }
    // Where the first FIN is late, both ends have closed, and both wait.
    EXPECT_TRUE(eventually([&] {
      const auto waiting = sockets("&state=TIME_WAIT");
      return std::ranges::count_if(waiting, [](const Json& s) { return s["port"] != service; }) ==
             count;
    }));
  }
  // So many more connections the kernel allows.
  int connects_left(const std::string& to = "127.0.0.1", uint16_t port = service) {
    for (int n = 0;; ++n) {
      const Outcome outcome = b.connect(b.tcp(), to, port);
      if (outcome.ok()) continue;
      EXPECT_EQ(outcome.error, EADDRNOTAVAIL);
      return n;
    }
  }
};

TEST_F(Ports, CountsEveryStateOnce) {
  use_range(40000, 40039, "40010-40019,50000");
  const int server = serve(service); // outside the range
  serve(40000);
  bound(a, a.tcp(), "127.0.0.1", 40001);
  bound(a, a.tcp(), "127.0.0.1", 40015); // reserved: not of those that are given out
  for (const uint16_t port : std::initializer_list<uint16_t>{40000, 40001, 40002, 40011})
    bound(a, a.udp(), "0.0.0.0", port);
  connect(server, 5);
  wait_after(server, 3);
  const Json n = use();
  EXPECT_EQ(n["ports"], 30);
  EXPECT_EQ(n["reserved"], Json::array({{{"first", 40010}, {"last", 40019}}}));
  const Json& tcp = n["tcp"];
  EXPECT_EQ(tcp["listening"], 1) << n.dump(1);
  EXPECT_EQ(tcp["bound"], 1);
  EXPECT_EQ(tcp["connected"], 5);
  EXPECT_EQ(tcp["time_wait"], 3);
  EXPECT_EQ(tcp["used"], 10);
  EXPECT_EQ(tcp["free"], 20);
  EXPECT_EQ(tcp["closed_to_connect"]["ports"], 2);
  EXPECT_EQ(tcp["closed_to_connect"]["processes"][0]["pid"], a.pid());
  EXPECT_EQ(tcp["closed_to_connect"]["processes"][0]["ports"], 2);
  EXPECT_EQ(n["udp"]["used"], 3);
  EXPECT_FALSE(tcp.contains("severity"));
}

TEST_F(Ports, WhatIsLeftIsWhatConnectStillGets) {
  use_range(40000, 40039, "40010-40019");
  const int server = serve(service);
  const int other = serve(other_service);
  connect(server, 5);
  connect(other, 4, "127.0.0.1", other_service);
  wait_after(server, 3);
  // Ports that nobody has: bind closes them for every destination.
  const int held = a.tcp();
  ASSERT_TRUE(a.bind(held, "127.0.0.9", 0).ok());
  ASSERT_TRUE(a.bind(a.tcp(), "127.0.0.9", 0).ok());
  const Json busy = destination("127.0.0.1:9000");
  EXPECT_EQ(busy["connections"], 5) << busy.dump(1);
  EXPECT_EQ(busy["time_wait"], 3);
  EXPECT_EQ(busy["used"], 10);
  const int left = destination("127.0.0.1:9000")["left"];
  const int other_left = destination("127.0.0.1:9001")["left"];
  EXPECT_EQ(left, 20);
  EXPECT_EQ(other_left, 24);
  EXPECT_EQ(connects_left(), left);
  EXPECT_EQ(connects_left("127.0.0.1", other_service), other_left);
  EXPECT_EQ(destination("127.0.0.1:9000")["left"], 0);
  EXPECT_EQ(destination("127.0.0.1:9000")["severity"], "critical");
  EXPECT_EQ(destination("127.0.0.1:9000")["exhausted_in_s"], 0);
}

TEST_F(Ports, WarnsFrom80Percent) {
  use_range(40000, 40009);
  const int server = serve(service);
  connect(server, 7);
  EXPECT_FALSE(destination("127.0.0.1:9000").contains("severity"));
  connect(server, 1);
  EXPECT_EQ(destination("127.0.0.1:9000")["severity"], "warning");
  EXPECT_EQ(destination("127.0.0.1:9000")["share"], 0.8);
  EXPECT_EQ(use()["tcp"]["severity"], "warning");
  EXPECT_FALSE(use()["tcp"]["closed_to_connect"].contains("severity"));
  for (int i = 0; i < 8; ++i)
    ASSERT_TRUE(a.bind(a.udp(), "0.0.0.0", 0).ok());
  EXPECT_EQ(use()["udp"]["severity"], "warning");
}

TEST_F(Ports, BindWithoutAPortClosesItForAllDestinations) {
  use_range(40000, 40009);
  const int server = serve(service);
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(a.bind(a.tcp(), "127.0.0.9", 0).ok());
  const Json closed = use()["tcp"]["closed_to_connect"];
  EXPECT_EQ(closed["ports"], 10);
  EXPECT_EQ(closed["severity"], "critical");
  EXPECT_EQ(connects_left(), 0);
  (void)server;
}

TEST_F(Ports, IPv6AndMappedDestinations) {
  const int server = serve(service, "::");
  connect(server, 2, "::1");
  connect(server, 1, "::ffff:127.0.0.1");
  connect(server, 1, "127.0.0.1");
  EXPECT_EQ(destination("[::1]:9000")["connections"], 2) << use().dump(1);
  EXPECT_EQ(destination("[::1]:9000")["from"], "::1");
  EXPECT_EQ(destination("127.0.0.1:9000")["connections"], 2);
  std::set<int> ports; // an IPv6 connection may share the port of an IPv4 one
  for (const Json& s : sockets("&state=ESTABLISHED"))
    if (s["port"] != service) ports.insert(s["port"].get<int>());
  EXPECT_EQ(use()["tcp"]["connected"], ports.size());
}

TEST_F(Ports, NamesTheProcessesThatConnect) {
  const int server = serve(service);
  connect(server, 3);
  Actor third(netns, "kt-c");
  ASSERT_TRUE(third.connect(third.tcp(), "127.0.0.1", service).ok());
  const Json of = destination("127.0.0.1:9000")["processes"];
  ASSERT_EQ(of.size(), 2u) << of.dump(1);
  EXPECT_EQ(of[0]["pid"], b.pid());
  EXPECT_EQ(of[0]["comm"], "kt-b");
  EXPECT_EQ(of[0]["ports"], 3);
  EXPECT_EQ(of[1]["pid"], third.pid());
}

TEST_F(Ports, AnotherNamespaceIsCountedApart) {
  const Netns elsewhere;
  Actor there(elsewhere, "kt-there");
  const int server = there.tcp();
  ASSERT_TRUE(there.bind(server, "127.0.0.1", service).ok());
  ASSERT_TRUE(there.listen(server).ok());
  ASSERT_TRUE(there.connect(there.tcp(), "127.0.0.1", service).ok());
  connect(serve(service), 2);
  EXPECT_EQ(use()["tcp"]["connected"], 2);
  const Json other = daemon().one("/v1/ports?" + elsewhere.query())["namespaces"][0];
  EXPECT_EQ(other["tcp"]["connected"], 1) << other.dump(1);
  EXPECT_NE(other["range"]["first"], 40000);
  size_t seen = 0;
  const Json all = daemon().one("/v1/ports");
  for (const Json& n : all["namespaces"])
    seen += n["netns"] == netns.inode() || n["netns"] == elsewhere.inode() ? 1 : 0;
  EXPECT_EQ(seen, 2u);
}

TEST_F(Ports, FiltersChooseDestinations) {
  const int server = serve(service);
  const int other = serve(other_service);
  connect(server, 2);
  connect(other, 1, "127.0.0.1", other_service);
  connect(server, 1, "127.0.0.2");
  const auto count = [&](const std::string& more) { return use(more)["destinations"].size(); };
  EXPECT_EQ(count(""), 3u);
  EXPECT_EQ(count("&to=127.0.0.1"), 2u);
  EXPECT_EQ(count("&to=:9000"), 2u);
  EXPECT_EQ(count("&to=127.0.0.1:9000"), 1u);
  EXPECT_EQ(count("&addr=10.0.0.1"), 0u);
  EXPECT_EQ(count("&limit=1"), 1u);
  EXPECT_EQ(use("&limit=1")["destinations_left_out"], 2);
}

TEST_F(Ports, PaceAndTimeToExhaustion) {
  // Of no other test: the number of a namespace, and with it the pace, may come again.
  constexpr uint16_t port = 9123;
  connect(serve(port), 20, "127.0.0.1", port);
  const Json r = report();
  const Json d = r["namespaces"][0]["destinations"][0];
  const double window = r["window_s"];
  const double rate = d["rate_per_s"];
  EXPECT_GE(window, 1);
  EXPECT_LE(window, 11);
  // Both are rounded to tenths.
  EXPECT_NEAR(rate * window, 20, 0.1 * (rate + window)) << r.dump(1);
  EXPECT_EQ(d["growth_per_s"], d["rate_per_s"]);
  EXPECT_EQ(d["left"], 20);
  EXPECT_NEAR(d["exhausted_in_s"].get<double>() * rate, 20, 0.05 * window + 0.06 * rate + 0.5);
}

// The peer closes first: its own port waits, and that of connect is free at once.
TEST_F(Ports, PortsThatComeBackDoNotRunOut) {
  const int server = serve(service);
  connect(server, 1);
  for (int i = 0; i < 10; ++i) {
    const auto [client, accepted] = connect_one(server);
    a.close(accepted);
    b.close(client);
  }
  Json d;
  EXPECT_TRUE(eventually([&] {
    d = destination("127.0.0.1:9000");
    return d["connections"] == 1;
  }));
  EXPECT_EQ(d["time_wait"], 0) << d.dump(1);
  EXPECT_GT(d["rate_per_s"], 0);
  EXPECT_LE(d["growth_per_s"].get<double>() * 10, 0.1 * d["rate_per_s"].get<double>() * 10 + 1)
      << d.dump(1);
}

TEST_F(Ports, TimeWaitThatConnectMayTakeOverIsNotInTheWay) {
  use_range(40000, 40009);
  // Not before: where ten connections take longer than a second, they would take over each other's.
  wait_after(serve(service), 10);
  set_sysctl("ipv4/tcp_tw_reuse", "2"); // on loopback
  Json d;
  ASSERT_TRUE(eventually([&] {
    d = destination("127.0.0.1:9000");
    return d.value("time_wait_reusable", 0) == 10;
  })) << d.dump(1);
  EXPECT_EQ(d["time_wait"], 10);
  EXPECT_EQ(d["left"], 10);
  EXPECT_FALSE(d.contains("severity"));
  // Which of them is a second old the kernel measures by timestamps of its own.
  EXPECT_TRUE(eventually([&] { return b.connect(b.tcp(), "127.0.0.1", service).ok(); }));
  set_sysctl("ipv4/tcp_tw_reuse", "0");
  ASSERT_TRUE(eventually([&] {
    d = destination("127.0.0.1:9000");
    return !d.contains("time_wait_reusable");
  }));
  EXPECT_EQ(d["left"], 0);
  EXPECT_EQ(connects_left(), 0);
}

} // namespace
} // namespace bindlens::test
