#include <bindlens/model/timewait_groups.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

constexpr uint32_t netns = 77;
constexpr MonoNs second = 1'000'000'000;
constexpr MonoNs now = 1000 * second;

Socket timewait(uint16_t port, uint32_t left_ms, uint8_t host = 1) {
  Socket s;
  s.netns = netns;
  s.local = {Address::v4(127, 0, 0, host), port};
  s.state = State::time_wait;
  s.tw_substate = State::time_wait;
  s.tw_left_ms = left_ms;
  s.flags.set(SocketFlag::timewait);
  return s;
}

ProcessRef process(uint32_t pid) {
  Process p;
  p.pid = pid;
  return std::make_shared<const Process>(std::move(p));
}

Binding released(uint64_t cookie, Endpoint local, BoundBy by, ProcessRef binder) {
  Binding b;
  b.socket.netns = netns;
  b.socket.cookie = cookie;
  b.socket.local = local;
  if (by == BoundBy::connect) b.socket.peer = {Address::v4(127, 0, 0, 1), 80};
  b.bound_by = by;
  b.binder = std::move(binder);
  return b;
}

const auto nobody = [](const Socket&) { return ProcessRef(); };

TEST(TimeWaitGroups, CountsByNamespacePortAndAddress) {
  TimeWaitGroups groups(now, nobody);
  for (const auto& [port, host] : {std::pair{443, 1}, {80, 2}, {80, 1}, {80, 2}})
    groups.add(timewait(static_cast<uint16_t>(port), 1, static_cast<uint8_t>(host)));
  Socket elsewhere = timewait(80, 1);
  elsewhere.netns = 5;
  groups.add(elsewhere);
  const auto ports = groups.take();
  ASSERT_EQ(ports.size(), 4u);
  EXPECT_EQ(ports[0].netns, 5u);
  EXPECT_EQ(to_string(ports[1].local), "127.0.0.1:80");
  EXPECT_EQ(ports[1].count, 1u);
  EXPECT_EQ(to_string(ports[2].local), "127.0.0.2:80");
  EXPECT_EQ(ports[2].count, 2u);
  EXPECT_EQ(ports[3].local.port, 443u);
  EXPECT_TRUE(groups.take().empty());
}

TEST(TimeWaitGroups, TellsHowLongTheyAreThereAndStay) {
  TimeWaitGroups groups(now, nobody);
  groups.add(timewait(80, 20'000));
  groups.add(timewait(80, 45'000));
  Socket half = timewait(80, 5'000); // counts by tcp_fin_timeout
  half.tw_substate = State::fin_wait2;
  groups.add(half);
  groups.add(timewait(80, 0)); // not known
  const auto p = groups.take().at(0);
  EXPECT_EQ(p.count, 4u);
  EXPECT_EQ(p.fin_wait2, 1u);
  EXPECT_EQ(p.next_left_ms, 5'000u);
  EXPECT_EQ(p.last_left_ms, 45'000u);
  EXPECT_EQ(p.oldest, now - 40 * second);
}

TEST(TimeWaitGroups, SaysNothingAboutTimesItDoesNotKnow) {
  TimeWaitGroups groups(now, nobody);
  groups.add(timewait(80, 0));
  const auto p = groups.take().at(0);
  EXPECT_FALSE(p.oldest || p.next_left_ms || p.last_left_ms);
}

TEST(TimeWaitGroups, CountsFlagsAndOwners) {
  const ProcessRef few = process(1);
  const ProcessRef many = process(2);
  TimeWaitGroups groups(now, [&](const Socket& s) {
    return s.tw_left_ms == 1 ? few : s.tw_left_ms == 2 ? many : nullptr;
  });
  for (const uint32_t left : {1, 2, 2, 3}) {
    Socket s = timewait(80, left);
    s.flags.set(SocketFlag::reuseaddr, left == 2);
    s.flags.set(SocketFlag::reuseport, left == 1);
    groups.add(s);
  }
  const auto p = groups.take().at(0);
  EXPECT_EQ(p.reuseaddr, 2u);
  EXPECT_EQ(p.reuseport, 1u);
  ASSERT_EQ(p.owners.size(), 2u);
  EXPECT_EQ(p.owners[0].binder, many);
  EXPECT_EQ(p.owners[0].count, 2u);
  EXPECT_EQ(p.owners[1].count, 1u);
}

TEST(DeadBinders, AreFoundByCookieAndByListener) {
  DeadBinders dead;
  const Endpoint wildcard{Address::any(Family::inet), 80};
  const Endpoint client{Address::v4(127, 0, 0, 1), 40'000};
  dead.note(released(11, client, BoundBy::connect, process(1)));
  dead.note(released(12, wildcard, BoundBy::bind, process(2)));
  dead.note(released(13, client, BoundBy::connect, nullptr));
  ASSERT_TRUE(dead.of_socket(11));
  EXPECT_EQ(dead.of_socket(11)->pid, 1u);
  EXPECT_EQ(dead.of_socket(13), nullptr) << "nobody was seen to bind it";
  EXPECT_EQ(dead.of_socket(0), nullptr) << "an accepted connection";
  const Endpoint accepted{Address::v4(10, 0, 0, 9), 80};
  ASSERT_TRUE(dead.of_listener(netns, accepted));
  EXPECT_EQ(dead.of_listener(netns, accepted)->pid, 2u);
  EXPECT_EQ(dead.of_listener(5, accepted), nullptr) << "another namespace";
  EXPECT_EQ(dead.of_listener(netns, client), nullptr) << "that was no listener";
}

TEST(DeadBinders, PreferTheListenerOnTheAddressItself) {
  DeadBinders dead;
  const Endpoint one{Address::v4(127, 0, 0, 1), 80};
  dead.note(released(1, {Address::any(Family::inet), 80}, BoundBy::bind, process(1)));
  dead.note(released(2, one, BoundBy::bind, process(2)));
  EXPECT_EQ(dead.of_listener(netns, one)->pid, 2u);
}

TEST(DeadBinders, ForgetTheOldestAndKeepTheLast) {
  DeadBinders dead;
  const ProcessRef p = process(1);
  const uint64_t all = 3 * DeadBinders::generation;
  for (uint64_t cookie = 1; cookie <= all; ++cookie)
    dead.note(released(cookie, {Address::v4(127, 0, 0, 1), 1}, BoundBy::connect, p));
  EXPECT_EQ(dead.of_socket(1), nullptr);
  for (uint64_t cookie = all - DeadBinders::generation + 1; cookie <= all; ++cookie)
    ASSERT_TRUE(dead.of_socket(cookie)) << cookie;
}

Socket bound_to(const Address& a, bool v6only = false) {
  Socket s;
  s.local = {a, 80};
  s.flags.set(SocketFlag::v6only, v6only);
  return s;
}

TEST(LiesBelow, FollowsTheOverlapOfAddresses) {
  const Address v4 = Address::v4(127, 0, 0, 1);
  const Address other = Address::v4(127, 0, 0, 2);
  const Address v6 = *parse_address("::1");
  const Address mapped = *parse_address("::ffff:127.0.0.1");
  const Address any4 = Address::any(Family::inet);
  const Address any6 = Address::any(Family::inet6);
  const auto below = [](const Socket& bound, const Address& a) {
    Socket tw = timewait(80, 1);
    tw.local.addr = a;
    return lies_below(bound, tw);
  };
  for (const Address& a : {v4, mapped}) {
    EXPECT_TRUE(below(bound_to(v4), a));
    EXPECT_TRUE(below(bound_to(mapped), a));
    EXPECT_TRUE(below(bound_to(any4), a));
    EXPECT_TRUE(below(bound_to(any6), a));
    EXPECT_FALSE(below(bound_to(any6, true), a));
    EXPECT_FALSE(below(bound_to(other), a));
    EXPECT_FALSE(below(bound_to(v6), a));
  }
  EXPECT_TRUE(below(bound_to(v6), v6));
  EXPECT_TRUE(below(bound_to(any6, true), v6));
  EXPECT_FALSE(below(bound_to(any4), v6));
  Socket on_device = bound_to(v4);
  on_device.dev = 1;
  EXPECT_TRUE(below(on_device, v4));
  Socket tw = timewait(80, 1);
  tw.dev = 2;
  EXPECT_FALSE(lies_below(on_device, tw));
}

TEST(CameAfter, ByCookieOrByAge) {
  constexpr MonoNs ms = 1'000'000;
  constexpr MonoNs bound_at = 100 * second;
  Socket bound = bound_to(Address::v4(10, 0, 0, 1));
  bound.cookie = 7;
  Socket tw = timewait(80, 1);
  tw.tw_left_ms = 59'000; // a second old
  tw.cookie = 8;
  EXPECT_FALSE(came_after(tw, bound, bound_at, bound_at + 500 * ms));
  EXPECT_FALSE(came_after(tw, bound, bound_at, bound_at + 1010 * ms)) << "within a tick";
  EXPECT_TRUE(came_after(tw, bound, bound_at, bound_at + 1011 * ms));
  tw.cookie = 7;
  EXPECT_TRUE(came_after(tw, bound, bound_at, bound_at)) << "the bound socket itself";
  tw.cookie = bound.cookie = 0;
  EXPECT_FALSE(came_after(tw, bound, bound_at, bound_at)) << "no cookies to tell by";
  tw.tw_left_ms = 0;
  EXPECT_FALSE(came_after(tw, bound, bound_at, bound_at + second)) << "age not known";
}

TEST(BindReuses, CountAllAndTellSome) {
  BindReuses reuses;
  uint64_t left_out = 7;
  for (uint64_t i = 0; i < BindReuses::told_per_second; ++i)
    ASSERT_TRUE(reuses.count(netns, 80, now, left_out));
  EXPECT_EQ(left_out, 0u);
  for (int i = 0; i < 3; ++i)
    EXPECT_FALSE(reuses.count(netns, 80, now + second / 2, left_out));
  EXPECT_TRUE(reuses.count(netns, 443, now + second, left_out));
  EXPECT_EQ(left_out, 3u);
  EXPECT_TRUE(reuses.count(netns, 443, now + second, left_out));
  EXPECT_EQ(left_out, 0u) << "told once";
  EXPECT_EQ(reuses.all(), BindReuses::told_per_second + 5);
  EXPECT_EQ(reuses.of(netns, 80), BindReuses::told_per_second + 3);
  EXPECT_EQ(reuses.of(netns, 443), 2u);
  EXPECT_EQ(reuses.of(netns + 1, 443), 0u);
}

TEST(BindReuses, AreBoundedAndSayWhatIsMissing) {
  BindReuses reuses;
  uint64_t left_out = 0;
  for (uint32_t i = 0; i < BindReuses::ports + 5; ++i)
    (void)reuses.count(i, 80, now, left_out);
  EXPECT_EQ(reuses.uncounted(), 5u);
  EXPECT_EQ(reuses.all(), BindReuses::ports + 5);
}

TEST(RecentReuses, KeepsTheLastOfEachPort) {
  RecentReuses recent;
  for (MonoNs t = 1; t <= 20; ++t) {
    TimeWaitReuse r;
    r.time = t;
    r.socket = timewait(t % 2 == 0 ? 80 : 443, 0);
    recent.add(r);
  }
  const auto found = recent.of(netns, 80);
  ASSERT_EQ(found.size(), RecentReuses::per_port);
  EXPECT_EQ(found.front().time, 20u);
  EXPECT_EQ(found.back().time, 6u);
  EXPECT_TRUE(recent.of(netns + 1, 80).empty());
}

TEST(RecentReuses, TellsThoseSinceATime) {
  RecentReuses recent;
  for (const MonoNs t : {3, 5, 7, 9}) {
    TimeWaitReuse r;
    r.time = t;
    recent.add(r);
  }
  const auto found = recent.since(5);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found.front().time, 9u);
  EXPECT_EQ(found.back().time, 5u);
  EXPECT_TRUE(recent.since(10).empty());
}

} // namespace
} // namespace bindlens::model
