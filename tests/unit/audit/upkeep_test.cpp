// One audit after another: when, and what of it is told.

#include "scene.h"

#include <bindlens/audit/upkeep.h>

namespace bindlens::audit::test {
namespace {

using model::Finding;
using model::FindingId;
using model::Severity;

constexpr MonoNs ms = 1'000'000;

Turns audited(MonoNs at, const Turns::Outcome& outcome, MonoNs interval = 5 * second) {
  Turns turns(interval, 0);
  turns.begin();
  turns.end(at, outcome);
  return turns;
}

TEST(Turns, TheFirstIsOneIntervalAfterTheStart) {
  EXPECT_EQ(Turns(5 * second, 100 * second).due(), 105 * second);
}

TEST(Turns, ChangesAreLookedAtTogether) {
  Turns turns = audited(100 * second, {.cost = ms});
  EXPECT_TRUE(turns.note_change(110 * second));
  EXPECT_FALSE(turns.note_change(114 * second)) << "it is due already";
  EXPECT_EQ(turns.due(), 115 * second);
}

TEST(Turns, WithoutAChangeThereIsOneAMinute) {
  EXPECT_EQ(audited(100 * second, {.cost = ms}).due(), 160 * second);
}

TEST(Turns, AChangeDuringAnAuditIsForTheNext) {
  Turns turns(5 * second, 0);
  turns.begin();
  turns.note_change(7 * second);
  turns.end(8 * second, {.cost = ms});
  EXPECT_EQ(turns.due(), 12 * second);
}

TEST(Turns, TakeAHundredthOfTheTimeAtMost) {
  Turns turns = audited(100 * second, {.cost = 200 * ms});
  turns.note_change(100 * second);
  EXPECT_EQ(turns.due(), 100 * second + 99 * 200 * ms);
  // A simulated hour of constant change.
  MonoNs now = 0;
  MonoNs spent = 0;
  Turns busy(1 * second, now);
  while (now < 3600 * second) {
    now = busy.due();
    busy.begin();
    busy.note_change(now);
    const MonoNs cost = (1 + now % 7) * 40 * ms;
    now += cost;
    spent += cost;
    busy.end(now, {.cost = cost, .unsettled = true, .by_age = now});
  }
  EXPECT_LE(spent * Turns::most_share, busy.due());
  EXPECT_GE(spent * Turns::most_share * 2, now) << "and uses it";
}

TEST(Turns, WhatIsUnsettledIsLookedAtSoon) {
  EXPECT_EQ(audited(100 * second, {.cost = ms, .unsettled = true}).due(), 105 * second);
}

TEST(Turns, WhatBecomesAFindingByAgeIsLookedAtThen) {
  EXPECT_EQ(audited(100 * second, {.cost = ms, .by_age = 130 * second}).due(), 130 * second);
  EXPECT_EQ(audited(100 * second, {.cost = ms, .by_age = 101 * second}).due(), 105 * second);
  EXPECT_EQ(audited(100 * second, {.cost = ms, .by_age = 300 * second}).due(), 160 * second);
}

Finding finding(const std::string& subject, Severity severity = Severity::warning,
                FindingId id = FindingId::linger_zero) {
  Finding f;
  f.id = id;
  f.severity = severity;
  f.subject = subject;
  f.netns = 7;
  return f;
}

// "+ tcp 80 a", "- tcp 80 a"
Strings told(Known& known, std::vector<Finding> found) {
  Strings all;
  for (const Known::Change& c : known.take(std::move(found)))
    all.push_back((c.resolved ? "- " : "+ ") + c.finding->subject);
  return all;
}

TEST(Known, AFindingIsToldOnce) {
  Known known;
  EXPECT_EQ(told(known, {finding("tcp 80 a")}), Strings{"+ tcp 80 a"});
  EXPECT_EQ(told(known, {finding("tcp 80 a")}), Strings{});
  EXPECT_FALSE(known.unsettled());
  EXPECT_EQ(told(known, {finding("tcp 80 a"), finding("tcp 81 b")}), Strings{"+ tcp 81 b"});
  EXPECT_EQ(known.size(), 2u);
}

TEST(Known, GoneIsWhatTwoAuditsDidNotFind) {
  Known known;
  (void)known.take({finding("tcp 80 a")});
  EXPECT_EQ(told(known, {}), Strings{});
  EXPECT_TRUE(known.unsettled());
  EXPECT_EQ(told(known, {}), Strings{"- tcp 80 a"});
  EXPECT_FALSE(known.unsettled());
  EXPECT_EQ(known.size(), 0u);
  EXPECT_EQ(told(known, {finding("tcp 80 a")}), Strings{"+ tcp 80 a"}) << "new again";
}

TEST(Known, WhatComesAndGoesIsOneFinding) {
  Known known;
  (void)known.take({finding("tcp 80 a")});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(told(known, {}), Strings{});
    EXPECT_EQ(told(known, {finding("tcp 80 a")}), Strings{});
  }
  EXPECT_FALSE(known.unsettled());
}

TEST(Known, MoreSevereIsToldAgainAndLessIsNot) {
  Known known;
  (void)known.take({finding("tcp 80 a", Severity::warning)});
  EXPECT_EQ(told(known, {finding("tcp 80 a", Severity::critical)}), Strings{"+ tcp 80 a"});
  EXPECT_EQ(told(known, {finding("tcp 80 a", Severity::info)}), Strings{});
  EXPECT_EQ(told(known, {finding("tcp 80 a", Severity::critical)}), Strings{});
}

TEST(Known, FindingsDifferByIdNamespaceAndSubject) {
  Known known;
  Finding elsewhere = finding("tcp 80 a");
  elsewhere.netns = 8;
  const Finding other = finding("tcp 80 a", Severity::info, FindingId::bound_not_listening);
  EXPECT_EQ(known.take({finding("tcp 80 a"), elsewhere, other}).size(), 3u);
  EXPECT_EQ(known.take({finding("tcp 80 a"), elsewhere, other}).size(), 0u);
}

TEST(Known, TwoOfOneKeyAreTheMoreSevere) {
  Known known;
  const auto changes =
      known.take({finding("tcp 80 a", Severity::critical), finding("tcp 80 a", Severity::info)});
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].finding->severity, Severity::critical);
}

TEST(Known, ManyAtOnceAreToldInTurns) {
  std::vector<Finding> many;
  for (size_t i = 0; i < Known::most_told + 10; ++i)
    many.push_back(finding("tcp " + std::to_string(i) + " a"));
  Known known;
  EXPECT_EQ(known.take(many).size(), Known::most_told);
  EXPECT_TRUE(known.unsettled());
  EXPECT_EQ(known.take(many).size(), 10u);
  EXPECT_FALSE(known.unsettled());
  EXPECT_EQ(known.take(many).size(), 0u);
}

TEST(ByAge, IsWhenTheFirstIdleSocketWillBeAFinding) {
  const auto by_age = [](const Scene& scene) { return scene.by_age(); };
  Scene scene;
  const model::Process server = process(10, "server");
  scene.add(holds("0.0.0.0:8080").listening(), {server});
  EXPECT_EQ(by_age(scene), std::nullopt);
  scene.add(holds("0.0.0.0:8081"), {server}).bound_at = 990 * second;
  scene.add(holds("0.0.0.0:8082"), {server}).bound_at = 980 * second;
  scene.add(holds("0.0.0.0:8083"), {server}).bound_at = 900 * second;
  EXPECT_EQ(by_age(scene), 1040 * second);
  EXPECT_EQ(scene.told(), Strings{"warning bound-not-listening 8083"});
  scene.now = 1040 * second;
  EXPECT_EQ(scene.told().size(), 2u) << "and there it is";
}

} // namespace
} // namespace bindlens::audit::test
