#include "world.h"

namespace bindlens::rules::test {
namespace {

Verdict explained(const ask& a, int error, std::initializer_list<holds> holders = {},
                  const HostFacts& f = known_host()) {
  return explain_failure(a.request(), error, view_of(holders), f, {});
}

TEST(Failure, TheRuleIsTheEnginesWhereItAgrees) {
  const auto view = view_of({holds("127.0.0.1:8080").listening()});
  const auto v = explain_failure(ask("0.0.0.0:8080").request(), EADDRINUSE, view, known_host(), {});
  EXPECT_EQ(v.rule, Rule::listener);
  EXPECT_TRUE(v.reproduced);
  EXPECT_EQ(v.blockers.size(), 1u);
}

TEST(Failure, ARaceNamesNobody) {
  const auto v = explained(ask("0.0.0.0:8080"), EADDRINUSE, {holds("127.0.0.1:9090")});
  EXPECT_EQ(v.error, EADDRINUSE);
  EXPECT_EQ(v.rule, Rule::none);
  EXPECT_FALSE(v.reproduced);
  EXPECT_TRUE(v.blockers.empty());
}

TEST(Failure, TheErrnoProvesThatTheChecksWerePassed) {
  // The address is gone by now, and the caller has dropped its privilege.
  const auto v = explained(ask("192.0.2.1:80"), EADDRINUSE, {holds("0.0.0.0:80").listening()});
  EXPECT_EQ(v.rule, Rule::listener);
  EXPECT_TRUE(v.reproduced);
}

TEST(Failure, ListenLeavesItsOwnRowOut) {
  const auto a = ask("0.0.0.0:8080").reuseaddr().to_listen().self(7);
  const auto mine = holds("0.0.0.0:8080").reuseaddr().id(7);
  const auto view = view_of({mine, holds("127.0.0.1:8080").reuseaddr().listening().id(8)});
  const auto v = explain_failure(a.request(), EADDRINUSE, view, known_host(), {});
  ASSERT_EQ(v.blockers.size(), 1u);
  EXPECT_EQ(v.blockers[0].socket->id, 8u);
}

TEST(Failure, RefusedAccess) {
  HostFacts capable = known_host();
  capable.cap_net_bind_service = true;
  EXPECT_EQ(explained(ask("127.0.0.1:80"), EACCES).rule, Rule::privileged_port);
  EXPECT_EQ(explained(ask("127.0.0.1:8080"), EACCES).rule, Rule::policy);
  EXPECT_EQ(explained(ask("127.0.0.1:80"), EACCES, {}, capable).rule, Rule::policy);
  EXPECT_EQ(explained(ask("127.0.0.1:8080"), EPERM).rule, Rule::policy);
}

TEST(Failure, RulesThatAnErrnoNamesByItself) {
  EXPECT_EQ(explained(ask("192.0.2.1:8080"), EADDRNOTAVAIL).rule, Rule::address_not_local);
  EXPECT_EQ(explained(ask("127.0.0.1:8080"), EADDRNOTAVAIL).rule, Rule::address_not_local);
  EXPECT_EQ(explained(ask("127.0.0.1:8080").has_port(), EINVAL).rule, Rule::already_bound);
  EXPECT_EQ(explained(ask("127.0.0.1:8080"), EINVAL).rule, Rule::invalid_argument);
  EXPECT_EQ(explained(ask("127.0.0.1:8080"), EFAULT).rule, Rule::invalid_argument);
  EXPECT_EQ(explained(ask("0.0.0.0:0").udp().to_autobind(), EAGAIN).rule,
            Rule::ephemeral_exhausted);
  EXPECT_EQ(explained(ask("0.0.0.0:0"), EADDRINUSE).rule, Rule::ephemeral_exhausted);
  EXPECT_EQ(explained(ask("10.0.0.5:0").to_connect("10.0.0.9:80"), EADDRNOTAVAIL).rule,
            Rule::ephemeral_exhausted);
  EXPECT_EQ(explained(ask("10.0.0.5:8080").to_connect("10.0.0.9:80"), EADDRNOTAVAIL).rule,
            Rule::tuple_in_use);
  EXPECT_EQ(explained(ask("[::]:0").to_connect("[fd00::9]:80"), EADDRNOTAVAIL).rule, Rule::none)
      << "there may have been no address to connect from";
  EXPECT_EQ(explained(ask("127.0.0.1:8080"), ENOMEM).rule, Rule::none);
}

HostFacts range(uint16_t first, uint16_t last) {
  HostFacts f = known_host();
  f.local_port_range = PortRange{first, last};
  return f;
}

// What is open beforehand is settled by the refusal.
TEST(Failure, TheRefusalProvesThatTimeWaitDidNotGiveWay) {
  const auto tw = [](const char* at) { return holds(at).connected("10.0.0.9:80").time_wait(); };
  const auto bound = explained(ask("10.0.0.5:8080").to_connect("10.0.0.9:80"), EADDRNOTAVAIL,
                               {tw("10.0.0.5:8080")});
  EXPECT_EQ(bound.rule, Rule::tuple_in_use);
  EXPECT_TRUE(bound.reproduced);
  EXPECT_EQ(bound.blockers.size(), 1u);

  auto view = view_of({tw("10.0.0.5:40000"), tw("10.0.0.5:40001")});
  for (auto& b : view.buckets)
    b.fastreuse = b.fastreuseport = -1;
  const auto a = ask("10.0.0.5:0").to_connect("10.0.0.9:80");
  const auto v = explain_failure(a.request(), EADDRNOTAVAIL, view, range(40000, 40001), {});
  EXPECT_TRUE(v.reproduced);
  EXPECT_EQ(v.search.range, 2u);
  EXPECT_EQ(v.search.taken, 2u);
  EXPECT_EQ(v.search.bound, 0u);
}

TEST(Failure, TheRefusalProvesThatTheOddPortWasNotVisited) {
  const auto v = explained(ask("0.0.0.0:0"), EADDRINUSE,
                           {holds("0.0.0.0:40000"), holds("0.0.0.0:40001"), holds("0.0.0.0:40002"),
                            holds("0.0.0.0:40003")},
                           range(40000, 40004));
  EXPECT_TRUE(v.reproduced);
  EXPECT_EQ(v.search.taken, 4u);
  EXPECT_EQ(v.search.passed_over, 1u);
}

TEST(Failure, TheVerdictAlwaysCarriesTheErrno) {
  for (const int e : {EPERM, EACCES, EADDRINUSE, EADDRNOTAVAIL, EINVAL, EAGAIN, ENODEV, ENOMEM})
    EXPECT_EQ(explained(ask("127.0.0.1:80"), e, {holds("[::]:80").listening()}).error, e);
}

} // namespace
} // namespace bindlens::rules::test
