// Verdicts and causes.

#include "group_scene.h"

#include <gtest/gtest.h>

namespace bindlens::analysis {
namespace {

using namespace bindlens::test;
using model::Cause;
using model::Verdict;
using testing::Test;

bool says(const model::Distribution& d, std::string_view text) {
  return d.explanation.find(text) != std::string::npos;
}

TEST(Judge, CallsEqualSharesEven) {
  const auto d = judged(group_of({listener(1, 2510), listener(2, 2490), listener(3, 2500)}));
  EXPECT_EQ(d.verdict, Verdict::even);
  EXPECT_EQ(d.cause, Cause::none);
  EXPECT_EQ(d.total, 7500u);
  EXPECT_NEAR(*d.skew, 1.004, 1e-9);
  EXPECT_NEAR(*d.p_value, 0.96, 0.01);
  EXPECT_NEAR(*d.members[0].share, 2510.0 / 7500, 1e-12);
  EXPECT_NEAR(*d.members[0].expected, 1.0 / 3, 1e-12);
  EXPECT_TRUE(says(d, "7,500 connections in 100 s")) << d.explanation;
}

TEST(Judge, CallsFewSamplesUnevenByChance) {
  const auto d = judged(group_of({listener(1, 7), listener(2, 2), listener(3, 4)}));
  EXPECT_EQ(d.verdict, Verdict::uneven_by_chance);
  EXPECT_TRUE(says(d, "chance")) << d.explanation;
}

TEST(Judge, CallsASmallDifferenceEvenHoweverSureItIs) {
  const auto d = judged(group_of({listener(1, 10'500'000), listener(2, 10'000'000)}));
  EXPECT_LT(*d.p_value, 1e-9);
  EXPECT_EQ(d.verdict, Verdict::even);
}

TEST(Judge, FindsSkew) {
  const auto d = judged(group_of({listener(1, 4000), listener(2, 1000), listener(3, 1000)}));
  EXPECT_EQ(d.verdict, Verdict::skewed);
  EXPECT_EQ(d.cause, Cause::none); // the counters do not say why
  EXPECT_NEAR(*d.skew, 2, 1e-9);
  EXPECT_TRUE(says(d, "nginx[1] gets 2 times its part")) << d.explanation;
  ASSERT_FALSE(d.advice.empty());
  EXPECT_TRUE(d.advice[0].starts_with("let clients, and load balancers before them, connect from "
                                      "many ports"))
      << d.advice[0];
}

TEST(Judge, WeighsWithoutWords) {
  const auto g = group_of({listener(1, 4000), listener(2, 1000), listener(3, 1000)});
  ShareMemory memory;
  const auto w = memory.observe(g, noon);
  const auto d = weigh(g, w, {.now = noon});
  const auto all = judge(g, w, {.now = noon});
  EXPECT_EQ(d.verdict, all.verdict);
  EXPECT_EQ(d.p_value, all.p_value);
  EXPECT_EQ(d.members.size(), all.members.size());
  EXPECT_EQ(d.explanation, "");
  EXPECT_TRUE(d.advice.empty());
}

TEST(Judge, DemandsMoreOfEachOfManyGroups) {
  const auto g = group_of({listener(1, 98), listener(2, 40), listener(3, 40)});
  ShareMemory memory;
  const auto w = memory.observe(g, noon);
  EXPECT_EQ(judge(g, w, {.now = noon, .groups = 1}).verdict, Verdict::skewed);
  EXPECT_EQ(judge(g, w, {.now = noon, .groups = 10'000}).verdict, Verdict::uneven_by_chance);
}

TEST(Judge, NamesASlowMemberAsTheCauseOfSkew) {
  auto g = group_of({listener(1, 4000), listener(2, 1000), listener(3, 4000)});
  g.members[1].counters.drops = 300;
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::skewed);
  EXPECT_EQ(d.cause, Cause::slow_process);
  EXPECT_TRUE(says(d, "nginx[2] was too slow for a while")) << d.explanation;
}

TEST(Judge, SaysThatDatagramsOfFewFlowsLookTheSame) {
  const auto d = judged(group_of({receiver(1, 200'000), receiver(2, 0), receiver(3, 0)}));
  EXPECT_EQ(d.verdict, Verdict::skewed);
  EXPECT_EQ(d.cause, Cause::few_flows);
  EXPECT_TRUE(says(d, "a few busy clients look the same")) << d.explanation;
  ASSERT_FALSE(d.advice.empty());
  EXPECT_EQ(d.advice[0], "let busy clients send from several ports");
}

TEST(Judge, FindsAMemberThatHangs) {
  auto g = group_of({listener(1, 2500), listener(2, 2200), listener(3, 2480), listener(4, 2520)});
  hang(g.members[1], noon - 9 * second);
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::stalled);
  EXPECT_EQ(d.cause, Cause::hung_process);
  EXPECT_TRUE(d.members[1].stalled);
  EXPECT_FALSE(d.members[0].stalled);
  EXPECT_EQ(d.members[1].stalled_since, noon - 9 * second);
  EXPECT_TRUE(says(d, "nginx[2] has not accepted for 9 s, and its accept queue is full: 25 % of "
                      "new clients wait and time out."))
      << d.explanation;
  EXPECT_GT(*d.p_value, 0.5); // of the three others
  ASSERT_FALSE(d.advice.empty());
  EXPECT_EQ(d.advice[0], "restart nginx[2]");
}

TEST(Judge, FindsItWithoutTheTimesOfTheBetterHooks) {
  auto g = group_of({listener(1, 2500), listener(2, 2200)});
  hang(g.members[1], 0);
  g.members[1].counters.last_accept = g.members[1].counters.queue_full_since = std::nullopt;
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::stalled);
  EXPECT_EQ(d.cause, Cause::slow_process); // a look is not enough to say that it hangs
}

TEST(Judge, TakesABurstForNothing) {
  auto g = group_of({listener(1, 2500), listener(2, 2500)});
  hang(g.members[1], noon - burst / 2);
  EXPECT_EQ(judged(g).verdict, Verdict::even);
  g.members[1].counters.queue_full_since = noon - burst;
  EXPECT_EQ(judged(g).verdict, Verdict::stalled);
}

TEST(Judge, TakesAQueueThatIsLongButNotFullForNothing) {
  auto g = group_of({listener(1, 2500), listener(2, 2500)});
  g.members[1].socket.backlog = g.members[1].socket.max_backlog;
  EXPECT_EQ(judged(g).verdict, Verdict::even);
}

TEST(Judge, TellsASlowMemberFromOneThatHangs) {
  auto g = group_of({listener(1, 2500), listener(2, 2500)});
  hang(g.members[1], noon - 9 * second);
  g.members[1].counters.last_accept = noon - second / 100;
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::stalled);
  EXPECT_EQ(d.cause, Cause::slow_process);
  EXPECT_TRUE(says(d, "nginx[2] is too slow")) << d.explanation;
}

TEST(Judge, FindsAMemberThatLeavesConnectionsWaitingInAQueueThatIsNotFull) {
  auto g = group_of({listener(1, 2500), listener(2, 2500)});
  g.members[1].socket.backlog = 1;
  g.members[1].counters.last_accept = noon - second;
  ShareMemory memory;
  auto w = memory.observe(g, noon);
  EXPECT_EQ(judge(g, w, {.now = noon}).verdict, Verdict::even);
  w = memory.observe(g, noon + patience);
  const auto d = judge(g, w, {.now = noon + patience});
  EXPECT_EQ(d.verdict, Verdict::stalled);
  EXPECT_EQ(d.cause, Cause::hung_process);
  EXPECT_TRUE(says(d, "has not accepted for 3 s: 50 %")) << d.explanation;
}

TEST(Judge, TellsOverloadOfAllFromTheTroubleOfOne) {
  auto g = group_of({listener(1, 2500), listener(2, 2500)});
  for (auto& m : g.members) {
    hang(m, noon - 9 * second);
    m.counters.last_accept = noon;
  }
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::stalled);
  EXPECT_EQ(d.cause, Cause::overload);
}

TEST(Judge, FindsAReceiverThatDoesNotRead) {
  auto g = group_of({receiver(1, 5000), receiver(2, 4000)});
  g.members[1].receive_queue = g.members[1].receive_buffer;
  EXPECT_EQ(judged(g).verdict, Verdict::skewed); // full, but nothing has been lost yet
  g.members[1].counters.drops = 900;
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::stalled);
  EXPECT_TRUE(says(d, "50 % of clients get no answer")) << d.explanation;
}

TEST(Judge, ReportsAProgramAsSteeringAndNotAsChance) {
  auto g = group_of({listener(1, 5000), listener(2, 0), listener(3, 0)});
  g.steering = model::Steering::ebpf;
  g.program = "to_first";
  g.program_id = 42;
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::steered);
  EXPECT_EQ(d.cause, Cause::program_never_selects);
  EXPECT_FALSE(d.p_value);
  EXPECT_FALSE(d.members[0].expected);
  EXPECT_DOUBLE_EQ(*d.skew, 3);
  EXPECT_TRUE(says(d, "to_first")) << d.explanation;
  EXPECT_TRUE(says(d, "never selected nginx[2] and nginx[3]")) << d.explanation;
}

TEST(Judge, DoesNotSayNeverAfterAFewSamples) {
  auto g = group_of({listener(1, 12), listener(2, 0)});
  g.steering = model::Steering::cbpf;
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::steered);
  EXPECT_EQ(d.cause, Cause::program);
}

TEST(Judge, ExpectsNothingWhereProcessorsDecide) {
  auto g = group_of({listener(1, 5000), listener(2, 10)});
  g.members[0].incoming_cpu = 0;
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::steered);
  EXPECT_EQ(d.cause, Cause::cpu_pinning);
}

// As measured on Linux 5.10 to 6.12: 206 / 0 / 394 of 600 with the second one connected.
TEST(Judge, KnowsWhereThePartOfAConnectedReceiverGoes) {
  auto g = group_of({receiver(1, 206), receiver(2, 0), receiver(3, 394)});
  g.members[1].socket.flags.set(model::SocketFlag::connected);
  const auto d = judged(g);
  EXPECT_NEAR(*d.members[0].expected, 1.0 / 3, 1e-12);
  EXPECT_NEAR(*d.members[2].expected, 2.0 / 3, 1e-12);
  EXPECT_FALSE(d.members[1].expected);
  EXPECT_EQ(d.verdict, Verdict::even);
  EXPECT_EQ(d.cause, Cause::connected_member);
}

TEST(Judge, GoesAroundTheEndOfTheGroup) {
  auto g = group_of({receiver(1, 0), receiver(2, 0), receiver(3, 0), receiver(4, 0)});
  g.members[3].socket.flags.set(model::SocketFlag::connected);
  g.members[0].socket.flags.set(model::SocketFlag::connected);
  EXPECT_EQ(expected_shares(g), (std::vector<double>{0, 0.75, 0.25, 0}));
  for (auto& m : g.members)
    m.socket.flags.set(model::SocketFlag::connected);
  EXPECT_TRUE(expected_shares(g).empty());
}

TEST(Judge, SaysWhoIsNotComparedYet) {
  auto late = listener(3, 0);
  late.counters.since = noon - second;
  const auto d = judged(group_of({listener(1, 1000), listener(2, 1000), late}));
  EXPECT_EQ(d.verdict, Verdict::even);
  EXPECT_EQ(d.cause, Cause::joined_late);
  EXPECT_FALSE(d.members[2].share);
  EXPECT_NEAR(*d.members[0].expected, 0.5, 1e-12);
  EXPECT_TRUE(says(d, "nginx[3] joined later")) << d.explanation;
}

TEST(Judge, IsIdleWithoutSamples) {
  const auto d = judged(group_of({listener(1, 0), listener(2, 0)}));
  EXPECT_EQ(d.verdict, Verdict::idle);
  EXPECT_FALSE(d.skew);
  EXPECT_FALSE(d.p_value);
}

TEST(Judge, SaysNothingOfWhatIsNotCounted) {
  auto g = group_of({listener(1, 0), listener(2, 0)});
  for (auto& m : g.members)
    m.counters = {};
  const auto d = judged(g);
  EXPECT_EQ(d.verdict, Verdict::unknown);
  EXPECT_FALSE(d.members[0].share);
  hang(g.members[1], noon - 9 * second);
  EXPECT_EQ(judged(g).verdict, Verdict::stalled); // that can be seen without counters
}

TEST(Judge, NamesDescriptorsWhereOneProcessHasSeveralMembers) {
  auto g = group_of({listener(1, 4000), listener(2, 1000)});
  g.members[1].holders = {{worker(1), 7}};
  EXPECT_TRUE(says(judged(g), "nginx[1] fd 6 gets")) << judged(g).explanation;
}

TEST(Judge, PutsTheWorstFirst) {
  std::vector<model::JudgedGroup> groups(3);
  groups[0].group.local.port = 1;
  groups[0].distribution.verdict = Verdict::even;
  groups[1].group.local.port = 3;
  groups[1].distribution.verdict = Verdict::stalled;
  groups[2].group.local.port = 2;
  groups[2].distribution.verdict = Verdict::stalled;
  put_worst_first(groups);
  EXPECT_EQ(groups[0].group.local.port, 2);
  EXPECT_EQ(groups[1].group.local.port, 3);
  EXPECT_EQ(groups[2].group.local.port, 1);
}

} // namespace
} // namespace bindlens::analysis
