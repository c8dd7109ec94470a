// Matters of time: TIME_WAIT, and restarts that come milliseconds too early.

#include "scenario.h"

#include <thread>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 8080;
constexpr uint16_t service = 9000;

class ScenarioOfTime : public Scenario {
 protected:
  // `b` connects from `port` to a service of `a`, and closes first.
  void leave_time_wait_of_a_client() {
    const int server = listening(a, a.tcp(), "127.0.0.1", service);
    const int client = bound(b, b.tcp(), "127.0.0.1", port);
    ASSERT_TRUE(b.connect(client, "127.0.0.1", service).ok());
    const int accepted = a.accept(server).value;
    b.close(client);
    a.close(accepted);
    a.close(server);
  }

  // A server on `port` that closes a connection first, and ends.
  void leave_time_wait_of_a_server(bool reuseaddr) {
    const int server = a.tcp();
    a.reuseaddr(server, reuseaddr);
    listening(a, server, "127.0.0.1", port);
    const int client = b.tcp();
    ASSERT_TRUE(b.connect(client, "127.0.0.1", port).ok());
    a.close(a.accept(server).value);
    b.close(client);
    a.close(server);
  }

  // `b` has a listener that `a` bound, is refused its port for `fd`, and closes the
  // listener at once.
  Json bind_too_early(int fd) {
    const int made = listening(a, a.tcp(), "127.0.0.1", port);
    const int held = a.give(made, b);
    a.close(made);
    return refusal(b, port, EADDRINUSE,
                   [&] { return b.bind_then_close(fd, "127.0.0.1", port, held); });
  }

  void expect_time_wait(const Json& f) {
    expect_rule(f, "time-wait");
    ASSERT_EQ(f.value("holders", Json::array()).size(), 1u) << f.dump(1);
    const Json& blamed = f["holders"][0];
    EXPECT_EQ(blamed.value("state", ""), "TIME_WAIT");
    EXPECT_EQ(blamed.value("relation", ""), "same");
    const int left = blamed.value("timewait_left_ms", 0);
    EXPECT_GT(left, 0) << f.dump(1);
    EXPECT_LE(left, 60'000) << f.dump(1);
  }

  // The kernel says so of the socket bound to `port`.
  bool becomes(const std::string& state) {
    return eventually([&] {
      const auto all = sockets("&port=" + std::to_string(port));
      return std::any_of(all.begin(), all.end(), [&](const Json& s) {
        return s.value("port", 0) == port && s.value("state", "") == state;
      });
    });
  }

  // The "release" of a socket bound to `port`.
  Json release() {
    for (const Json& e : events("&port=" + std::to_string(port)))
      if (e["type"] == "release") return e;
    return {};
  }
};

TEST_F(ScenarioOfTime, TimeWaitOfAClientBlocksARestartWithReuseaddr) {
  add_address("10.9.8.7");
  leave_time_wait_of_a_client();
  const int fd = b.tcp();
  b.reuseaddr(fd);
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_time_wait(f);
  EXPECT_EQ(f["holders"][0].value("reuseaddr", true), false);
  EXPECT_EQ(f.value("reuseaddr", false), true);
  EXPECT_TRUE(explains(f, "setting it here, as was done, is not enough")) << f.dump(1);
  EXPECT_FALSE(advises(f, "set SO_REUSEADDR on this socket")) << f.dump(1);
  EXPECT_TRUE(advises(f, "s until TIME_WAIT is over")) << f.dump(1);
  expect_check_refuses(question("tcp", "127.0.0.1", port, {"reuseaddr"}), "time-wait");

  EXPECT_TRUE(advises(f, "bind 10.9.8.7:8080 instead")) << f.dump(1);
  expect_check_allows(question("tcp", "10.9.8.7", port, {"reuseaddr"}));
  EXPECT_TRUE(b.bind(fd, "10.9.8.7", port).ok());
}

TEST_F(ScenarioOfTime, ReuseaddrHelpsWhenTheClosedConnectionHadIt) {
  leave_time_wait_of_a_server(true);
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_time_wait(f);
  EXPECT_EQ(f["holders"][0].value("reuseaddr", false), true);
  EXPECT_TRUE(advises(f, "set SO_REUSEADDR on this socket before bind")) << f.dump(1);
  expect_check_refuses(question("tcp", "127.0.0.1", port), "time-wait");
  expect_check_allows(question("tcp", "127.0.0.1", port, {"reuseaddr", "listen"}));
  b.reuseaddr(fd);
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
  EXPECT_TRUE(b.listen(fd).ok());
}

TEST_F(ScenarioOfTime, ListenerNeedsReuseaddrBeforeItAccepts) {
  leave_time_wait_of_a_server(false);
  const int fd = b.tcp();
  b.reuseaddr(fd);
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_time_wait(f);
  EXPECT_TRUE(advises(f, "set SO_REUSEADDR on the listener before it accepts")) << f.dump(1);
  EXPECT_FALSE(advises(f, "set SO_REUSEADDR on this socket")) << f.dump(1);
}

// The minutes of a test are short: tcp_fin_timeout is what a half-closed
// connection waits, in the same kind of socket.
TEST_F(ScenarioOfTime, PortIsFreeWhenTheTimeLeftIsOver) {
  set_sysctl("ipv4/tcp_fin_timeout", "2");
  const int server = listening(a, a.tcp(), "127.0.0.1", service);
  const int client = bound(b, b.tcp(), "127.0.0.1", port);
  ASSERT_TRUE(b.connect(client, "127.0.0.1", service).ok());
  ASSERT_TRUE(a.accept(server).ok());
  b.close(client); // and the service does not answer
  ASSERT_TRUE(eventually(
      [&] { return check(question("tcp", "127.0.0.1", port)).value("rule", "") == "time-wait"; }));
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_rule(f, "time-wait");
  ASSERT_EQ(f.value("holders", Json::array()).size(), 1u) << f.dump(1);
  const int left = f["holders"][0].value("timewait_left_ms", 0);
  ASSERT_GT(left, 0) << f.dump(1);
  ASSERT_LE(left, 3000) << f.dump(1);
  EXPECT_TRUE(advises(f, "wait " + std::to_string((left + 999) / 1000) + " s")) << f.dump(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(left + 500));
  expect_check_allows(question("tcp", "127.0.0.1", port));
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
}

TEST_F(ScenarioOfTime, HolderThatClosedAtOnceAfterTheRefusalIsNamed) {
  const int fd = b.tcp();
  const Json f = bind_too_early(fd);
  expect_rule(f, "listener");
  ASSERT_EQ(f.value("holders", Json::array()).size(), 1u) << f.dump(1);
  const Json& blamed = f["holders"][0];
  EXPECT_EQ(blamed["binder"].value("pid", 0), a.pid()) << f.dump(1);
  EXPECT_EQ(blamed["binder"].value("comm", ""), "kt-a") << f.dump(1);
  EXPECT_LT(blamed.value("bound_at", "9"), f.value("time", "")) << f.dump(1);
  ASSERT_TRUE(eventually([&] { return failure(port)["holders"][0].contains("released_at"); }));
  EXPECT_GT(failure(port)["holders"][0]["released_at"], f["time"]);
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok()) << "the race is over";
}

TEST_F(ScenarioOfTime, EventsTellTheOrderOfARestartRace) {
  const int fd = b.tcp();
  const Json f = bind_too_early(fd);
  ASSERT_TRUE(eventually([&] { return !release().is_null(); }));
  EXPECT_GT(release().value("time", ""), f.value("time", "9"));
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
  Strings types;
  (void)eventually([&] {
    types.clear();
    for (const Json& e : events("&port=" + std::to_string(port)))
      types.push_back(e["type"]);
    return types.size() >= 5;
  });
  EXPECT_EQ(types, (Strings{"bind", "listen", "fail", "release", "bind"}));
}

// Half-closed for longer than TIME_WAIT lasts: no process has it any more, so
// that nobody could set an option on it.
TEST_F(ScenarioOfTime, NoOptionCanBeSetOnAConnectionThatWasClosed) {
  set_sysctl("ipv4/tcp_fin_timeout", "120");
  const int server = listening(a, a.tcp(), "127.0.0.1", service);
  const int client = bound(b, b.tcp(), "127.0.0.1", port);
  ASSERT_TRUE(b.connect(client, "127.0.0.1", service).ok());
  const int accepted = a.accept(server).value;
  b.close(client);
  ASSERT_TRUE(becomes("FIN_WAIT2"));
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  ASSERT_EQ(f.value("holders", Json::array()).size(), 1u) << f.dump(1);
  EXPECT_EQ(f["holders"][0].value("orphan", false), true) << f.dump(1);
  EXPECT_EQ(holders_of(f), Strings{}) << f.dump(1);
  EXPECT_TRUE(advises(f, "wait until the kernel has ended the connections")) << f.dump(1);
  EXPECT_FALSE(advises(f, "on the socket of ")) << "nobody has it open: " << f.dump(1);
  EXPECT_FALSE(explains(f, named("kt-b", b.pid()) + " holds")) << f.dump(1);
  EXPECT_TRUE(explains(f, "closed connection of " + named("kt-b", b.pid()) + " to 127.0.0.1:9000"))
      << f.dump(1);
  EXPECT_TRUE(explains(f, "FIN_WAIT2 until the other end closes it too")) << f.dump(1);
  EXPECT_TRUE(explains(f, "net.ipv4.tcp_fin_timeout is 120")) << f.dump(1);
  a.linger(accepted, 0); // a reset ends it
  a.close(accepted);
  EXPECT_TRUE(eventually([&] { return b.bind(fd, "127.0.0.1", port).ok(); }));
}

// `why` itself says that the port is free again, and since when.
TEST_F(ScenarioOfTime, WhyTellsWhenTheHolderClosedAfterwards) {
  const int held = listening(a, a.tcp(), "127.0.0.1", port);
  const int fd = b.tcp();
  (void)refused_bind(b, fd, "127.0.0.1", port);
  a.close(held);
  ASSERT_TRUE(eventually([&] { return !release().is_null(); }));
  const Json f = failure(port);
  EXPECT_EQ(f.value("holders", Json::array()).size(), 1u) << f.dump(1);
  EXPECT_NE(f.dump().find(release().value("time", "-")), std::string::npos)
      << "released at " << release().value("time", "-") << ": " << f.dump(1);
}

} // namespace
} // namespace bindlens::test
