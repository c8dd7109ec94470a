#include "worlds.h"

#include <bindlens/model/table.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

using test::bucket_of;
using test::process;
using test::SocketOf;

State state_of(const BindTable& t, SocketId id) {
  const Binding* b = t.find(id);
  EXPECT_NE(b, nullptr);
  return b != nullptr ? b->socket.state : State{};
}

TEST(BindTable, KeepsWhatWasAcquired) {
  BindTable t;
  const Binding& b = t.acquire(SocketOf(1, 80), 100, BoundBy::bind, process(5));
  EXPECT_EQ(b.socket.local.port, 80u);
  EXPECT_EQ(b.changed_at, 100u);
  EXPECT_EQ(b.bound_at, 100u);
  EXPECT_EQ(b.bound_by, BoundBy::bind);
  EXPECT_EQ(b.binder->pid, 5u);
  EXPECT_EQ(t.find(1), &b);
  EXPECT_EQ(t.find(2), nullptr);
  EXPECT_EQ(t.size(), 1u);
}

TEST(BindTable, VisitsAllAndCountsNamespaces) {
  BindTable t;
  t.acquire(SocketOf(1), 1, BoundBy::bind, nullptr);
  t.acquire(SocketOf(2).netns(test::other_netns), 2, BoundBy::bind, nullptr);
  t.acquire(SocketOf(3), 3, BoundBy::bind, nullptr);
  uint64_t sum = 0;
  t.for_each([&](const Binding& b) { sum += b.socket.id; });
  EXPECT_EQ(sum, 6u);
  EXPECT_EQ(t.namespaces(), 2u);
}

TEST(BindTable, ReleaseRemoves) {
  BindTable t;
  t.acquire(SocketOf(1), 100, BoundBy::bind, nullptr);
  EXPECT_TRUE(t.release(1, 101));
  EXPECT_EQ(t.find(1), nullptr);
  EXPECT_FALSE(t.release(1, 102)) << "twice";
}

TEST(BindTable, ListenKeepsWhoBoundIt) {
  BindTable t;
  t.acquire(SocketOf(1), 100, BoundBy::bind, process(5));
  const Binding& b = t.acquire(SocketOf(1).listening(), 110, BoundBy::unknown, process(6));
  EXPECT_EQ(b.socket.state, State::listen);
  EXPECT_EQ(b.bound_at, 100u);
  EXPECT_EQ(b.bound_by, BoundBy::bind);
  EXPECT_EQ(b.binder->pid, 5u);
  EXPECT_EQ(b.changed_at, 110u);
}

TEST(BindTable, AListenAloneTellsNothingAboutWhoBoundIt) {
  BindTable t;
  const Binding& b = t.acquire(SocketOf(1).listening(), 110, BoundBy::unknown, process(6));
  EXPECT_EQ(b.bound_at, 0u);
  EXPECT_EQ(b.bound_by, BoundBy::unknown);
  EXPECT_EQ(b.binder, nullptr);
}

TEST(BindTable, StopListeningKeepsThePort) {
  BindTable t;
  t.acquire(SocketOf(1).listening(), 100, BoundBy::autobind, process(5));
  t.stop_listening(1, 105);
  EXPECT_EQ(state_of(t, 1), State::bound);
  EXPECT_EQ(t.find(1)->binder->pid, 5u);
  t.stop_listening(2, 105);
  EXPECT_EQ(t.size(), 1u) << "of a socket not in the table";
}

TEST(BindTable, AnOlderFactNeverUndoesANewerOne) {
  BindTable t;
  t.acquire(SocketOf(1).listening(), 100, BoundBy::bind, nullptr);
  EXPECT_FALSE(t.release(1, 99));
  EXPECT_NE(t.find(1), nullptr);
  t.stop_listening(1, 99);
  EXPECT_EQ(state_of(t, 1), State::listen);
  t.acquire(SocketOf(1), 99, BoundBy::bind, nullptr);
  EXPECT_EQ(state_of(t, 1), State::listen);
  EXPECT_EQ(t.find(1)->changed_at, 100u);
}

TEST(BindTable, ALaterFactWinsAtTheSameInstant) {
  BindTable t;
  t.acquire(SocketOf(1), 100, BoundBy::bind, nullptr);
  t.acquire(SocketOf(1).listening(), 100, BoundBy::unknown, nullptr);
  EXPECT_EQ(state_of(t, 1), State::listen);
  EXPECT_TRUE(t.release(1, 100));
}

// The release of the old socket was lost: nothing of it may stick to the new one.
TEST(BindTable, ANewSocketAtAKnownAddressStartsAfresh) {
  const Socket reuses[] = {SocketOf(1, 81).cookie(7), SocketOf(1, 80).cookie(8),
                           SocketOf(1, 80).cookie(7).netns(test::other_netns)};
  for (const Socket& s : reuses) {
    for (const BoundBy by : {BoundBy::bind, BoundBy::unknown}) {
      BindTable t;
      t.acquire(SocketOf(1, 80).cookie(7), 100, BoundBy::bind, process(5));
      const Binding& b = t.acquire(s, 200, by, process(6));
      EXPECT_EQ(b.socket.cookie, s.cookie);
      EXPECT_EQ(b.bound_by, by);
      EXPECT_EQ(b.bound_at, by == BoundBy::bind ? 200u : 0u);
      EXPECT_EQ(b.binder ? b.binder->pid : 0, by == BoundBy::bind ? 6u : 0u);
    }
  }
}

TEST(BindTable, ASocketMayGetItsCookieLater) {
  BindTable t;
  t.acquire(SocketOf(1).cookie(0), 100, BoundBy::bind, process(5));
  const Binding& b = t.acquire(SocketOf(1).cookie(9).listening(), 110, BoundBy::unknown, nullptr);
  EXPECT_EQ(b.binder->pid, 5u);
}

struct Kind {
  const char* name;
  Socket socket;
  int8_t fastreuse;
  bool tracked;
  bool silent;
};

const SocketFlag locked = SocketFlag::port_locked;

std::vector<Kind> kinds() {
  const auto tcp = [] { return SocketOf(1); };
  const auto udp = [] { return SocketOf(1).proto(Proto::udp); };
  return {
      {"bound by number", tcp(), 0, true, false},
      {"autobound", tcp().without(locked), 0, true, false},
      {"listening", tcp().listening(), 1, true, false},
      {"listening, autobound", tcp().listening().without(locked), 0, true, false},
      {"connected after bind", tcp().state(State::established), 0, true, false},
      {"closing after bind", tcp().state(State::fin_wait1), 0, true, false},
      {"accepted", tcp().state(State::established).without(locked), 0, false, true},
      {"being accepted", tcp().state(State::syn_recv).without(locked), 1, false, true},
      {"connect, marked",
       tcp().state(State::established).without(locked).with(SocketFlag::connect_bind), 0, true,
       false},
      {"connect, in a bucket of its kind", tcp().state(State::established).without(locked), -1,
       true, true},
      {"TIME_WAIT", tcp().state(State::time_wait).with(SocketFlag::timewait), -1, false, false},
      {"mptcp", tcp().proto(Proto::mptcp).listening(), 0, true, false},
      {"of the kernel", tcp().listening().with(SocketFlag::kernel), 0, true, true},
      {"udp", udp(), 0, true, false},
      {"udp, autobound", udp().without(locked), 0, true, true},
      {"udp, connected", udp().without(locked).state(State::established), 0, true, true},
      {"udplite, autobound", udp().proto(Proto::udplite).without(locked), 0, true, true},
      {"udp of the kernel", udp().with(SocketFlag::kernel), 0, true, true},
  };
}

TEST(BindTable, KnowsWhatBelongsInIt) {
  for (const Kind& k : kinds())
    EXPECT_EQ(BindTable::is_tracked(k.socket, bucket_of({k.socket}, k.fastreuse)), k.tracked)
        << k.name;
}

TEST(BindTable, KnowsWhatIsTakenWithoutAnEvent) {
  for (const Kind& k : kinds())
    EXPECT_EQ(BindTable::is_silent(k.socket), k.silent) << k.name;
}

TEST(BindTable, AWalkTakesWhatBelongsAndReportsWhatAnEventShouldHaveTold) {
  for (const Kind& k : kinds()) {
    BindTable t;
    t.begin_walk(100);
    const auto report = t.merge(std::vector{bucket_of({k.socket}, k.fastreuse)});
    EXPECT_EQ(t.size(), k.tracked ? 1u : 0u) << k.name;
    EXPECT_EQ(report.missing.size(), k.tracked && !k.silent ? 1u : 0u) << k.name;
    EXPECT_EQ(report.reconstructed, k.tracked && k.silent ? 1u : 0u) << k.name;
  }
}

} // namespace
} // namespace bindlens::model
