#include "worlds.h"

#include <bindlens/model/event_log.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

using test::process;
using test::refused_bind;
using test::SocketOf;

constexpr size_t plenty = 1 << 20;
using Ids = std::vector<uint64_t>;

Ids ids(const FailureLog& log, const Filter& f = {}) {
  Ids out;
  for (const auto& failure : log.select(f))
    out.push_back(failure->id);
  return out;
}

Failure blocked_by(std::initializer_list<Socket> sockets) {
  Failure f = refused_bind(8080);
  for (const Socket& s : sockets) {
    Blocker b;
    b.socket = s;
    f.blockers.push_back(b);
  }
  return f;
}

TEST(FailureLog, NumbersFromOneAndSelectsNewestFirst) {
  FailureLog log(10, plenty);
  EXPECT_EQ(log.add(refused_bind(80))->id, 1u);
  EXPECT_EQ(log.add(refused_bind(81))->id, 2u);
  EXPECT_EQ(log.add(refused_bind(80, 7))->id, 3u);
  EXPECT_EQ(ids(log), (Ids{3, 2, 1}));
  Filter f;
  f.ports = {{80, 80}};
  EXPECT_EQ(ids(log, f), (Ids{3, 1}));
  EXPECT_EQ(log.seen(), 3u);
}

TEST(FailureLog, DropsTheOldestWhenThereAreTooMany) {
  FailureLog log(2, plenty);
  for (uint16_t port = 80; port < 84; ++port)
    log.add(refused_bind(port));
  EXPECT_EQ(ids(log), (Ids{4, 3}));
  EXPECT_EQ(log.size(), 2u);
  EXPECT_EQ(log.seen(), 4u);
}

TEST(FailureLog, DropsTheOldestWhenTheyAreTooLarge) {
  Failure large = refused_bind(80);
  large.explanation.assign(10'000, 'x');
  FailureLog log(100, 25'000);
  for (int i = 0; i < 5; ++i)
    log.add(large);
  EXPECT_EQ(ids(log), (Ids{5, 4}));
  EXPECT_LE(log.bytes(), 25'000u);
}

TEST(FailureLog, CountsEveryPartThatCanBeLarge) {
  const auto bytes_of = [](const Failure& f) {
    FailureLog log(10, plenty);
    log.add(f);
    return log.bytes();
  };
  const size_t small = bytes_of(refused_bind(80));
  Failure f = refused_bind(80);
  f.advice.assign(10, std::string(100, 'x'));
  EXPECT_GE(bytes_of(f), small + 1000);
  f = blocked_by({SocketOf(1), SocketOf(2)});
  const size_t blocked = bytes_of(f);
  EXPECT_GE(blocked, small + 2 * sizeof(Blocker));
  f.blockers[0].holders.assign(100, Holder{process(1), 3});
  EXPECT_GE(bytes_of(f), blocked + 100 * sizeof(Holder));
}

TEST(FailureLog, GivesBackWhatItDropped) {
  FailureLog log(1, plenty);
  log.add(refused_bind(80));
  const size_t one = log.bytes();
  for (int i = 0; i < 50; ++i)
    log.add(refused_bind(80));
  EXPECT_EQ(log.bytes(), one);
}

TEST(FailureLog, KeepsTheNewestWhateverTheLimits) {
  FailureLog log(0, 0);
  log.add(refused_bind(80));
  log.add(refused_bind(81));
  EXPECT_EQ(ids(log), (Ids{2}));
}

TEST(FailureLog, FoldsTheSameRefusal) {
  FailureLog log(10, plenty);
  EXPECT_EQ(log.fold(refused_bind(80), 100), nullptr) << "nothing to fold into";
  const auto first = log.add(refused_bind(80, 4121, 100));
  const auto folded = log.fold(refused_bind(80), 250);
  ASSERT_NE(folded, nullptr);
  EXPECT_EQ(folded->id, 1u);
  EXPECT_EQ(folded->count, 2u);
  EXPECT_EQ(folded->first_time, 100u);
  EXPECT_EQ(folded->time, 250u);
  EXPECT_EQ(log.size(), 1u);
  EXPECT_EQ(log.seen(), 2u);
  EXPECT_EQ(log.select({}).front(), folded);
  EXPECT_EQ(first->count, 1u) << "what was handed out before does not change";
}

TEST(FailureLog, FoldsOnlyIntoTheNewest) {
  FailureLog log(10, plenty);
  log.add(refused_bind(80));
  log.add(refused_bind(81));
  EXPECT_EQ(log.fold(refused_bind(80), 300), nullptr);
}

TEST(FailureLog, WhatWasWorkedOutDoesNotTellRefusalsApart) {
  Failure explained = blocked_by({SocketOf(1)});
  explained.rule = Rule::listener;
  explained.explanation = "node listens on it";
  explained.advice = {"stop node"};
  explained.evidence = Evidence::reconstructed;
  explained.complete = false;
  explained.time = 9;
  explained.tid = 5;
  EXPECT_TRUE(is_same_refusal(explained, blocked_by({SocketOf(1)})));
}

TEST(FailureLog, ASocketInOtherHandsIsAnotherRefusal) {
  const Failure before = blocked_by({SocketOf(1)});
  Failure other = before;
  other.blockers[0].holders = {{process(1), 3}};
  EXPECT_FALSE(is_same_refusal(before, other));
  other = before;
  other.blockers[0].binder_exited = true;
  EXPECT_FALSE(is_same_refusal(before, other));
}

TEST(FailureLog, TellsWhenTheSocketInTheWayWasReleased) {
  FailureLog log(10, 1 << 20);
  Failure f = blocked_by({SocketOf(1)});
  f.time = 100;
  (void)log.add(f);
  log.note_release(f.blockers[0].socket, 150);
  log.note_release(f.blockers[0].socket, 200);
  EXPECT_EQ(log.select({})[0]->blockers[0].released_at, 150u);
}

TEST(FailureLog, TakesNoOtherSocketForTheOneInTheWay) {
  FailureLog log(10, 1 << 20);
  Failure f = blocked_by({SocketOf(1).cookie(70)});
  f.time = 100;
  (void)log.add(f);
  log.note_release(SocketOf(1).cookie(71), 150);
  EXPECT_EQ(log.select({})[0]->blockers[0].released_at, 0u);
}

TEST(FailureLog, DoesNotFoldDifferentRefusals) {
  const std::pair<const char*, void (*)(Failure&)> differences[] = {
      {"call", [](Failure& f) { f.call = Call::listen; }},
      {"errno", [](Failure& f) { f.error = EACCES; }},
      {"proto", [](Failure& f) { f.proto = Proto::udp; }},
      {"address", [](Failure& f) { f.asked.addr = Address::v4(127, 0, 0, 1); }},
      {"port", [](Failure& f) { f.asked.port = 81; }},
      {"peer", [](Failure& f) { f.peer.port = 443; }},
      {"flags", [](Failure& f) { f.flags.set(SocketFlag::reuseaddr); }},
      {"device", [](Failure& f) { f.dev = 2; }},
      {"uid", [](Failure& f) { f.uid = 1000; }},
      {"netns", [](Failure& f) { f.netns = test::other_netns; }},
      {"pid", [](Failure& f) { f.process = process(7); }},
      {"comm", [](Failure& f) { f.process = process(4121, "node"); }},
      {"process of the same pid",
       [](Failure& f) {
         Process later = *f.process;
         ++later.start_time;
         f.process = std::make_shared<const Process>(later);
       }},
      {"blocker", [](Failure& f) { f.blockers[0].socket.id = 2; }},
      {"blocker's state", [](Failure& f) { f.blockers[0].socket.state = State::listen; }},
      {"blocker's flags", [](Failure& f) { f.blockers[0].socket.flags.bits ^= 1; }},
      {"no blocker", [](Failure& f) { f.blockers.clear(); }},
      {"another blocker", [](Failure& f) { f.blockers.emplace_back(); }},
  };
  const Failure original = blocked_by({SocketOf(1)});
  for (const auto& [name, change] : differences) {
    Failure f = original;
    change(f);
    EXPECT_FALSE(is_same_refusal(original, f)) << name;
    FailureLog log(10, plenty);
    log.add(original);
    EXPECT_EQ(log.fold(f, 300), nullptr) << name;
  }
}

} // namespace
} // namespace bindlens::model
