// What is read back: order, filters, pieces, what is missing, the table of a moment.

#include "scene.h"

#include <bindlens/history/query.h>

#include <algorithm>
#include <random>

namespace bindlens::history::test {
namespace {

using model::EventType;
using model::Missing;
using model::PastItem;

class QueryTest : public Scene {
 protected:
  [[nodiscard]] int64_t wall(double seconds) const {
    return offset + static_cast<int64_t>(seconds * 1e9);
  }
  [[nodiscard]] model::Filter between(double since, double until) const {
    model::Filter f;
    f.since = static_cast<MonoNs>(wall(since));
    f.until = static_cast<MonoNs>(wall(until));
    return f;
  }
  [[nodiscard]] Source source() { return {file(), &cancel, INT64_MAX}; }

  static std::vector<PastItem> all_of(const std::unique_ptr<Query>& query) {
    std::vector<PastItem> items;
    for (int pieces = 0; pieces < 10'000; ++pieces) {
      auto piece = query->next();
      if (!piece) {
        ADD_FAILURE() << piece.error().text;
        return items;
      }
      items.insert(items.end(), piece->items.begin(), piece->items.end());
      if (piece->last) return items;
    }
    ADD_FAILURE() << "it does not end";
    return items;
  }
  [[nodiscard]] std::vector<model::Event> events(Range range) {
    std::vector<model::Event> found;
    for (const PastItem& item : all_of(events_query(source(), std::move(range))))
      if (const auto* e = std::get_if<model::Event>(&item.what)) found.push_back(*e);
    return found;
  }
  [[nodiscard]] std::vector<Missing> missing(Range range) {
    std::vector<Missing> found;
    for (const PastItem& item : all_of(events_query(source(), std::move(range))))
      if (const auto* m = std::get_if<Missing>(&item.what)) found.push_back(*m);
    return found;
  }
  [[nodiscard]] std::vector<model::PastSocket> table_at(double seconds, model::Filter f = {}) {
    std::vector<model::PastSocket> found;
    for (const PastItem& item : all_of(sockets_query(source(), wall(seconds), std::move(f))))
      if (const auto* s = std::get_if<model::PastSocket>(&item.what)) found.push_back(*s);
    return found;
  }

  std::atomic<bool> cancel = false;
};

std::vector<uint16_t> ports(const std::vector<model::Event>& events) {
  std::vector<uint16_t> all;
  for (const auto& e : events)
    if (e.socket.local.port != 0) all.push_back(e.socket.local.port);
  return all;
}

std::shared_ptr<model::Failure> refusal(uint16_t port, double seconds) {
  auto f = std::make_shared<model::Failure>();
  f->id = port;
  f->time = f->first_time = static_cast<MonoNs>(seconds * 1e9);
  f->error = EADDRINUSE;
  f->asked = {model::Address::any(model::Family::inet), port};
  f->netns = 4026531840;
  f->process = process(77, "second");
  f->tid = 78;
  f->rule = model::Rule::listener;
  f->explanation = "node[42] listens.";
  f->advice = {"stop node[42]", "bind another"};
  model::Blocker b;
  b.socket = socket(9, port, model::State::listen);
  b.binder = process(42, "node");
  b.bound_at = 1'200'000'000;
  b.bound_by = model::BoundBy::bind;
  b.holders = {{process(42, "node"), 7}};
  b.holders_known = true;
  f->blockers = {b};
  return f;
}

model::Event refused(const std::shared_ptr<model::Failure>& f) {
  model::Event e;
  e.type = EventType::fail;
  e.time = f->time;
  e.process = f->process;
  e.failure = f;
  return e;
}

TEST_F(QueryTest, AnEventComesBackAsItWas) {
  open();
  model::Socket s = socket(7, 8080, model::State::listen);
  s.local.addr = *model::parse_address("2001:db8::1");
  s.peer = *model::parse_endpoint("[2001:db8::2]:99");
  s.flags.set(model::SocketFlag::v6only);
  s.max_backlog = 511;
  write({event(EventType::bind, 1.5, socket(6, 80)), event(EventType::listen, 1.6, s)});
  const auto found = events({between(1.55, 9), {}});
  ASSERT_EQ(found.size(), 1u);
  const model::Event& e = found[0];
  EXPECT_EQ(static_cast<int64_t>(e.time), wall(1.6));
  EXPECT_EQ(e.type, EventType::listen);
  EXPECT_EQ(e.socket.local, s.local);
  EXPECT_EQ(e.socket.peer, s.peer);
  EXPECT_EQ(e.socket.flags, s.flags);
  EXPECT_EQ(e.socket.state, s.state);
  EXPECT_EQ(e.socket.cookie, s.cookie);
  EXPECT_EQ(e.socket.netns, s.netns);
  EXPECT_EQ(e.socket.uid, s.uid);
  EXPECT_EQ(e.socket.max_backlog, 511u);
  EXPECT_EQ(e.bound_by, model::BoundBy::bind);
  ASSERT_TRUE(e.process);
  EXPECT_EQ(e.process->comm, "nginx");
  EXPECT_EQ(e.process->user, "www-data");
  EXPECT_EQ(e.process->unit, "nginx.service");
  EXPECT_EQ(e.process->exe, "/usr/sbin/nginx");
}

TEST_F(QueryTest, WhatAMemberGotComesBackWithItsLeave) {
  open();
  model::ShareCounters got;
  got.since = 1'500'000'000;
  got.selected = 7;
  got.accepted = 5;
  got.lost_at_close = 2;
  got.backlog_peak = 3;
  model::Event left = event(EventType::reuseport_leave, 2, socket(7, 80, model::State::listen));
  left.counted = std::make_shared<model::ShareCounters>(got);
  // It leaves when it has given its port back.
  write({event(EventType::bind, 1, socket(7, 80)), event(EventType::release, 2, socket(7, 80)),
         left});
  model::Filter leaves = between(0, 9);
  leaves.types = {EventType::reuseport_leave};
  const auto found = events({leaves, {}});
  ASSERT_EQ(found.size(), 1u);
  ASSERT_TRUE(found[0].counted);
  EXPECT_EQ(static_cast<int64_t>(found[0].counted->since), wall(1.5));
  EXPECT_EQ(found[0].counted->selected, 7u);
  EXPECT_EQ(found[0].counted->accepted, 5u);
  EXPECT_EQ(found[0].counted->lost_at_close, 2u);
  EXPECT_EQ(found[0].counted->backlog_peak, 3u);
  EXPECT_FALSE(found[0].counted->datagrams) << "what was not counted is not 0";
  EXPECT_TRUE(found[0].process);
}

TEST_F(QueryTest, AFailureComesBackAsItWas) {
  open();
  write({event(EventType::bind, 1.2, socket(9, 8080)), refused(refusal(8080, 1.5)),
         event(EventType::release, 1.7, socket(9, 8080))});
  const auto items = all_of(failures_query(source(), {}));
  ASSERT_EQ(items.size(), 1u);
  const auto f = std::get<std::shared_ptr<const model::Failure>>(items[0].what);
  const auto was = refusal(8080, 1.5);
  EXPECT_EQ(static_cast<int64_t>(f->time), wall(1.5));
  EXPECT_EQ(f->error, was->error);
  EXPECT_EQ(f->asked, was->asked);
  EXPECT_EQ(f->process->pid, 77u);
  EXPECT_EQ(f->tid, 78u);
  EXPECT_EQ(f->rule, was->rule);
  EXPECT_EQ(f->explanation, was->explanation);
  EXPECT_EQ(f->advice, was->advice);
  ASSERT_EQ(f->blockers.size(), 1u);
  const model::Blocker& b = f->blockers[0];
  EXPECT_EQ(b.socket.local.port, 8080);
  EXPECT_EQ(b.binder->comm, "node");
  EXPECT_EQ(static_cast<int64_t>(b.bound_at), wall(1.2));
  EXPECT_EQ(static_cast<int64_t>(b.released_at), wall(1.7)) << "told of afterwards";
  ASSERT_EQ(b.holders.size(), 1u);
  EXPECT_EQ(b.holders[0].fd, 7);
}

TEST_F(QueryTest, OrderIsThatOfTheClockAndNotOfWriting) {
  open();
  // A refusal is written when its reason is known.
  write({event(EventType::bind, 1.5, socket(7, 1)), event(EventType::bind, 1.8, socket(8, 2)),
         refused(refusal(3, 1.6))});
  std::vector<EventType> types;
  for (const auto& e : events({}))
    types.push_back(e.type);
  EXPECT_EQ(types, (std::vector<EventType>{EventType::start, EventType::bind, EventType::fail,
                                           EventType::bind}));
}

TEST_F(QueryTest, OrderStaysWhenTheClockIsSetBack) {
  open();
  write({event(EventType::bind, 100, socket(7, 1))}, 100);
  offset -= 60'000'000'000; // a minute back
  write({event(EventType::bind, 110, socket(8, 2)), event(EventType::bind, 111, socket(9, 3))},
        112);
  EXPECT_EQ(ports(events({})), (std::vector<uint16_t>{1, 2, 3}));
  model::Filter one;
  one.ports = {{1, 2}};
  EXPECT_EQ(ports(events({one, {}})), (std::vector<uint16_t>{1, 2}));
  EXPECT_EQ(ports(events({{}, 2})), (std::vector<uint16_t>{2, 3})) << "the newest two";
}

TEST_F(QueryTest, FiltersAsMemoryDoes) {
  open();
  std::vector<Item> items;
  std::mt19937 random(7);
  const auto pick = [&](size_t n) { return static_cast<uint16_t>(random() % n); };
  const std::vector<model::ProcessRef> processes = {process(1, "nginx"), process(2, "node"),
                                                    process(3, "java")};
  std::vector<model::Event> written;
  for (int i = 0; i < 3000; ++i) {
    model::Socket s =
        socket(static_cast<model::SocketId>(i + 1), static_cast<uint16_t>(8000 + pick(5)));
    s.proto = pick(2) == 0 ? model::Proto::tcp : model::Proto::udp;
    s.uid = pick(3);
    s.netns = 4026531840u + pick(2);
    s.local.addr = model::Address::v4(127, 0, 0, static_cast<uint8_t>(pick(3)));
    written.push_back(event(EventType::bind, 1.5 + i * 0.001, s, processes[pick(3)]));
    items.emplace_back(written.back());
  }
  write(items, 10);
  for (int round = 0; round < 60; ++round) {
    model::Filter f;
    if (pick(2) == 0) f = between(1.5 + pick(2000) * 0.001, 2 + pick(3000) * 0.001);
    if (pick(2) == 0) f.ports = {{8001, 8001}};
    if (pick(4) == 0) f.ports = {{8001, 8002}, {8004, 8004}};
    if (pick(3) == 0) f.protos = {model::Proto::udp};
    if (pick(3) == 0) f.uid = pick(3);
    if (pick(3) == 0) f.netns = 4026531840u + pick(2);
    if (pick(4) == 0) f.comm = "node";
    if (pick(4) == 0) f.addr = model::Address::v4(127, 0, 0, 1);
    f.types = {EventType::bind};
    std::optional<uint64_t> limit;
    if (pick(2) == 0) limit = pick(200);
    std::vector<MonoNs> expected;
    for (model::Event e : written) {
      e.time += static_cast<MonoNs>(offset);
      if (f.matches(e)) expected.push_back(e.time);
    }
    if (limit && expected.size() > *limit)
      expected.erase(expected.begin(), expected.end() - static_cast<std::ptrdiff_t>(*limit));
    std::vector<MonoNs> found;
    for (const auto& e : events({f, limit}))
      found.push_back(e.time);
    EXPECT_EQ(found, expected) << round;
  }
}

TEST_F(QueryTest, ARefusedConnectIsFoundByItsDestination) {
  open();
  auto f = refusal(5000, 1.5);
  f->call = model::Call::connect;
  f->peer = *model::parse_endpoint("127.0.0.1:443");
  write({refused(f)});
  for (const uint16_t port : {uint16_t{5000}, uint16_t{443}}) {
    model::Filter filter;
    filter.ports = {{port, port}};
    EXPECT_EQ(events({filter, {}}).size(), 1u) << port;
    EXPECT_EQ(all_of(failures_query(source(), {filter, {}})).size(), 1u) << port;
  }
}

TEST_F(QueryTest, FailuresComeNewestFirst) {
  open();
  std::vector<Item> items;
  for (uint16_t i = 1; i <= 200; ++i)
    items.emplace_back(refused(refusal(static_cast<uint16_t>(9000 + i), 1.5 + i * 0.01)));
  write(items, 9);
  const auto port_at = [](const PastItem& item) {
    return std::get<std::shared_ptr<const model::Failure>>(item.what)->asked.port;
  };
  const auto all = all_of(failures_query(source(), {}));
  ASSERT_EQ(all.size(), 200u);
  EXPECT_EQ(port_at(all.front()), 9200);
  EXPECT_EQ(port_at(all.back()), 9001);
  const auto three = all_of(failures_query(source(), {{}, 3}));
  ASSERT_EQ(three.size(), 3u);
  EXPECT_EQ(port_at(three.back()), 9198);
}

TEST_F(QueryTest, SaysWhatIsMissing) {
  open(10);
  write({event(EventType::bind, 11, socket(7, 80))}, 12);
  model::Event gap;
  gap.type = EventType::gap;
  gap.time = 13'000'000'000;
  gap.since = 12'500'000'000;
  gap.lost = 5;
  write({gap}, 14);
  ASSERT_TRUE(store->close(at(15)));
  store.reset();
  config.started = 20'000'000'000;
  open(20);
  write({event(EventType::bind, 21, socket(8, 80))}, 22);

  const auto found = missing({between(0.5, 30), {}});
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].why, Missing::Why::not_kept);
  EXPECT_EQ(found[0].from, wall(0.5));
  EXPECT_EQ(found[0].until, wall(1)) << "when it was first started";
  EXPECT_EQ(found[1].why, Missing::Why::lost);
  EXPECT_EQ(found[1].from, wall(12.5));
  EXPECT_EQ(found[1].until, wall(13));
  EXPECT_EQ(found[1].count, 5u);
  EXPECT_EQ(found[2].why, Missing::Why::not_running);
  EXPECT_EQ(found[2].from, wall(15));
  EXPECT_EQ(found[2].until, wall(20));
  EXPECT_TRUE(missing({between(11, 12), {}}).empty());
  model::Filter port = between(11, 30);
  port.ports = {{80, 80}};
  EXPECT_EQ(missing({port, {}}).size(), 2u) << "whoever filters must still learn of a loss";
}

TEST_F(QueryTest, TheTableOfAnyMomentIsWhatTheEventsMadeOfIt) {
  open();
  struct Life {
    uint16_t port;
    double bound, listened, released;
  };
  std::vector<Life> lives;
  std::vector<std::pair<double, model::Event>> timed;
  std::mt19937 random(11);
  std::uniform_real_distribution<double> moment(1.5, 60);
  for (uint16_t i = 0; i < 400; ++i) {
    std::array<double, 3> t = {moment(random), moment(random), moment(random)};
    std::ranges::sort(t);
    const Life life{static_cast<uint16_t>(1000 + i), t[0], t[1], t[2]};
    lives.push_back(life);
    const model::SocketId id = i + 1u;
    timed.emplace_back(t[0], event(EventType::bind, t[0], socket(id, life.port)));
    timed.emplace_back(t[1],
                       event(EventType::listen, t[1], socket(id, life.port, model::State::listen)));
    timed.emplace_back(
        t[2], event(EventType::release, t[2], socket(id, life.port, model::State::listen)));
  }
  std::ranges::sort(timed, {}, &std::pair<double, model::Event>::first);
  std::vector<Item> items;
  for (const auto& [when, e] : timed)
    items.emplace_back(e);
  write(items, 61);
  for (int round = 0; round < 100; ++round) {
    const double at = moment(random);
    std::vector<std::pair<uint16_t, model::State>> expected;
    for (const Life& l : lives)
      if (l.bound <= at && l.released > at)
        expected.emplace_back(l.port,
                              l.listened <= at ? model::State::listen : model::State::bound);
    std::vector<std::pair<uint16_t, model::State>> found;
    for (const auto& s : table_at(at)) {
      EXPECT_EQ(s.uncertain, "");
      EXPECT_EQ(s.binder->comm, "nginx");
      found.emplace_back(s.socket.local.port, s.socket.state);
    }
    std::ranges::sort(found);
    std::ranges::sort(expected);
    EXPECT_EQ(found, expected) << at;
  }
}

TEST_F(QueryTest, TheTableMarksWhatNobodyWatched) {
  open(10);
  model::Binding there;
  there.socket = socket(1, 22);
  write({TableAt{10'000'000'000, {there}}}, 10.1);
  write({event(EventType::bind, 11, socket(2, 80)), event(EventType::bind, 11, socket(3, 81)),
         event(EventType::release, 12, socket(3, 81))},
        13);
  ASSERT_TRUE(store->close(at(15)));
  store.reset();
  config.started = 20'000'000'000;
  open(20);
  model::Binding still;
  still.socket = socket(2, 80);
  model::Binding later;
  later.socket = socket(4, 90);
  write({TableAt{20'100'000'000, {still, later}}}, 20.2);

  const auto describe = [&](double at) {
    std::vector<std::string> all;
    for (const auto& s : table_at(at))
      all.push_back(std::to_string(s.socket.local.port) + (s.uncertain.empty() ? "" : "?"));
    std::ranges::sort(all);
    return all;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(describe(0.5), (Texts{"22?"})) << "before the first start";
  EXPECT_EQ(describe(14), (Texts{"22", "80"}));
  EXPECT_EQ(describe(17), (Texts{"22?", "80?", "90?"})) << "between the runs";
  EXPECT_EQ(describe(25), (Texts{"80", "90"}));
}

TEST_F(QueryTest, CanBeCancelled) {
  open();
  write({event(EventType::bind, 1.5, socket(7, 80))});
  const auto query = events_query(source(), {});
  cancel = true;
  const auto piece = query->next();
  ASSERT_FALSE(piece);
  EXPECT_EQ(piece.error().code, ECANCELED);
}

TEST_F(QueryTest, SaysWhyAFileCannotBeRead) {
  const auto piece = events_query({config.directory + "/none.db", &cancel, INT64_MAX}, {})->next();
  ASSERT_FALSE(piece);
  EXPECT_NE(piece.error().text.find("none.db"), std::string::npos);
}

} // namespace
} // namespace bindlens::history::test
