// GET /v1/timewait against connections that the test itself has closed.

#include "own_tuples.h"
#include "scenario.h"

namespace bindlens::test {
namespace {

constexpr uint16_t service = 9000;

class TimeWaitView : public Scenario {
 protected:
  std::vector<Json> table(const std::string& more = "") {
    return daemon().lines("/v1/timewait?" + netns.query() + more);
  }
  // Without ports of which nothing is left but counts. Those may be of a namespace that
  // is gone: its number comes again.
  static std::vector<Json> held(std::vector<Json> rows) {
    std::erase_if(rows, [](const Json& row) { return row["count"] == 0; });
    return rows;
  }
  // Connections that the server closes first, from ports of their own.
  void serve(int count, bool reuseaddr, const std::string& address = "127.0.0.1") {
    const bool v6 = address.find(':') != std::string::npos;
    const int server = v6 ? a.tcp6() : a.tcp();
    a.reuseaddr(server, reuseaddr);
    listening(a, server, address, service);
    for (int i = 0; i < count; ++i) {
      const int client = v6 ? b.tcp6() : b.tcp();
      ASSERT_TRUE(b.connect(client, address, service).ok());
      a.close(a.accept(server).value);
      b.close(client);
    }
    a.close(server);
  }
  Json port(uint16_t number) {
    const auto all = table("&port=" + std::to_string(number));
    EXPECT_EQ(all.size(), 1u) << Json(all).dump(1);
    return all.empty() ? Json::object() : all[0];
  }
};

TEST_F(TimeWaitView, CountsOfAServerAndWhatTheyRemember) {
  serve(7, true);
  const Json t = port(service);
  EXPECT_EQ(t["count"], 7) << t.dump(1);
  EXPECT_EQ(t["fin_wait2"], 0);
  EXPECT_EQ(t["reuseaddr"], 7);
  EXPECT_EQ(t["addr"], "127.0.0.1");
  EXPECT_GT(t["last_left_ms"], 0);
  EXPECT_LE(t["last_left_ms"], 60'000);
  EXPECT_LE(t["next_left_ms"], t["last_left_ms"]);
  EXPECT_TRUE(t.contains("oldest"));
  ASSERT_EQ(t["owners"].size(), 1u) << t.dump(1);
  EXPECT_EQ(t["owners"][0]["pid"], a.pid());
  EXPECT_EQ(t["owners"][0]["count"], 7);
  // As it says: SO_REUSEADDR gets the port.
  EXPECT_FALSE(b.bind(b.tcp(), "127.0.0.1", service).ok());
  const int fd = b.tcp();
  b.reuseaddr(fd);
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", service).ok());
}

TEST_F(TimeWaitView, CountsOfTwoHundredThousand) {
  const int count = in_vm() ? 2000 : 200'000;
  set_sysctl("ipv4/tcp_max_tw_buckets", std::to_string(2 * count));
  ASSERT_TRUE(make_time_wait(netns, service, count, Closes::server));
  const Json t = port(service);
  EXPECT_EQ(t["count"], count) << t.dump(1);
  EXPECT_EQ(t["reuseaddr"], count);
}

TEST_F(TimeWaitView, ClosesWithLingerZeroAreCountedByPort) {
  // The number of a namespace comes again, and with it what was counted there.
  const auto counted = [&](uint16_t number) {
    const auto rows = table("&port=" + std::to_string(number));
    return rows.empty() ? 0 : rows.at(0)["linger_zero"].get<int>();
  };
  const uint16_t client_port = 5000;
  const int at_server = counted(service);
  const int at_client = counted(client_port);
  const int server = listening(a, a.tcp(), "127.0.0.1", service);
  const auto connected = [&](uint16_t from) {
    const int fd = from == 0 ? b.tcp() : bound(b, b.tcp(), "127.0.0.1", from);
    EXPECT_TRUE(b.connect(fd, "127.0.0.1", service).ok());
    return std::pair(fd, a.accept(server).value);
  };
  for (int i = 0; i < 3; ++i) {
    const auto [client, accepted] = connected(0);
    a.linger(accepted, 0);
    a.close(accepted);
    b.close(client);
  }
  {
    const auto [client, accepted] = connected(0);
    a.linger(accepted, 0);
    ASSERT_TRUE(b.send(client).ok()); // not read: a reset for two reasons
    a.close(accepted);
    b.close(client);
  }
  {
    const auto [client, accepted] = connected(client_port);
    b.linger(client, 0);
    b.close(client);
    a.close(accepted);
  }
  // And none of these.
  for (const int seconds : {-1, 5}) {
    const auto [client, accepted] = connected(0);
    if (seconds > 0) a.linger(accepted, seconds);
    b.close(client);
    a.close(accepted);
  }
  for (const int seconds : {-1, 5}) {
    const auto [client, accepted] = connected(0);
    if (seconds > 0) a.linger(accepted, seconds);
    ASSERT_TRUE(b.send(client).ok());
    a.close(accepted); // a reset, but not by SO_LINGER
    b.close(client);
  }
  {
    const auto [client, accepted] = connected(0);
    a.linger(accepted, 0);
    b.linger(client, 0);
    b.close(client); // the reset is the client's
    a.close(accepted);
  }
  EXPECT_EQ(counted(service) - at_server, 4);
  EXPECT_EQ(counted(client_port) - at_client, 1);
}

TEST_F(TimeWaitView, IPv6AndFilters) {
  serve(2, false, "::1");
  const Json t = port(service);
  EXPECT_EQ(t["count"], 2) << t.dump(1);
  EXPECT_EQ(t["addr"], "::1");
  EXPECT_EQ(t["reuseaddr"], 0);
  EXPECT_EQ(table("&addr=127.0.0.1").size(), 0u);
  EXPECT_EQ(table("&addr=::1").size(), 1u);
  EXPECT_EQ(table("&port=1").size(), 0u);
  EXPECT_EQ(table("&pid=" + std::to_string(a.pid())).size(), 1u);
  EXPECT_EQ(table("&limit=0").size(), 0u);
}

TEST_F(TimeWaitView, GreatestFirstAndNamespacesApart) {
  serve(3, true);
  const int other = listening(a, a.tcp(), "127.0.0.1", 9001);
  const int client = b.tcp();
  ASSERT_TRUE(b.connect(client, "127.0.0.1", 9001).ok());
  a.close(a.accept(other).value);
  b.close(client);
  const auto all = held(table());
  ASSERT_EQ(all.size(), 2u) << Json(all).dump(1);
  EXPECT_EQ(all[0]["port"], service);
  EXPECT_EQ(all[1]["port"], 9001);
  const Netns elsewhere;
  EXPECT_TRUE(held(daemon().lines("/v1/timewait?" + elsewhere.query())).empty());
}

} // namespace
} // namespace bindlens::test
