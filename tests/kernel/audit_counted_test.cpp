// Findings about what is counted and seen over time, with real processes: one
// arrangement that is it, and one that nearly is and must not be told.

#include "hashed_group.h"
#include "timewait_scenario.h"

namespace bindlens::test {
namespace {

constexpr uint16_t port = 8080;

// --- members of reuseport groups ---------------------------------------------

class AuditShares : public AuditScenario {
 protected:
  Actor worker = a.fork(); // of one program with `a`
  HashedGroup group{a, worker, b, port};
  // Far beyond chance: fair members do so once in 2^59 times.
  static constexpr int many = 60;

  Json counted() {
    return daemon().one("/v1/reuseport?" + netns.query() + "&port=" + std::to_string(port));
  }
  // Counting begins here for the daemon, whenever it has looked at the group before.
  void begin() { (void)counted(); }
  bool is_counted(const std::string& figure) {
    return counted().at("members").at(0).contains(figure);
  }
};

TEST_F(AuditShares, ReuseportSkew) {
  begin();
  if (!counted().contains("counted_by")) {
    group.connect_to(0, many);
    EXPECT_TRUE(found("reuseport-skew").empty());
    GTEST_SKIP() << "not counted in this tier, and status says so";
  }
  group.connect_to(0, 5);
  group.connect_to(1, 1);
  EXPECT_TRUE(found("reuseport-skew").empty()) << "chance does that";
  group.connect_to(0, many);
  ASSERT_TRUE(told_soon("reuseport-skew"));
  const Json f = one("reuseport-skew", "warning");
  EXPECT_EQ(f.value("key", ""), "reuseport-skew - tcp 8080 kt-a");
  EXPECT_EQ(f.value("port", 0), port);
  ASSERT_EQ(f["sockets"].size(), 2u);
  EXPECT_EQ(f["sockets"][0]["holders"][0]["pid"], a.pid()) << "that is off most";
  EXPECT_EQ(f["sockets"][1]["holders"][0]["pid"], worker.pid());
  EXPECT_TRUE(f.value("summary", "").starts_with(named("kt-a", a.pid()) + " gets "));
  EXPECT_TRUE(f.value("summary", "")
                  .ends_with(" % of the new connections of tcp 127.0.0.1:8080 "
                             "instead of 50 %"))
      << f.dump(1);
  EXPECT_TRUE(says(f, named("kt-a", worker.pid()) + " ")) << f.dump(1);
  EXPECT_TRUE(says(f, "connect from many ports")) << f.dump(1);
  group.connect_to(1, many + 4); // as many for the other one
  EXPECT_TRUE(gone_soon("reuseport-skew")) << counted().dump(1);
}

TEST_F(AuditShares, EquallyManyForEachAreNoSkew) {
  begin();
  for (int i = 0; i < many; ++i) {
    group.connect_to(0);
    group.connect_to(1);
  }
  expect_none();
}

// Its queue is not full, and nobody accepts.
TEST_F(AuditShares, ReuseportStalledMember) {
  if (!is_counted("accepted")) GTEST_SKIP() << "not counted in this tier, and status says so";
  group.leave_waiting(0);
  EXPECT_TRUE(found("reuseport-stalled-member").empty()) << "it has come just now";
  ASSERT_TRUE(told_soon("reuseport-stalled-member"));
  const Json f = one("reuseport-stalled-member", "warning");
  ASSERT_EQ(f["sockets"].size(), 1u);
  EXPECT_EQ(f["sockets"][0]["holders"][0]["pid"], a.pid()) << f.dump(1);
  EXPECT_TRUE(says(f, named("kt-a", a.pid()) + " has not accepted")) << f.dump(1);
  EXPECT_TRUE(found("reuseport-skew").empty()) << "of one group, one of the two";
  group.accept_all(0);
  EXPECT_TRUE(gone_soon("reuseport-stalled-member")) << "it accepts again";
}

TEST_F(AuditShares, MemberWithAFullQueueIsStalled) {
  ASSERT_TRUE(a.listen(group.listener(0), 1).ok()); // a shorter queue
  const auto connect_many = [&] {
    for (int i = 0; i < 32; ++i)
      (void)b.connect(b.open(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "127.0.0.1", port);
  };
  connect_many();
  const auto stalls = [&] {
    group.accept_all(1);
    return !found("reuseport-stalled-member").empty();
  };
  ASSERT_TRUE(eventually(stalls));
  const Json f = one("reuseport-stalled-member", "warning");
  ASSERT_EQ(f["sockets"].size(), 1u);
  EXPECT_EQ(f["sockets"][0]["holders"][0]["pid"], a.pid()) << f.dump(1);
  EXPECT_TRUE(says(f, "accept queue is full")) << f.dump(1);
  EXPECT_TRUE(eventually([&] {
    group.accept_all(0); // clients that were refused ask again
    return !stalls();
  }));
}

TEST_F(AuditShares, QueuesThatAreAcceptedFromAreNotStalled) {
  for (int i = 0; i < 20; ++i) {
    const auto member = static_cast<size_t>(i % 2);
    const int client = group.leave_waiting(member);
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    b.close(client); // first, by a reset: no TIME_WAIT is left to be reused
    group.accept_all(member);
    expect_none();
  }
}

// --- TIME_WAIT that is reused --------------------------------------------------

class AuditReuse : public TimeWaitScenario {};

TEST_F(AuditReuse, BindOverTimeWait) {
  const int first = server(service);
  for (int i = 0; i < 3; ++i)
    connection(first, First::server, 0);
  EXPECT_TRUE(found("time-wait-reuse").empty()) << "nothing is reused yet";
  a.close(first);
  const int again = server(service);
  ASSERT_TRUE(told_soon("time-wait-reuse"));
  const Json f = one("time-wait-reuse", "info");
  EXPECT_EQ(f.value("key", ""), "time-wait-reuse - tcp 9000 kt-a");
  EXPECT_TRUE(says(f, "tcp 127.0.0.1:9000 was bound by " + named("kt-a", a.pid()) +
                          " over 3 TIME_WAIT sockets"))
      << f.dump(1);
  a.close(again); // nobody has taken the place any more
  EXPECT_TRUE(found("time-wait-reuse").empty());
}

TEST_F(AuditReuse, BindOverNoTimeWaitIsNone) {
  const int first = server(service);
  connection(first, First::server, 0);
  a.close(first);
  server(service, "127.0.0.2"); // beside it
  server(service + 1);
  expect_none();
}

TEST_F(AuditReuse, RestartAfterTheClientsHaveClosedIsNone) {
  const int first = server(service);
  for (int i = 0; i < 3; ++i)
    connection(first, First::client, 0);
  a.close(first);
  server(service);
  expect_none();
}

TEST_F(AuditReuse, ConnectThatTakesOver) {
  ASSERT_TRUE(sees("timewait-connect"));
  const int listener = server(service);
  connection(listener, First::client, client_port);
  let_a_second_pass();
  EXPECT_TRUE(found("time-wait-reuse").empty()) << "nothing is reused yet";
  connection(listener, First::client, client_port);
  ASSERT_TRUE(told_soon("time-wait-reuse"));
  const Json f = one("time-wait-reuse", "info");
  EXPECT_EQ(f.value("key", ""), "time-wait-reuse - tcp to 127.0.0.1:9000 kt-b");
  EXPECT_TRUE(says(f, "1 connect of " + named("kt-b", b.pid()) +
                          " to 127.0.0.1:9000 took over TIME_WAIT sockets"))
      << f.dump(1);
}

TEST_F(AuditReuse, ConnectFromOtherPortsIsNone) {
  const int listener = server(service);
  for (uint16_t i = 0; i < 5; ++i)
    connection(listener, First::client, static_cast<uint16_t>(client_port + i));
  let_a_second_pass();
  connection(listener, First::client, client_port + 5);
  connection(listener, First::client, 0);
  expect_none();
}

TEST_F(AuditReuse, SynWithTimeStamps) {
  revive_by_syn();
  if (!sees("timewait-syn")) {
    expect_none();
    GTEST_SKIP() << "not seen in this tier, and status says so";
  }
  ASSERT_TRUE(told_soon("time-wait-reuse"));
  const Json f = one("time-wait-reuse", "info");
  EXPECT_TRUE(says(f, "was given 1 new connection in the place of TIME_WAIT sockets")) << f.dump(1);
  EXPECT_TRUE(says(f, "came from 127.0.0.1:5000")) << f.dump(1);
}

// A higher sequence number is all that tells the new connection from the old one.
TEST_F(AuditReuse, SynWithoutTimeStampsIsAWarning) {
  set_sysctl("ipv4/tcp_timestamps", "0");
  revive_by_syn();
  if (!sees("timewait-syn")) {
    expect_none();
    GTEST_SKIP() << "not seen in this tier, and status says so";
  }
  ASSERT_TRUE(told_soon("time-wait-reuse"));
  const Json f = one("time-wait-reuse", "warning");
  EXPECT_TRUE(says(f, "had no TCP time stamps")) << f.dump(1);
  EXPECT_TRUE(says(f, "leave net.ipv4.tcp_timestamps on")) << f.dump(1);
}

} // namespace
} // namespace bindlens::test
