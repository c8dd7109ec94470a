// A walk takes time, and events happen meanwhile: how the two come together.

#include "worlds.h"

#include <bindlens/model/table.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

using test::bucket_of;
using test::process;
using test::SocketOf;
using Report = BindTable::MergeReport;

// A table that a walk at time 100 is about to meet.
BindTable knowing(std::initializer_list<Socket> sockets, MonoNs time = 50) {
  BindTable t;
  for (const Socket& s : sockets)
    t.acquire(s, time, BoundBy::bind, process(5));
  t.begin_walk(100);
  return t;
}

Report merge(BindTable& t, std::initializer_list<Socket> walked, int8_t fastreuse = 0) {
  return t.merge(std::vector{bucket_of(walked, fastreuse)});
}

TEST(TableWalk, TornTakesNothingAway) {
  BindTable t;
  t.acquire(SocketOf(1, 80), 10, BoundBy::bind, nullptr);
  t.begin_walk(20);
  const auto report = t.merge(std::vector{bucket_of({SocketOf(2, 81)})}, true);
  EXPECT_TRUE(report.stale.empty());
  EXPECT_NE(t.find(1), nullptr);
  EXPECT_NE(t.find(2), nullptr);
}

TEST(TableWalk, FindsNothingInATableThatIsRight) {
  BindTable t = knowing({SocketOf(1, 80), SocketOf(2, 81).listening()});
  const Report r = merge(t, {SocketOf(1, 80), SocketOf(2, 81).listening()});
  EXPECT_EQ(r.differences(), 0u);
  EXPECT_EQ(r.reconstructed, 0u);
  EXPECT_EQ(t.size(), 2u);
  EXPECT_EQ(t.find(1)->binder->pid, 5u);
}

TEST(TableWalk, ReportsEachKindOfDifferenceAndPutsItRight) {
  BindTable t = knowing({SocketOf(1, 80), SocketOf(2, 81)});
  const Report r = merge(t, {SocketOf(2, 81).listening(), SocketOf(3, 82),
                             SocketOf(4, 83).proto(Proto::udp).without(SocketFlag::port_locked)});
  ASSERT_EQ(r.stale.size(), 1u);
  EXPECT_EQ(r.stale[0].id, 1u);
  ASSERT_EQ(r.changed.size(), 1u);
  EXPECT_EQ(r.changed[0].id, 2u);
  ASSERT_EQ(r.missing.size(), 1u);
  EXPECT_EQ(r.missing[0].id, 3u);
  EXPECT_EQ(r.reconstructed, 1u);
  EXPECT_EQ(r.differences(), 3u);
  EXPECT_EQ(t.find(1), nullptr);
  EXPECT_EQ(t.find(2)->socket.state, State::listen);
  EXPECT_EQ(t.size(), 3u);
  t.begin_walk(200);
  EXPECT_EQ(merge(t, {SocketOf(2, 81).listening(), SocketOf(3, 82),
                      SocketOf(4, 83).proto(Proto::udp).without(SocketFlag::port_locked)})
                .differences(),
            0u)
      << "a second walk finds what the first one left";
}

TEST(TableWalk, AConnectionIsNoChangeOfTheClaim) {
  BindTable t = knowing({SocketOf(1)});
  EXPECT_EQ(merge(t, {SocketOf(1).state(State::established).peer(443)}).differences(), 0u);
  EXPECT_EQ(t.find(1)->socket.peer.port, 443u) << "but the table shows it";
}

TEST(TableWalk, ARowReadBeforeAReleaseDoesNotComeBack) {
  BindTable t = knowing({SocketOf(1)});
  t.release(1, 105);
  EXPECT_EQ(merge(t, {SocketOf(1)}).differences(), 0u);
  EXPECT_EQ(t.find(1), nullptr);
}

TEST(TableWalk, ARowOfASocketThatLivedOnlyDuringTheWalkDoesNotComeBack) {
  BindTable t = knowing({});
  t.acquire(SocketOf(1), 103, BoundBy::bind, nullptr);
  t.release(1, 105);
  EXPECT_EQ(merge(t, {SocketOf(1)}).differences(), 0u);
  EXPECT_EQ(t.size(), 0u);
}

TEST(TableWalk, AReleaseOfAnUnknownSocketStillKeepsItsRowOut) {
  BindTable t = knowing({});
  EXPECT_FALSE(t.release(1, 105));
  EXPECT_EQ(merge(t, {SocketOf(1)}).missing.size(), 0u);
  EXPECT_EQ(t.size(), 0u);
}

TEST(TableWalk, ReleasesAreForgottenWithTheirWalk) {
  BindTable t = knowing({SocketOf(1)});
  t.release(1, 105);
  merge(t, {});
  t.begin_walk(200);
  EXPECT_EQ(merge(t, {SocketOf(1)}).missing.size(), 1u);
  EXPECT_EQ(t.size(), 1u);
}

TEST(TableWalk, ASocketAcquiredDuringTheWalkIsNotRemoved) {
  BindTable t = knowing({});
  t.acquire(SocketOf(1), 103, BoundBy::bind, process(6));
  EXPECT_EQ(merge(t, {}).differences(), 0u);
  EXPECT_EQ(t.find(1)->binder->pid, 6u);
}

TEST(TableWalk, ASocketAcquiredAgainDuringTheWalkStays) {
  BindTable t = knowing({SocketOf(1, 80)});
  t.release(1, 103);
  t.acquire(SocketOf(1, 81), 105, BoundBy::bind, process(6));
  EXPECT_EQ(merge(t, {SocketOf(1, 80)}).differences(), 0u) << "the row is the old one";
  ASSERT_NE(t.find(1), nullptr);
  EXPECT_EQ(t.find(1)->socket.local.port, 81u);
  EXPECT_EQ(t.find(1)->binder->pid, 6u);
}

TEST(TableWalk, AListenDuringTheWalkIsNotUndoneByTheRow) {
  BindTable t = knowing({SocketOf(1)});
  t.acquire(SocketOf(1).listening(), 104, BoundBy::unknown, nullptr);
  EXPECT_EQ(merge(t, {SocketOf(1)}).differences(), 0u);
  EXPECT_EQ(t.find(1)->socket.state, State::listen);
}

TEST(TableWalk, ARecordOlderThanTheRowDoesNotUndoIt) {
  BindTable t = knowing({});
  merge(t, {SocketOf(1).listening()});
  t.acquire(SocketOf(1), 90, BoundBy::bind, process(6));
  EXPECT_EQ(t.find(1)->socket.state, State::listen);
  EXPECT_EQ(t.find(1)->binder->pid, 6u) << "but tells who bound it";
  EXPECT_EQ(t.find(1)->bound_at, 90u);
  EXPECT_FALSE(t.release(1, 95));
  EXPECT_TRUE(t.release(1, 101));
}

TEST(TableWalk, ARecordOfAnOlderSocketDoesNotBecomeTheBinderOfTheRow) {
  BindTable t = knowing({});
  merge(t, {SocketOf(1, 80).cookie(8)});
  t.acquire(SocketOf(1, 80).cookie(7), 90, BoundBy::bind, process(6));
  EXPECT_EQ(t.find(1)->binder, nullptr);
  EXPECT_EQ(t.find(1)->socket.cookie, 8u);
  t.acquire(SocketOf(1, 80).cookie(8), 95, BoundBy::bind, process(9));
  EXPECT_EQ(t.find(1)->binder->pid, 9u);
}

TEST(TableWalk, AReusedAddressLosesItsOldBinder) {
  for (const Socket& s : {SocketOf(1, 81).s, SocketOf(1, 80).cookie(8).s}) {
    BindTable t = knowing({SocketOf(1, 80).cookie(7)});
    EXPECT_EQ(merge(t, {s}).changed.size(), 1u);
    EXPECT_EQ(t.find(1)->socket.local.port, s.local.port);
    EXPECT_EQ(t.find(1)->binder, nullptr);
    EXPECT_EQ(t.find(1)->bound_at, 0u);
    EXPECT_EQ(t.find(1)->bound_by, BoundBy::bind) << "as its flags tell";
    EXPECT_FALSE(t.release(1, 90)) << "the end of the socket that was here before";
  }
}

// Accepted sockets come from the same memory as listeners; they have no cookie.
TEST(TableWalk, AnAcceptedSocketAtAnOldAddressIsNotTaken) {
  BindTable t = knowing({SocketOf(1).listening().cookie(7)});
  const Report r =
      merge(t, {SocketOf(1).state(State::established).without(SocketFlag::port_locked)});
  EXPECT_EQ(r.stale.size(), 1u);
  EXPECT_EQ(r.changed.size(), 0u);
  EXPECT_EQ(t.size(), 0u);
}

// The mark that connect() chose the port is lost when somebody binds to it.
TEST(TableWalk, AKnownSocketStaysWhenItsBucketNoLongerTells) {
  const Socket client =
      SocketOf(1).state(State::established).peer(443).without(SocketFlag::port_locked).cookie(7);
  BindTable t;
  t.acquire(client, 50, BoundBy::connect, process(5));
  t.begin_walk(100);
  EXPECT_EQ(merge(t, {client}).differences(), 0u);
  EXPECT_EQ(t.find(1)->bound_by, BoundBy::connect);
}

TEST(TableWalk, GuessesWhoGaveThePort) {
  struct Guess {
    Socket socket;
    int8_t fastreuse;
    BoundBy expected;
  };
  const auto unlocked = [](SocketId id) { return SocketOf(id).without(SocketFlag::port_locked); };
  const Guess guesses[] = {
      {SocketOf(1), 0, BoundBy::bind},
      {unlocked(2), 0, BoundBy::unknown},
      {unlocked(3).with(SocketFlag::connect_bind), 0, BoundBy::connect},
      {unlocked(4).state(State::established).peer(443), -1, BoundBy::connect},
      {unlocked(5).proto(Proto::udp), 0, BoundBy::unknown},
  };
  for (const Guess& g : guesses) {
    BindTable t = knowing({});
    merge(t, {g.socket}, g.fastreuse);
    ASSERT_NE(t.find(g.socket.id), nullptr);
    EXPECT_EQ(t.find(g.socket.id)->bound_by, g.expected) << g.socket.id;
    EXPECT_EQ(t.find(g.socket.id)->bound_at, 0u);
  }
}

TEST(TableWalk, AWalkGivenUpLeavesTheTableToTheEvents) {
  BindTable t = knowing({SocketOf(1)});
  t.release(1, 105);
  t.begin_walk(200);
  EXPECT_EQ(merge(t, {SocketOf(1)}).missing.size(), 1u) << "the row is newer than the release";
}

} // namespace
} // namespace bindlens::model
