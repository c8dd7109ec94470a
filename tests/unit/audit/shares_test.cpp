// What was counted of reuseport groups, as findings.

#include "scene.h"

namespace bindlens::audit::test {
namespace {

using model::Cause;
using model::Verdict;

holds member(const char* at) {
  return holds(at).listening().reuseaddr().reuseport().uid(33).with(SocketFlag::has_group);
}
holds receiver(const char* at) {
  return member(at).state(model::State::bound).udp();
}
model::Process worker(uint32_t pid) {
  return process(pid, "nginx", "nginx.service");
}

// The group of all sockets of a port, judged.
model::JudgedGroup& judged(Scene& scene, uint16_t port, Verdict verdict,
                           const std::vector<double>& shares = {}) {
  model::JudgedGroup& g = scene.groups.emplace_back();
  g.distribution.verdict = verdict;
  g.distribution.explanation = "As it was judged.";
  g.distribution.advice = {"as it was advised"};
  const auto& sockets = scene.bucket(port).sockets;
  for (size_t i = 0; i < sockets.size(); ++i) {
    g.group.members.emplace_back().socket = sockets[i];
    model::MemberShare& m = g.distribution.members.emplace_back();
    if (i >= shares.size()) continue;
    m.share = shares[i];
    m.expected = 1.0 / static_cast<double>(shares.size());
  }
  return g;
}

Scene three_workers() {
  Scene scene;
  for (const uint32_t pid : {11, 12, 13})
    scene.add(member("0.0.0.0:80"), {worker(pid)});
  return scene;
}

TEST(Skew, NamesTheMemberThatIsOffMost) {
  Scene scene = three_workers();
  judged(scene, 80, Verdict::skewed, {0.4, 0.002, 0.598});
  ASSERT_EQ(scene.told(), Strings{"warning reuseport-skew 80"});
  const model::Finding f = scene.run()[0];
  EXPECT_EQ(f.summary, "nginx[12] (nginx.service) gets 0 % of the new connections of tcp "
                       "0.0.0.0:80 instead of 33 %");
  EXPECT_EQ(f.detail, "As it was judged. Shares: nginx[12] (nginx.service) 0 % instead of 33 %, "
                      "nginx[13] (nginx.service) 60 % instead of 33 %, nginx[11] (nginx.service) "
                      "40 % instead of 33 %.");
  EXPECT_EQ(f.advice, Strings{"as it was advised"});
  EXPECT_EQ(f.subject, "tcp 80 nginx");
  ASSERT_EQ(f.sockets.size(), 3u);
  EXPECT_EQ(f.sockets[0].holders[0].process->pid, 12u);
}

TEST(Skew, MembersOfOneProcessHaveTheirDescriptors) {
  Scene scene;
  for (int fd = 5; fd < 11; ++fd)
    scene.add(member("0.0.0.0:80"), {worker(11)}).holders[0].fd = fd;
  judged(scene, 80, Verdict::skewed, {0.5, 0.1, 0.1, 0.1, 0.1, 0.1});
  const model::Finding f = scene.run().at(0);
  EXPECT_TRUE(f.summary.starts_with("nginx[11] (nginx.service) fd 5 gets 50 %")) << f.summary;
  EXPECT_TRUE(f.detail.ends_with(", and 2 more.")) << f.detail;
}

TEST(Skew, IsWhatWasJudgedToBeIt) {
  for (const Verdict v : {Verdict::unknown, Verdict::idle, Verdict::even, Verdict::uneven_by_chance,
                          Verdict::steered, Verdict::stalled}) {
    Scene scene = three_workers();
    judged(scene, 80, v, {0.8, 0.1, 0.1});
    EXPECT_EQ(scene.told(), Strings{}) << to_string(v);
  }
}

TEST(Skew, OfDatagramsMayBeAFewBusyClients) {
  Scene scene;
  for (const uint32_t pid : {11, 12})
    scene.add(receiver("0.0.0.0:443"), {worker(pid)});
  auto& g = judged(scene, 443, Verdict::skewed, {0.9, 0.1});
  g.distribution.cause = Cause::few_flows;
  EXPECT_EQ(scene.told(), Strings{"info reuseport-skew 443"});
  EXPECT_TRUE(scene.run()[0].summary.ends_with("90 % of the datagrams of udp 0.0.0.0:443 instead "
                                               "of 50 %"))
      << scene.run()[0].summary;
}

// Between the reading of the counters and the walk.
TEST(Skew, OfMembersThatLeftMeanwhileIsNoFinding) {
  Scene scene = three_workers();
  judged(scene, 80, Verdict::skewed, {0.8, 0.1, 0.1});
  scene.bucket(80).sockets.resize(2);
  EXPECT_EQ(scene.run().at(0).sockets.size(), 2u);
  scene.bucket(80).sockets.clear();
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Stalled, GoesByWhatWasJudged) {
  Scene scene = three_workers();
  auto& g = judged(scene, 80, Verdict::stalled, {0.3, 0.4, 0.3});
  g.distribution.members[1].stalled = true;
  ASSERT_EQ(scene.told(), Strings{"warning reuseport-stalled-member 80"}) << "and no skew";
  const model::Finding f = scene.run()[0];
  EXPECT_EQ(f.summary, "1 of 3 members of the reuseport group of tcp 0.0.0.0:80 leave their "
                       "clients waiting: nginx[12] (nginx.service)");
  EXPECT_EQ(f.detail, "As it was judged. The hash goes on sending them their share, whatever "
                      "their queue.");
  EXPECT_EQ(f.advice, Strings{"as it was advised"});
  ASSERT_EQ(f.sockets.size(), 1u);
}

TEST(Stalled, ABurstOfAGroupThatIsCountedIsNoFinding) {
  Scene scene = three_workers();
  scene.bucket(80).sockets[1].backlog = 11;
  scene.bucket(80).sockets[1].max_backlog = 10;
  EXPECT_EQ(scene.told(), Strings{"warning reuseport-stalled-member 80"}) << "nobody has counted";
  judged(scene, 80, Verdict::even, {0.3, 0.3, 0.4});
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Stalled, AllMembersAreAGroupThatIsOverloaded) {
  Scene scene = three_workers();
  for (auto& m : judged(scene, 80, Verdict::stalled).distribution.members)
    m.stalled = true;
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Stalled, ReceiversOfDatagramsToo) {
  Scene scene;
  for (const uint32_t pid : {11, 12})
    scene.add(receiver("0.0.0.0:443"), {worker(pid)});
  judged(scene, 443, Verdict::stalled).distribution.members[0].stalled = true;
  EXPECT_EQ(scene.told(), Strings{"warning reuseport-stalled-member 443"});
}

} // namespace
} // namespace bindlens::audit::test
