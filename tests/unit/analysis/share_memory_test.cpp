// Which counts are compared when members come and go.

#include "group_scene.h"

#include <gtest/gtest.h>

namespace bindlens::analysis {
namespace {

using namespace bindlens::test;
using model::Measure;
using Counts = std::vector<std::optional<uint64_t>>;

void accept_more(model::ReuseportMember& m, uint64_t n) {
  *m.counters.accepted += n;
  *m.counters.queued += n;
}

TEST(ShareMemory, TakesTheCountersAsTheyAreOfMembersThatJoinedTogether) {
  ShareMemory memory;
  const auto w = memory.observe(group_of({listener(1, 10), listener(2, 12)}), noon);
  EXPECT_EQ(w.counts, (Counts{10, 12}));
  EXPECT_EQ(w.since, noon - 100 * second);
  EXPECT_TRUE(w.from_start);
}

TEST(ShareMemory, TakesWorkersThatStartOneAfterAnotherAsStartedTogether) {
  auto later = listener(2, 12);
  later.counters.since += second / 100;
  ShareMemory memory;
  const auto w = memory.observe(group_of({listener(1, 10), later}), noon);
  EXPECT_TRUE(w.from_start);
  EXPECT_EQ(w.since, later.counters.since);
}

TEST(ShareMemory, LeavesOutWhatCameBeforeTheLastOneJoined) {
  ShareMemory memory;
  auto g = group_of({listener(1, 1000), listener(2, 1000)});
  memory.observe(g, noon);
  auto late = listener(3, 0);
  late.counters.since = noon + second;
  g.members.push_back(late);
  memory.observe(g, noon + second);
  for (auto& m : g.members)
    accept_more(m, 100);
  const auto w = memory.observe(g, noon + 10 * second);
  EXPECT_EQ(w.counts, (Counts{100, 100, 100}));
  EXPECT_EQ(w.since, noon + second);
  EXPECT_FALSE(w.from_start);
}

// At first sight nothing is known about the time before; the older members have been
// together all the time.
TEST(ShareMemory, ComparesTheOlderMembersUntilTheNewOneHasEnough) {
  auto late = listener(3, 5);
  late.counters.since = noon - second;
  ShareMemory memory;
  auto g = group_of({listener(1, 1000), listener(2, 1100), late});
  EXPECT_EQ(memory.observe(g, noon).counts, (Counts{1000, 1100, std::nullopt}));
  for (auto& m : g.members)
    accept_more(m, 100);
  EXPECT_EQ(memory.observe(g, noon + second).counts, (Counts{100, 100, 100}));
}

TEST(ShareMemory, GoesOnWhenAMemberLeaves) {
  ShareMemory memory;
  auto g = group_of({listener(1, 1000), listener(2, 1000), listener(3, 1000)});
  memory.observe(g, noon);
  g.members.erase(g.members.begin());
  EXPECT_EQ(memory.observe(g, noon + second).counts, (Counts{1000, 1000}));
}

TEST(ShareMemory, StartsAgainWhenAProgramIsAttached) {
  ShareMemory memory;
  auto g = group_of({listener(1, 1000), listener(2, 1000)});
  memory.observe(g, noon);
  g.steering = model::Steering::ebpf;
  g.program_id = 12;
  memory.observe(g, noon + second);
  accept_more(g.members[0], 100);
  EXPECT_EQ(memory.observe(g, noon + 2 * second).counts, (Counts{100, 0}));
}

TEST(ShareMemory, TellsAnotherSocketAtTheSameAddress) {
  ShareMemory memory;
  auto g = group_of({listener(1, 1000), listener(2, 1000)});
  memory.observe(g, noon);
  g.members[1].counters.since = noon + second;
  g.members[1].counters.queued = g.members[1].counters.accepted = 1;
  accept_more(g.members[0], 2);
  memory.observe(g, noon + second);
  for (auto& m : g.members)
    accept_more(m, 200);
  EXPECT_EQ(memory.observe(g, noon + 2 * second).counts, (Counts{200, 200}));
}

TEST(ShareMemory, TakesSelectionsBeforeQueuesBeforeAccepts) {
  auto g = group_of({listener(1, 10), listener(2, 10)});
  EXPECT_EQ(ShareMemory().observe(g, noon).measure, Measure::queued);
  g.members[0].counters.selected = 11;
  EXPECT_EQ(ShareMemory().observe(g, noon).measure, Measure::queued); // not of both
  g.members[1].counters.selected = 12;
  EXPECT_EQ(ShareMemory().observe(g, noon).measure, Measure::selected);
  for (auto& m : g.members)
    m.counters.selected = m.counters.queued = std::nullopt;
  g.members[1].socket.backlog = 7; // the kernel gave it these as well
  const auto w = ShareMemory().observe(g, noon);
  EXPECT_EQ(w.measure, Measure::accepted);
  EXPECT_EQ(w.counts, (Counts{10, 17}));
  for (auto& m : g.members)
    m.counters.accepted = std::nullopt;
  EXPECT_EQ(ShareMemory().observe(g, noon).measure, Measure::none);
}

TEST(ShareMemory, CountsDroppedDatagramsForTheMemberThatTheyWereMeantFor) {
  auto g = group_of({receiver(1, 10), receiver(2, 4)});
  g.members[1].counters.drops = 6;
  EXPECT_EQ(ShareMemory().observe(g, noon).counts, (Counts{10, 10}));
}

TEST(ShareMemory, RemembersSinceWhenSomethingWaits) {
  ShareMemory memory;
  auto g = group_of({listener(1, 10), listener(2, 10)});
  g.members[1].socket.backlog = 3;
  EXPECT_EQ(memory.observe(g, noon).waiting_since[1], noon);
  EXPECT_EQ(memory.observe(g, noon + second).waiting_since[1], noon);
  accept_more(g.members[1], 1); // it took one
  EXPECT_EQ(memory.observe(g, noon + 2 * second).waiting_since[1], noon + 2 * second);
  g.members[1].socket.backlog = 0;
  EXPECT_EQ(memory.observe(g, noon + 3 * second).waiting_since[1], 0u);
  EXPECT_EQ(memory.observe(g, noon).waiting_since[0], 0u);
}

TEST(ShareMemory, ForgetsGroupsThatAreGone) {
  ShareMemory memory;
  memory.observe(group_of({listener(1, 1)}), noon);
  memory.forget_before(noon);
  EXPECT_EQ(memory.size(), 1u);
  memory.forget_before(noon + 1);
  EXPECT_EQ(memory.size(), 0u);
}

} // namespace
} // namespace bindlens::analysis
