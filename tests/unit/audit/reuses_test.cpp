// TIME_WAIT that was reused, as findings.

#include "scene.h"

namespace bindlens::audit::test {
namespace {

using model::ReuseKind;

const model::Process app = process(30, "app", "app.service");

holds listens(const char* at) {
  return holds(at).listening().reuseaddr().uid(0);
}

model::TimeWaitReuse reuse(ReuseKind kind, const model::Socket& s, MonoNs time) {
  model::TimeWaitReuse r;
  r.kind = kind;
  r.socket = s;
  r.time = time;
  if (kind != ReuseKind::syn) r.process = std::make_shared<const model::Process>(app);
  return r;
}
// The socket of it is not that of the walk: TIME_WAIT of that port, or a new connection.
model::TimeWaitReuse reuse(ReuseKind kind, const holds& h, MonoNs time) {
  model::TimeWaitReuse r = reuse(kind, h.socket(), time);
  r.socket.id = 9999;
  return r;
}
model::TimeWaitReuse syn(MonoNs time) {
  return reuse(ReuseKind::syn, holds("10.0.0.1:80").connected("10.0.0.9:5000").time_wait(), time);
}
model::TimeWaitReuse connect(const char* from, const char* to, MonoNs time) {
  return reuse(ReuseKind::connect, holds(from).connected(to), time);
}

Scene with_listener(MonoNs bound_at) {
  Scene scene;
  scene.add(listens("0.0.0.0:80"), {app}).bound_at = bound_at;
  return scene;
}

TEST(Reuses, BindOverTimeWait) {
  Scene scene = with_listener(900 * second);
  auto r = reuse(ReuseKind::bind, scene.bucket(80).sockets[0], 900 * second);
  r.sockets = 37;
  scene.reuses = {r};
  ASSERT_EQ(scene.told(), Strings{"info time-wait-reuse 80"});
  const model::Finding f = scene.run()[0];
  EXPECT_EQ(f.summary, "tcp 0.0.0.0:80 was bound by app[30] over 37 TIME_WAIT sockets");
  EXPECT_EQ(f.subject, "tcp 80 app");
  EXPECT_EQ(f.sockets.size(), 1u);
  EXPECT_FALSE(f.advice.empty());
}

// Its address has come again.
TEST(Reuses, ABindIsOfTheSocketThatWasBoundThen) {
  Scene scene = with_listener(950 * second);
  scene.reuses = {reuse(ReuseKind::bind, scene.bucket(80).sockets[0], 900 * second)};
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Reuses, SynOfAPeerWithTimeStampsIsHarmless) {
  Scene scene = with_listener(0);
  scene.reuses = {syn(950 * second), syn(940 * second)};
  ASSERT_EQ(scene.told(), Strings{"info time-wait-reuse 80"});
  const model::Finding f = scene.run()[0];
  EXPECT_EQ(f.summary, "tcp 0.0.0.0:80 of app[30] (app.service) was given 2 new connections in "
                       "the place of TIME_WAIT sockets");
  EXPECT_TRUE(f.detail.starts_with("The last SYN that ended one came from 10.0.0.9:5000. The old "
                                   "connections had TCP time stamps"))
      << f.detail;
}

TEST(Reuses, WithoutTimeStampsItIsAWarning) {
  Scene scene = with_listener(0);
  scene.reuses = {syn(950 * second), syn(940 * second)};
  scene.reuses[1].harmless = false;
  ASSERT_EQ(scene.told(), Strings{"warning time-wait-reuse 80"});
  const model::Finding f = scene.run()[0];
  EXPECT_NE(f.detail.find("1 of the old ones had no TCP time stamps"), std::string::npos)
      << f.detail;
  EXPECT_TRUE(f.advice[0].starts_with("leave net.ipv4.tcp_timestamps on")) << f.advice[0];
}

TEST(Reuses, ASynIsOfAListenerThatWasThereThen) {
  Scene scene = with_listener(960 * second);
  scene.reuses = {syn(950 * second)};
  EXPECT_EQ(scene.told(), Strings{});
  scene.add(listens("10.0.0.2:80"), {app}); // another address
  EXPECT_EQ(scene.told(), Strings{});
  scene.add(listens("10.0.0.1:80"), {app});
  EXPECT_EQ(scene.told(), Strings{"info time-wait-reuse 80"});
}

TEST(Reuses, BindAndSynOfOnePortAreOneFinding) {
  Scene scene = with_listener(900 * second);
  scene.reuses = {syn(950 * second),
                  reuse(ReuseKind::bind, scene.bucket(80).sockets[0], 900 * second)};
  scene.reuses[0].left_out = 7;
  ASSERT_EQ(scene.told(), Strings{"info time-wait-reuse 80"});
  EXPECT_EQ(scene.run()[0].summary,
            "tcp 0.0.0.0:80 was bound by app[30] over 1 TIME_WAIT socket, and given at least 1 "
            "new connection in the place of TIME_WAIT sockets");
}

TEST(Reuses, ConnectsAreToldByTheirDestination) {
  Scene scene;
  scene.add(holds("10.0.0.1:40001").connected("10.0.0.9:443"), {app});
  scene.add(holds("10.0.0.1:40002").connected("10.0.0.9:443").time_wait());
  scene.reuses = {connect("10.0.0.1:40001", "10.0.0.9:443", 990 * second),
                  connect("10.0.0.1:40002", "10.0.0.9:443", 980 * second),
                  connect("10.0.0.1:40002", "10.0.0.9:443", 970 * second)};
  ASSERT_EQ(scene.told(), Strings{"info time-wait-reuse 0"});
  const model::Finding f = scene.run()[0];
  EXPECT_EQ(f.summary, "3 connects of app[30] to 10.0.0.9:443 took over TIME_WAIT sockets");
  EXPECT_EQ(f.subject, "tcp to 10.0.0.9:443 app");
  EXPECT_EQ(f.sockets.size(), 2u);
  // Whether one of them is open now does not make it another finding.
  scene.bucket(40001).sockets.clear();
  EXPECT_EQ(scene.run().at(0).subject, f.subject);
}

TEST(Reuses, AConnectOfWhichNothingIsLeftIsNoFinding) {
  Scene scene;
  scene.add(holds("10.0.0.1:40001").connected("10.0.0.8:443"), {app}); // elsewhere
  scene.add(holds("10.0.0.2:40001").connected("10.0.0.9:443"), {app}); // from elsewhere
  scene.reuses = {connect("10.0.0.1:40001", "10.0.0.9:443", 990 * second)};
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Reuses, OfAnotherNamespaceIsNotToldHere) {
  Scene scene = with_listener(0);
  scene.reuses = {syn(950 * second)};
  scene.reuses[0].socket.netns += 1;
  EXPECT_EQ(scene.told(), Strings{});
}

} // namespace
} // namespace bindlens::audit::test
