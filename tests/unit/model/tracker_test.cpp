#include "records.h"
#include "worlds.h"

#include <bindlens/model/tracker.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

using test::SocketOf;

struct World {
  BindTable table;
  std::vector<Event> events;
  std::vector<RefusedCall> refused;
  Tracker tracker{table,
                  {[](const TaskInfo& t) { return test::process(t.pid, t.comm); },
                   [this](Event e) { events.push_back(std::move(e)); },
                   [this](RefusedCall r) { refused.push_back(std::move(r)); }}};

  template <typename Body>
  World& apply(Body body) {
    tracker.apply({0, 0, std::move(body)});
    return *this;
  }
};

CallRecord called(Call call, const Socket& s, MonoNs time = 100, uint32_t flags = 0) {
  CallRecord c;
  c.call = call;
  c.socket = s;
  c.time = time;
  c.flags = flags;
  c.task.pid = 5;
  c.task.comm = "nginx";
  return c;
}

CallRecord refused(uint64_t call_id, uint32_t flags) {
  CallRecord c = called(Call::bind, SocketOf(1, 0), 100, flags);
  c.call_id = call_id;
  c.ret = -EADDRINUSE;
  return c;
}

ReleaseRecord released(SocketId id, MonoNs time) {
  ReleaseRecord r;
  r.id = id;
  r.time = time;
  return r;
}

HolderRecord row(uint64_t call_id, const bl_row& r) {
  return {call_id, r};
}

TEST(Tracker, ABindIsAnEventAndAnEntry) {
  World w;
  w.apply(called(Call::bind, SocketOf(1)));
  ASSERT_EQ(w.events.size(), 1u);
  EXPECT_EQ(w.events[0].type, EventType::bind);
  EXPECT_EQ(w.events[0].bound_by, BoundBy::bind);
  EXPECT_EQ(w.events[0].time, 100u);
  EXPECT_EQ(w.events[0].socket.local.port, 8080u);
  EXPECT_EQ(w.events[0].process->comm, "nginx");
  ASSERT_NE(w.table.find(1), nullptr);
  EXPECT_EQ(w.table.find(1)->bound_by, BoundBy::bind);
  EXPECT_EQ(w.table.find(1)->binder->pid, 5u);
  EXPECT_TRUE(w.refused.empty());
}

TEST(Tracker, ABindWithoutANumberIsAutobind) {
  World w;
  w.apply(called(Call::bind, SocketOf(1).without(SocketFlag::port_locked)));
  EXPECT_EQ(w.table.find(1)->bound_by, BoundBy::autobind);
  EXPECT_EQ(w.events.at(0).bound_by, BoundBy::autobind);
}

TEST(Tracker, ABindThatTookNoPortIsNothing) {
  World w;
  w.apply(called(Call::bind, SocketOf(1, 0)));
  EXPECT_TRUE(w.events.empty());
  EXPECT_EQ(w.table.size(), 0u);
}

TEST(Tracker, AListenOnAnUnboundSocketAutobinds) {
  World w;
  w.apply(called(Call::listen, SocketOf(1).listening().without(SocketFlag::port_locked)));
  EXPECT_EQ(w.events.at(0).type, EventType::listen);
  EXPECT_EQ(w.events.at(0).bound_by, BoundBy::autobind);
  EXPECT_EQ(w.table.find(1)->binder->pid, 5u);
}

TEST(Tracker, AListenAfterABindKeepsTheBinder) {
  World w;
  w.apply(called(Call::bind, SocketOf(1)));
  auto listen = called(Call::listen, SocketOf(1).listening(), 110, BL_CF_WAS_BOUND);
  listen.task.pid = 6;
  w.apply(listen);
  EXPECT_EQ(w.events.at(1).bound_by, BoundBy::bind);
  EXPECT_EQ(w.events.at(1).process->pid, 6u);
  EXPECT_EQ(w.table.find(1)->binder->pid, 5u);
  EXPECT_EQ(w.table.find(1)->socket.state, State::listen);
}

TEST(Tracker, AListenOnASocketBoundBeforeTheStartTellsNothingAboutItsBinder) {
  World w;
  w.apply(called(Call::listen, SocketOf(1).listening(), 100, BL_CF_WAS_BOUND));
  EXPECT_EQ(w.table.find(1)->binder, nullptr);
  EXPECT_EQ(w.table.find(1)->bound_by, BoundBy::unknown);
  EXPECT_EQ(w.events.at(0).bound_by, BoundBy::unknown);
  EXPECT_EQ(w.events.at(0).process->pid, 5u) << "who listened is known";
}

TEST(Tracker, AConnectTakesAPort) {
  World w;
  w.apply(
      called(Call::connect, SocketOf(1).state(State::syn_sent).without(SocketFlag::port_locked)));
  EXPECT_EQ(w.events.at(0).type, EventType::connect);
  EXPECT_EQ(w.table.find(1)->bound_by, BoundBy::connect);
}

TEST(Tracker, AReleaseIsAnEventOfAKnownSocketOnly) {
  World w;
  w.apply(called(Call::bind, SocketOf(1))).apply(released(1, 120)).apply(released(2, 121));
  ASSERT_EQ(w.events.size(), 2u);
  EXPECT_EQ(w.events[1].type, EventType::release);
  EXPECT_EQ(w.events[1].time, 120u);
  EXPECT_EQ(w.events[1].socket.local.port, 8080u);
  EXPECT_EQ(w.events[1].bound_by, BoundBy::bind);
  EXPECT_EQ(w.table.size(), 0u);
}

TEST(Tracker, AReleaseOlderThanTheEntryIsNoEvent) {
  World w;
  w.apply(called(Call::bind, SocketOf(1), 100)).apply(released(1, 90));
  EXPECT_EQ(w.events.size(), 1u);
  EXPECT_EQ(w.table.size(), 1u);
}

TEST(Tracker, AReleaseOfAnUnknownSocketReachesAWalk) {
  World w;
  w.table.begin_walk(100);
  w.apply(released(1, 105));
  w.table.merge(std::vector{test::bucket_of({SocketOf(1).s})});
  EXPECT_EQ(w.table.size(), 0u);
}

TEST(Tracker, AListenerThatStopsKeepsItsPort) {
  World w;
  ReleaseRecord stop = released(1, 120);
  stop.stopped_listening = true;
  w.apply(called(Call::bind, SocketOf(1).listening())).apply(stop);
  EXPECT_EQ(w.table.find(1)->socket.state, State::bound);
  EXPECT_EQ(w.events.size(), 1u);
}

TEST(Tracker, ARefusedCallComesWithTheBucketAsItWas) {
  World w;
  w.apply(row(9, test::tcp_bucket_row(8080)))
      .apply(row(9, test::socket_row(7, 8080, test::host_netns, IPPROTO_TCP)))
      .apply(refused(9, BL_CF_HOLDERS));
  ASSERT_EQ(w.refused.size(), 1u);
  const RefusedCall& r = w.refused[0];
  EXPECT_TRUE(r.walked);
  EXPECT_TRUE(r.whole);
  EXPECT_EQ(r.call.ret, -EADDRINUSE);
  EXPECT_EQ(r.process->pid, 5u);
  ASSERT_EQ(r.view.buckets.size(), 1u);
  EXPECT_EQ(r.view.buckets[0].sockets.at(0).id, 7u);
  EXPECT_TRUE(w.events.empty()) << "the event is made when the failure is explained";
  EXPECT_EQ(w.table.size(), 0u);
}

// The release is told of when it begins.
TEST(Tracker, ASocketThatIsBeingClosedIsStillKnown) {
  for (const uint64_t cookie : {70u, 71u}) {
    World w;
    bl_row holder = test::socket_row(7, 8080, test::host_netns, IPPROTO_TCP);
    holder.sock.cookie = 70;
    w.apply(called(Call::bind, SocketOf(7).cookie(cookie)))
        .apply(released(7, 150))
        .apply(row(9, test::tcp_bucket_row(8080)))
        .apply(row(9, holder))
        .apply(refused(9, BL_CF_HOLDERS));
    ASSERT_EQ(w.refused.size(), 1u);
    EXPECT_EQ(w.refused[0].known.size(), cookie == 70 ? 1u : 0u) << "another with its address";
  }
}

// EINPROGRESS of a socket that does not block, or a host that does not answer.
TEST(Tracker, AConnectThatTookItsPortIsNotRefused) {
  for (const int error : {EINPROGRESS, EINTR, ENETUNREACH}) {
    World w;
    CallRecord c = called(Call::connect, SocketOf(1, 40000).peer(443));
    c.ret = -error;
    w.apply(std::move(c));
    EXPECT_TRUE(w.refused.empty());
    ASSERT_EQ(w.events.size(), 1u);
    EXPECT_EQ(w.events[0].type, EventType::connect);
    ASSERT_NE(w.table.find(1), nullptr);
    EXPECT_EQ(w.table.find(1)->bound_by, BoundBy::connect);
  }
}

TEST(Tracker, AConnectWithoutAPortIsRefused) {
  for (const int error : {EADDRNOTAVAIL, EADDRINUSE, EAGAIN}) {
    World w;
    CallRecord c = called(Call::connect, SocketOf(1, 0));
    c.ret = -error;
    w.apply(std::move(c));
    EXPECT_EQ(w.refused.size(), 1u) << error;
    EXPECT_TRUE(w.events.empty()) << error;
  }
}

TEST(Tracker, ARefusedCallWithoutAWalkSaysSo) {
  World w;
  w.apply(refused(0, 0));
  EXPECT_FALSE(w.refused.at(0).walked);
  EXPECT_FALSE(w.refused.at(0).whole);
}

TEST(Tracker, AWalkThatFoundNothingIsAWalk) {
  World w;
  w.apply(refused(9, BL_CF_HOLDERS));
  EXPECT_TRUE(w.refused.at(0).walked);
  EXPECT_TRUE(w.refused.at(0).whole);
  EXPECT_TRUE(w.refused.at(0).view.buckets.empty());
}

TEST(Tracker, AWalkCutShortOrTornIsNotWhole) {
  for (const uint32_t flag : {BL_CF_TRUNCATED, BL_CF_TORN}) {
    World w;
    w.apply(row(9, test::tcp_bucket_row(8080))).apply(refused(9, BL_CF_HOLDERS | flag));
    EXPECT_TRUE(w.refused.at(0).walked);
    EXPECT_FALSE(w.refused.at(0).whole);
    EXPECT_EQ(w.refused.at(0).view.truncated, flag == BL_CF_TRUNCATED);
    EXPECT_EQ(w.refused.at(0).view.torn, flag == BL_CF_TORN);
  }
}

TEST(Tracker, AWalkWhoseHeadWasLostIsNone) {
  World w;
  w.apply(row(9, test::socket_row())).apply(refused(9, BL_CF_HOLDERS));
  EXPECT_FALSE(w.refused.at(0).walked);
  EXPECT_FALSE(w.refused.at(0).whole);
}

TEST(Tracker, WalksOfSeveralCallsDoNotMix) {
  World w;
  w.apply(row(8, test::tcp_bucket_row(80)))
      .apply(row(9, test::tcp_bucket_row(90)))
      .apply(row(8, test::socket_row(1, 80, 5, IPPROTO_TCP)))
      .apply(row(9, test::socket_row(2, 90, 5, IPPROTO_TCP)))
      .apply(refused(9, BL_CF_HOLDERS))
      .apply(refused(8, BL_CF_HOLDERS));
  EXPECT_EQ(w.refused.at(0).view.buckets.at(0).port, 90u);
  EXPECT_EQ(w.refused.at(0).view.buckets.at(0).sockets.at(0).id, 2u);
  EXPECT_EQ(w.refused.at(1).view.buckets.at(0).port, 80u);
  EXPECT_EQ(w.refused.at(1).view.buckets.at(0).sockets.at(0).id, 1u);
}

TEST(Tracker, RowsAreUsedOnce) {
  World w;
  w.apply(row(9, test::tcp_bucket_row(80))).apply(refused(9, BL_CF_HOLDERS));
  w.apply(refused(9, BL_CF_HOLDERS));
  EXPECT_TRUE(w.refused.at(1).view.buckets.empty());
}

// Rows whose call was lost: the oldest of 1,024 go first, the others stay.
TEST(Tracker, RowsOfALostCallAreDroppedInTheEnd) {
  World w;
  for (uint64_t id = 1; id <= 1025; ++id)
    w.apply(row(id, test::tcp_bucket_row(80)));
  w.apply(refused(1, BL_CF_HOLDERS)).apply(refused(2, BL_CF_HOLDERS));
  EXPECT_TRUE(w.refused.at(0).view.buckets.empty());
  EXPECT_EQ(w.refused.at(1).view.buckets.size(), 1u);
}

TEST(Tracker, CallsThatCameMakeRoomForOthers) {
  World w;
  w.apply(row(1, test::tcp_bucket_row(80)));
  for (uint64_t id = 2; id <= 3000; ++id)
    w.apply(row(id, test::tcp_bucket_row(80))).apply(refused(id, BL_CF_HOLDERS));
  w.apply(refused(1, BL_CF_HOLDERS));
  EXPECT_EQ(w.refused.back().view.buckets.size(), 1u);
}

} // namespace
} // namespace bindlens::model
