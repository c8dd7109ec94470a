#include "worlds.h"

#include <bindlens/model/event_log.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

using test::event;
using test::SocketOf;

Event bind_of(uint16_t port) {
  return event(EventType::bind, port, SocketOf(port, port).s);
}

std::vector<uint64_t> ids(const std::vector<Event>& events) {
  std::vector<uint64_t> out;
  for (const Event& e : events)
    out.push_back(e.id);
  return out;
}

using Ids = std::vector<uint64_t>;

TEST(EventLog, NumbersFromOne) {
  EventLog log(1 << 20);
  EXPECT_EQ(log.seen(), 0u);
  EXPECT_EQ(log.add(bind_of(80)).id, 1u);
  EXPECT_EQ(log.add(bind_of(81)).id, 2u);
  EXPECT_EQ(log.seen(), 2u);
}

TEST(EventLog, KeepsWhatItWasGiven) {
  EventLog log(1 << 20);
  const Event& kept = log.add(event(EventType::listen, 7, SocketOf(1, 80).s, test::process(5)));
  EXPECT_EQ(kept.type, EventType::listen);
  EXPECT_EQ(kept.time, 7u);
  EXPECT_EQ(kept.socket.local.port, 80u);
  EXPECT_EQ(kept.process->pid, 5u);
}

TEST(EventLog, SelectsOldestFirst) {
  EventLog log(1 << 20);
  for (const uint16_t port : {uint16_t{80}, uint16_t{81}, uint16_t{443}})
    log.add(bind_of(port));
  EXPECT_EQ(ids(log.select({})), (Ids{1, 2, 3}));
  Filter f;
  f.ports = {{80, 80}, {443, 443}};
  EXPECT_EQ(ids(log.select(f)), (Ids{1, 3}));
}

// A refusal is added when it has been explained, and happened before.
TEST(EventLog, SelectsByTimeAndThenByNumber) {
  EventLog log(1 << 20);
  for (const MonoNs time : {MonoNs{20}, MonoNs{30}, MonoNs{10}, MonoNs{20}})
    log.add(event(EventType::listen, time, SocketOf(1).s));
  EXPECT_EQ(ids(log.select({})), (Ids{3, 1, 4, 2}));
}

TEST(EventLog, DropsTheOldestAtItsLimitAndNotBefore) {
  EventLog log(3 * sizeof(Event));
  for (uint16_t port = 1; port <= 3; ++port)
    log.add(bind_of(port));
  EXPECT_EQ(ids(log.select({})), (Ids{1, 2, 3}));
  log.add(bind_of(4));
  log.add(bind_of(5));
  EXPECT_EQ(ids(log.select({})), (Ids{3, 4, 5}));
  EXPECT_EQ(log.size(), 3u);
  EXPECT_LE(log.bytes(), 3 * sizeof(Event));
  EXPECT_EQ(log.seen(), 5u);
}

TEST(EventLog, KeepsTheNewestWhateverTheLimit) {
  EventLog log(0);
  log.add(bind_of(80));
  EXPECT_EQ(log.add(bind_of(81)).id, 2u);
  EXPECT_EQ(ids(log.select({})), (Ids{2}));
}

// A finding is larger than the event that tells of it.
TEST(EventLog, CountsTheMemoryOfFindings) {
  auto finding = std::make_shared<Finding>();
  finding->sockets.resize(32);
  Event e;
  e.type = EventType::audit;
  e.finding = finding;
  EventLog log(10 * 32 * sizeof(Blocker));
  for (int i = 0; i < 100; ++i)
    log.add(Event(e));
  EXPECT_GE(log.size(), 5u);
  EXPECT_LT(log.size(), 10u);
  EXPECT_LE(log.bytes(), 10 * 32 * sizeof(Blocker));
  for (uint16_t port = 1; port < 2000; ++port)
    log.add(bind_of(port));
  EXPECT_EQ(log.bytes(), log.size() * sizeof(Event)) << "the findings are gone";
}

TEST(RecentReleases, KnowsTheLastOfEachSocket) {
  RecentReleases releases;
  releases.note(1, 100);
  releases.note(1, 200);
  EXPECT_EQ(releases.find(1, 150), 200u);
  EXPECT_EQ(releases.find(1, 200), 200u);
  EXPECT_EQ(releases.find(1, 201), 0u) << "that was before";
  EXPECT_EQ(releases.find(2, 0), 0u);
}

TEST(RecentReleases, TellsSocketsOfOneAddressApart) {
  RecentReleases releases;
  releases.note(7, 100, 70);
  EXPECT_EQ(releases.find(7, 50, 70), 100u);
  EXPECT_EQ(releases.find(7, 50, 0), 100u);
  EXPECT_EQ(releases.find(7, 50, 71), 0u);
}

TEST(RecentReleases, KeepsAGenerationAndForgetsTheOneBeforeTheLast) {
  RecentReleases releases;
  for (SocketId id = 1; id <= 2 * RecentReleases::generation; ++id)
    releases.note(id, id);
  EXPECT_EQ(releases.find(1, 0), 1u);
  releases.note(2 * RecentReleases::generation + 1, 5);
  EXPECT_EQ(releases.find(1, 0), 0u);
  EXPECT_NE(releases.find(2 * RecentReleases::generation, 0), 0u);
}

} // namespace
} // namespace bindlens::model
