#include "world.h"

#include <bindlens/rules/check.h>

namespace bindlens::rules::test {
namespace {

CheckQuestion question(const ask& a, Profile p = Profile::linux_now) {
  CheckQuestion q;
  q.request = a.request();
  q.profile = p;
  return q;
}

std::string problem(const CheckQuestion& q) {
  const auto p = find_problem(q, known_host());
  return p ? p->field : "";
}

CheckAnswer answered(const CheckQuestion& q, const model::PortView& view = {},
                     const HostFacts& f = known_host()) {
  return answer(q, view, f, {}, {}, {});
}

TEST(Check, ImpossibleQuestionsNameTheField) {
  EXPECT_EQ(problem(question(ask("0.0.0.0:80"))), "");
  auto q = question(ask("0.0.0.0:80"));
  q.v6only = true;
  EXPECT_EQ(problem(q), "v6only");
  q = question(ask("0.0.0.0:80").dev(77));
  EXPECT_EQ(problem(q), "dev");
  q = question(ask("0.0.0.0:80"));
  q.dev = "wlan9"; // the name was not found
  EXPECT_EQ(problem(q), "dev");
  EXPECT_NE(find_problem(q, known_host())->text.find("wlan9"), std::string::npos);
  EXPECT_EQ(problem(question(ask("0.0.0.0:80").reuseport(), Profile::linux_pre_3_9)), "reuseport");
  EXPECT_EQ(problem(question(ask("0.0.0.0:80").udp().then_listen())), "listen");
}

TEST(Check, V6onlyComesFromTheSysctlUnlessItIsGiven) {
  const auto view = view_of({holds("0.0.0.0:8080").listening()});
  EXPECT_FALSE(answered(question(ask("[::]:8080")), view).would_succeed);
  HostFacts f = known_host();
  f.bindv6only = true;
  EXPECT_TRUE(answered(question(ask("[::]:8080")), view, f).would_succeed);
  auto q = question(ask("[::]:8080"));
  q.v6only = false;
  EXPECT_FALSE(answered(q, view, f).would_succeed);
}

TEST(Check, ARefusalComesWithEverything) {
  const auto view = view_of({holds("127.0.0.1:8080").listening()});
  const auto resolve = [](model::Blocker& b) { b.bound_at = 42; };
  const auto a = answer(question(ask("0.0.0.0:8080")), view, known_host(), {}, resolve, {});
  EXPECT_FALSE(a.would_succeed);
  EXPECT_EQ(a.error, EADDRINUSE);
  EXPECT_EQ(a.rule, Rule::listener);
  ASSERT_EQ(a.holders.size(), 1u);
  EXPECT_EQ(a.holders[0].bound_at, 42u);
  EXPECT_EQ(a.holders[0].relation, Relation::requester_is_wildcard);
  EXPECT_FALSE(a.explanation.empty());
  EXPECT_FALSE(a.minimal_change.empty());
  EXPECT_FALSE(a.advice.empty());
}

TEST(Check, TransparentNeedsAPrivilegeOfItsOwn) {
  const auto q = question(ask("192.0.2.1:8080").with(SocketFlag::transparent));
  EXPECT_EQ(answered(q).error, EPERM);
  EXPECT_FALSE(answered(q).explanation.empty());
  HostFacts f = known_host();
  f.cap_net_admin_or_raw = true;
  EXPECT_TRUE(answered(q, {}, f).would_succeed);
  f.cap_net_admin_or_raw.reset();
  EXPECT_EQ(answered(q, {}, f).unknown.size(), 1u);
}

TEST(Check, OtherSystemsHaveOtherAnswersAndNoChanges) {
  const auto view = view_of({holds("0.0.0.0:8080")});
  const auto q = question(ask("127.0.0.1:8080").reuseaddr(), Profile::macos);
  EXPECT_TRUE(answered(q, view).would_succeed);
  const auto refused = answered(question(ask("0.0.0.0:8080"), Profile::macos), view);
  EXPECT_FALSE(refused.would_succeed);
  EXPECT_TRUE(refused.minimal_change.empty());
}

TEST(Check, SuccessSaysWhy) {
  EXPECT_EQ(answered(question(ask("127.0.0.1:8080"))).explanation, "Nobody holds the port.");
}

} // namespace
} // namespace bindlens::rules::test
