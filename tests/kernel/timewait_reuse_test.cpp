// TIME_WAIT that is reused, on purpose and not at all.

#include "own_tuples.h"
#include "timewait_scenario.h"

namespace bindlens::test {
namespace {

class TimeWaitReuse : public TimeWaitScenario {
 protected:
  std::vector<Json> reuses(const std::string& state = {}) {
    auto all = events("&type=timewait-reuse");
    if (!state.empty())
      std::erase_if(all, [&](const Json& e) { return e.value("state", "") != state; });
    return all;
  }
};

TEST_F(TimeWaitReuse, BindOverTimeWaitIsFlaggedOnce) {
  for (const std::string address : {"127.0.0.1", "::1"}) {
    const int first = server(service, address);
    for (int i = 0; i < 3; ++i)
      connection(first, First::server, 0, address);
    a.close(first);
    const size_t before = reuses().size();
    a.close(server(service, address));
    std::vector<Json> told;
    EXPECT_TRUE(eventually([&] { return (told = reuses()).size() > before; })) << address;
    ASSERT_EQ(told.size(), before + 1) << address;
    EXPECT_EQ(told.back().value("state", ""), "BOUND");
    EXPECT_EQ(told.back().value("addr", ""), address);
    EXPECT_EQ(told.back().value("port", 0), service);
    EXPECT_EQ(told.back()["process"].value("pid", 0), a.pid()) << told.back().dump(1);
  }
}

TEST_F(TimeWaitReuse, BindOfAnotherAddressGoesOverNone) {
  const int first = server(service);
  connection(first, First::server, 0);
  a.close(first);
  a.close(server(service, "127.0.0.2"));
  EXPECT_TRUE(reuses().empty()) << reuses()[0].dump(1);
}

TEST_F(TimeWaitReuse, ConnectThatTakesOverIsFlaggedOnce) {
  ASSERT_TRUE(sees("timewait-connect"));
  for (const std::string address : {"127.0.0.1", "::1"}) {
    const int listener = server(service, address);
    connection(listener, First::client, client_port, address);
    let_a_second_pass();
    const size_t before = reuses("SYN_SENT").size();
    connection(listener, First::client, client_port, address);
    std::vector<Json> told;
    EXPECT_TRUE(eventually([&] { return (told = reuses("SYN_SENT")).size() > before; })) << address;
    ASSERT_EQ(told.size(), before + 1) << address;
    EXPECT_EQ(told.back().value("port", 0), client_port);
    EXPECT_EQ(told.back().value("addr", ""), address) << told.back().dump(1);
    EXPECT_EQ(told.back()["process"].value("pid", 0), b.pid()) << told.back().dump(1);
    a.close(listener);
  }
}

// A socket that is connected again keeps the time stamps of its last connection.
TEST_F(TimeWaitReuse, ConnectAgainOfTheSameSocketIsNone) {
  const int listener = server(service);
  const int fd = b.tcp();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(b.connect(fd, "127.0.0.1", service).ok());
    a.close(a.accept(listener).value);
    ASSERT_TRUE(b.disconnect(fd).ok());
  }
  // At the server's end one may be revived, when the kernel gives the same port again.
  for (const Json& r : reuses())
    EXPECT_NE(r["kind"], "connect") << r.dump(1);
}

TEST_F(TimeWaitReuse, SynThatRevivesOneIsFlaggedOnce) {
  revive_by_syn();
  if (!sees("timewait-syn")) {
    EXPECT_TRUE(reuses("TIME_WAIT").empty());
    GTEST_SKIP() << "not seen in this tier, and status says so";
  }
  std::vector<Json> told;
  EXPECT_TRUE(eventually([&] { return !(told = reuses("TIME_WAIT")).empty(); }));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].value("port", 0), service) << told[0].dump(1);
  EXPECT_EQ(told[0].value("peer", ""), "127.0.0.1:5000");
  EXPECT_FALSE(told[0].contains("process")) << "nobody's call";
}

// The SYN is one that may begin a connection, but nobody listens.
TEST_F(TimeWaitReuse, SynToAPortWithoutAListenerRevivesNone) {
  const int listener = server(service);
  connection(listener, First::server, client_port);
  a.close(listener);
  let_a_second_pass();
  set_sysctl("ipv4/tcp_syn_retries", "1"); // TIME_WAIT answers them, for a minute
  EXPECT_FALSE(b.connect(client("127.0.0.1", client_port), "127.0.0.1", service).ok());
  EXPECT_TRUE(reuses().empty()) << reuses()[0].dump(1);
}

TEST_F(TimeWaitReuse, ConnectionsThatReuseNothingAreNotFlagged) {
  const int count = in_vm() ? 1000 : 100'000;
  set_sysctl("ipv4/tcp_max_tw_buckets", std::to_string(2 * count));
  ASSERT_TRUE(make_time_wait(netns, service, count, Closes::in_turn));
  EXPECT_TRUE(reuses().empty()) << reuses()[0].dump(1);
}

} // namespace
} // namespace bindlens::test
