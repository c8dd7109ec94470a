// Events in, counters and rows out.

#include "scene.h"

#include "top/history.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bindlens::test {
namespace {

using top::Kind;
using top::Model;

constexpr size_t bind_meter = static_cast<size_t>(Kind::bind);
constexpr size_t fail_meter = static_cast<size_t>(Kind::fail);

TEST(History, CountsBySlot) {
  top::History<4> h;
  EXPECT_EQ(h.at(7), 0u);
  h.add(7);
  h.add(7, 2);
  h.add(9);
  EXPECT_EQ(h.at(7), 3u);
  EXPECT_EQ(h.at(8), 0u);
  EXPECT_EQ(h.at(9), 1u);
  EXPECT_EQ(h.sum_before(10, 3), 4u);
  EXPECT_EQ(h.sum_before(9, 1), 0u) << "the slot itself is not over yet";
}

TEST(History, ForgetsWhatIsOlderThanItsSlots) {
  top::History<4> h;
  h.add(7, 5);
  h.add(10);
  EXPECT_EQ(h.at(7), 5u);
  h.add(11);
  EXPECT_EQ(h.at(7), 0u);
  h.add(100);
  EXPECT_EQ(h.at(11), 0u);
  EXPECT_EQ(h.at(99), 0u) << "not what stood there before";
  EXPECT_EQ(h.at(100), 1u);
}

TEST(History, TakesWhatComesLate) {
  top::History<4> h;
  h.add(10);
  h.add(8, 3);
  EXPECT_EQ(h.at(8), 3u);
  EXPECT_EQ(h.at(10), 1u);
}

TEST(History, BeginsAgainWhenTheClockIsSetBack) {
  top::History<4> h;
  h.add(1000, 9);
  h.add(10, 2);
  EXPECT_EQ(h.at(10), 2u);
  EXPECT_EQ(h.at(1000), 0u);
}

TEST(Meters, ShowTheLastWholeSample) {
  Model m(second, now - 3 * second);
  for (int i = 0; i < 40; ++i)
    m.add(happening(Kind::bind, now - second));
  m.add(happening(Kind::bind, now));
  const auto s = m.snapshot(now);
  EXPECT_EQ(s.meters[bind_meter].per_second, 40);
  EXPECT_EQ(s.meters[bind_meter].history, (std::vector<uint64_t>{0, 0, 40}));
  EXPECT_EQ(m.snapshot(now + second).meters[bind_meter].per_second, 1);
  EXPECT_EQ(m.snapshot(now + 2 * second).meters[bind_meter].per_second, 0);
}

TEST(Meters, CountOverTheInterval) {
  constexpr protocol::WallNs sample = 5 * second;
  const protocol::WallNs begin = now / sample * sample;
  Model m(sample, begin);
  for (int i = 0; i < 10; ++i)
    m.add(happening(Kind::bind, begin + i * second / 2));
  EXPECT_EQ(m.snapshot(begin + sample).meters[bind_meter].per_second, 2);
}

TEST(Meters, KnowNothingOfTheTimeBeforeTheFirstEvent) {
  Model m(second, now);
  EXPECT_TRUE(m.snapshot(now).meters[bind_meter].history.empty());
  m.add(happening(Kind::listen, now - 7 * second)); // out of the daemon's memory
  EXPECT_EQ(m.snapshot(now).meters[bind_meter].history.size(), 7u);
}

TEST(Failures, AreOneRowByPortRuleAndProgram) {
  Model m(second, now);
  m.add(failing(failure(8080, now - 2 * second)));
  m.add(failing(failure(8080, now - second, "nginx", 4122)));
  m.add(failing(failure(8081, now)));
  m.add(failing(failure(8080, now, "apache")));
  auto other_rule = failure(8080);
  other_rule.rule = "time-wait";
  m.add(failing(other_rule));
  auto elsewhere = failure(8080);
  elsewhere.asked.netns = 2;
  m.add(failing(elsewhere));
  const auto s = m.snapshot(now);
  ASSERT_EQ(s.failures.size(), 5u);
  const auto row = std::ranges::find_if(s.failures, [](const auto& r) { return r.count == 2; });
  ASSERT_NE(row, s.failures.end());
  EXPECT_EQ(row->pids, 2u) << "started again";
  EXPECT_EQ(row->newest->process->pid, 4122u);
  EXPECT_EQ(row->first_time, now - 2 * second);
}

TEST(Failures, HaveTheMeanRateOfTenSeconds) {
  Model m(second, now);
  for (int i = 1; i <= 5; ++i)
    m.add(failing(failure(80, now - i * second)));
  EXPECT_EQ(m.snapshot(now).failures[0].per_second, 0.5);
  EXPECT_EQ(m.snapshot(now + 20 * second).failures[0].per_second, 0);
}

TEST(Failures, OfThePastAreCountedOnce) {
  Model m(second, now);
  auto folded = failure(80, now - 10 * second);
  folded.count = 6;
  folded.first_time = now - 60 * second;
  m.set_past_failures({folded, failure(81, now - 20 * second)}, now);
  m.add(failing(failure(80, now - 10 * second))); // again, from the event stream
  m.add(failing(failure(80, now + second)));
  const auto s = m.snapshot(now + 2 * second);
  ASSERT_EQ(s.failures.size(), 2u);
  const auto& row = s.failures[s.failures[0].newest->asked.port == 80 ? 0 : 1];
  EXPECT_EQ(row.count, 7u);
  EXPECT_EQ(row.first_time, now - 60 * second);
  EXPECT_EQ(s.meters[fail_meter].per_second, 1);
}

TEST(Processes, AreCountedByName) {
  Model m(second, now);
  m.add(happening(Kind::bind, now - second, 1, "sh"));
  m.add(happening(Kind::connect, now - second, 2, "sh"));
  m.add(happening(Kind::release, now - second, 3, "curl"));
  m.add(happening(Kind::release, now - second, 0, ""));
  const auto s = m.snapshot(now);
  ASSERT_EQ(s.processes.size(), 2u);
  const auto& sh = s.processes[s.processes[0].comm == "sh" ? 0 : 1];
  EXPECT_EQ(sh.pids, 2u);
  EXPECT_EQ(sh.pid, 2u);
  EXPECT_EQ(sh.per_second[static_cast<size_t>(Kind::connect)], 0.1);
}

TEST(Losses, AreCountedByPlace) {
  Model m(second, now);
  auto gap = happening(Kind::gap, now, 0, "");
  gap.lost = 5;
  m.add(gap);
  gap.by_reader = true;
  gap.lost = 7;
  m.add(gap);
  EXPECT_EQ(m.snapshot(now).lost, 5u);
  EXPECT_EQ(m.snapshot(now).lost_by_us, 7u);
}

TEST(Model, DoesNotGrowWithTheNumberOfRows) {
  Model m(second, now);
  for (uint32_t i = 1; i <= 5000; ++i) {
    const protocol::WallNs time = now + i * (second / 1000);
    m.add(failing(failure(static_cast<uint16_t>(i), time, "program" + std::to_string(i), i)));
  }
  const auto s = m.snapshot(now + 10 * second);
  EXPECT_LE(s.failures.size(), Model::most_rows);
  EXPECT_LE(s.processes.size(), Model::most_rows);
  EXPECT_GT(s.failures.size(), Model::most_rows / 2);
  EXPECT_EQ(s.failures.size() + s.failures_forgotten, 5000u);
  for (const auto& row : s.failures)
    EXPECT_GT(row.newest->asked.port, 4000) << "the oldest went";
}

} // namespace
} // namespace bindlens::test
