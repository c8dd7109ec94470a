// Ports that the kernel chooses.

#include "world.h"

#include <tables.h>

namespace bindlens::rules::test {
namespace {

HostFacts range(uint16_t first, uint16_t last) {
  HostFacts f = known_host();
  f.local_port_range = PortRange{first, last};
  return f;
}

Verdict search(const ask& a, std::initializer_list<holds> holders, const HostFacts& f,
               const Variants& v = {}) {
  return decide(a.request(), view_of(holders), f, v);
}

TEST(Search, BindTakesAPortThatNobodyOverlaps) {
  const auto one = range(40000, 40000);
  EXPECT_EQ(search(ask("127.0.0.1:0"), {}, one).error, 0);
  const auto full = search(ask("0.0.0.0:0"), {holds("127.0.0.1:40000")}, one);
  EXPECT_EQ(full.error, EADDRINUSE);
  EXPECT_EQ(full.rule, Rule::ephemeral_exhausted);
  EXPECT_EQ(full.search.range, 1u);
  EXPECT_EQ(full.search.taken, 1u);
  EXPECT_EQ(full.search.bound, 1u);
  EXPECT_EQ(search(ask("10.0.0.5:0"), {holds("127.0.0.1:40000").listening()}, one).error, 0);
}

TEST(Search, OptionsDoNotHelpATcpBindToPort0) {
  const auto one = range(40000, 40000);
  const auto a = ask("0.0.0.0:0").reuseaddr().reuseport();
  const auto h = holds("0.0.0.0:40000").reuseaddr().reuseport();
  EXPECT_EQ(search(a, {h}, one).error, EADDRINUSE);
}

TEST(Search, AutobindReuseIsASecondPassForReuseaddr) {
  HostFacts f = range(40000, 40000);
  f.autobind_reuse = true;
  EXPECT_EQ(search(ask("0.0.0.0:0").reuseaddr(), {holds("0.0.0.0:40000").reuseaddr()}, f).error, 0);
  EXPECT_EQ(search(ask("0.0.0.0:0"), {holds("0.0.0.0:40000").reuseaddr()}, f).error, EADDRINUSE);
  // Not where both could share by SO_REUSEPORT.
  EXPECT_EQ(search(ask("0.0.0.0:0").reuseaddr().reuseport(),
                   {holds("0.0.0.0:40000").reuseaddr().reuseport()}, f)
                .error,
            EADDRINUSE);
  EXPECT_EQ(search(ask("0.0.0.0:0").reuseaddr().reuseport().uid(5),
                   {holds("0.0.0.0:40000").reuseaddr().reuseport()}, f)
                .error,
            0);
}

TEST(Search, ReservedPortsAreLeftOut) {
  HostFacts f = range(40000, 40001);
  f.reserved_ports = std::vector<PortRange>{{40000, 40000}};
  EXPECT_EQ(search(ask("0.0.0.0:0"), {}, f).error, 0);
  EXPECT_EQ(search(ask("0.0.0.0:0"), {holds("0.0.0.0:40001")}, f).rule, Rule::ephemeral_exhausted);
  f.reserved_ports = std::vector<PortRange>{{40000, 40001}};
  EXPECT_EQ(search(ask("0.0.0.0:0"), {}, f).rule, Rule::reserved_port);
  EXPECT_EQ(search(ask("0.0.0.0:40000"), {}, f).error, 0) << "by number they can be bound";
}

TEST(Search, ListenWithoutBindSearchesAWildcardPort) {
  const auto one = range(40000, 40000);
  EXPECT_EQ(search(ask("0.0.0.0:0").to_listen(), {}, one).error, 0);
  EXPECT_EQ(search(ask("0.0.0.0:0").to_listen(), {holds("127.0.0.1:40000")}, one).error,
            EADDRINUSE);
}

TEST(Search, BindAddressNoPortTakesNone) {
  const auto v = search(ask("0.0.0.0:0").with(SocketFlag::bind_no_port), {holds("0.0.0.0:40000")},
                        range(40000, 40000));
  EXPECT_TRUE(v.would_succeed);
  EXPECT_EQ(v.path, Path::no_port);
}

TEST(Search, UdpTakesAPortItCouldShare) {
  const auto one = range(40000, 40000);
  const auto held = [] { return holds("0.0.0.0:40000").udp(); };
  EXPECT_EQ(search(ask("0.0.0.0:0").udp(), {held()}, one).error, EADDRINUSE);
  EXPECT_EQ(search(ask("0.0.0.0:0").udp().reuseaddr(), {held().reuseaddr()}, one).error, 0);
  EXPECT_EQ(search(ask("0.0.0.0:0").udp().reuseport(), {held().reuseport()}, one).error, 0);
}

TEST(Search, UdpWithoutAPortFailsWithEagain) {
  const auto one = range(40000, 40000);
  const auto held = holds("127.0.0.1:40000").udp();
  EXPECT_EQ(search(ask("0.0.0.0:0").udp().to_autobind(), {held}, one).error, EAGAIN);
  EXPECT_EQ(search(ask("0.0.0.0:0").udp().to_connect("10.0.0.9:53"), {held}, one).error, EAGAIN);
  EXPECT_EQ(search(ask("0.0.0.0:0").udp().to_autobind(), {}, one).error, 0);
}

TEST(Search, TheSocketsOwnRangeNarrowsWhereTheKernelHasIt) {
  const auto hosts = range(40000, 40009);
  const auto a = ask("0.0.0.0:0").own_range(40004, 40004);
  EXPECT_EQ(search(a, {holds("0.0.0.0:40004")}, hosts).error, EADDRINUSE);
  Variants v;
  v.socket_port_range = false;
  EXPECT_EQ(search(a, {holds("0.0.0.0:40004")}, hosts, v).error, 0);
  // Each end counts by itself, and only inside the host's range.
  EXPECT_EQ(effective_range({40000, 40009}, {1, 40004}, {}), (PortRange{40000, 40004}));
  EXPECT_EQ(effective_range({40000, 40009}, {40004, 50000}, {}), (PortRange{40004, 40009}));
  EXPECT_EQ(effective_range({40000, 40009}, {40006, 40004}, {}), (PortRange{40006, 40009}));
}

// With an odd number of ports the kernel goes through one less.
TEST(Search, OddRangesHaveAPortThatIsVisitedByChance) {
  EXPECT_EQ(visits({40000, 40000}, 40000), Visit::always);
  EXPECT_EQ(visits({40000, 40001}, 40001), Visit::always);
  EXPECT_EQ(visits({40000, 40002}, 40002), Visit::never);
  EXPECT_EQ(visits({40000, 40004}, 40004), Visit::by_chance);
  EXPECT_EQ(visits({40000, 40004}, 40000), Visit::by_chance);
  EXPECT_EQ(visits({40000, 40004}, 40003), Visit::always);
  EXPECT_EQ(visits({40000, 40004}, 40005), Visit::never);
  // With SO_REUSEADDR the lower half comes first, and each half has its own end.
  EXPECT_EQ(bind_visits({40000, 40004}, 40001, true), Visit::always);
  EXPECT_EQ(bind_visits({40000, 40004}, 40004, true), Visit::never);
  const auto v = search(ask("0.0.0.0:0"),
                        {holds("0.0.0.0:40001"), holds("0.0.0.0:40002"), holds("0.0.0.0:40003"),
                         holds("0.0.0.0:40000")},
                        range(40000, 40004));
  EXPECT_TRUE(v.open);
}

TEST(Search, TheRangeIsCountedInFullWhereverTheSearchEnds) {
  const auto v = search(ask("0.0.0.0:0"), {holds("0.0.0.0:40000")}, range(40000, 40003));
  EXPECT_TRUE(v.would_succeed);
  EXPECT_EQ(v.search.range, 4u);
}

// A port that is free but never visited is neither in use nor reserved.
TEST(Search, APortThatIsLeftOutIsCountedApart) {
  const auto v = search(ask("0.0.0.0:0"), {holds("0.0.0.0:40000"), holds("0.0.0.0:40001")},
                        range(40000, 40002));
  EXPECT_EQ(v.rule, Rule::ephemeral_exhausted);
  EXPECT_EQ(v.search.taken, 2u);
  EXPECT_EQ(v.search.passed_over, 1u);
}

TEST(Search, AnUnknownRangeLeavesTheAnswerOpen) {
  HostFacts f = known_host();
  f.local_port_range.reset();
  EXPECT_TRUE(search(ask("0.0.0.0:0"), {}, f).open);
  f = known_host();
  f.reserved_ports.reset();
  EXPECT_TRUE(search(ask("0.0.0.0:0").to_connect("10.0.0.9:80"), {}, f).open);
}

// --- connect --------------------------------------------------------------------

model::PortView connected_bucket(std::initializer_list<holds> holders) {
  auto view = view_of(holders);
  for (auto& b : view.buckets)
    b.fastreuse = b.fastreuseport = -1;
  return view;
}

TEST(Connect, SharesPortsBetweenDestinations) {
  const auto a = [](const char* to) { return ask("10.0.0.5:0").to_connect(to); };
  const auto view = connected_bucket({holds("10.0.0.5:40000").child("10.0.0.9:80")});
  const auto one = range(40000, 40000);
  EXPECT_EQ(decide(a("10.0.0.9:81").request(), view, one, {}).error, 0);
  const auto same = decide(a("10.0.0.9:80").request(), view, one, {});
  EXPECT_EQ(same.error, EADDRNOTAVAIL);
  EXPECT_EQ(same.rule, Rule::ephemeral_exhausted);
}

TEST(Connect, CountsThePortsThatBindTookApart) {
  auto view = connected_bucket({holds("10.0.0.5:40000").child("10.0.0.9:80")});
  view.buckets.push_back(view_of({holds("127.0.0.1:40001")}).buckets[0]);
  const auto a = ask("10.0.0.5:0").to_connect("10.0.0.9:80");
  const auto v = decide(a.request(), view, range(40000, 40001), {});
  EXPECT_EQ(v.error, EADDRNOTAVAIL);
  EXPECT_EQ(v.search.taken, 2u);
  EXPECT_EQ(v.search.bound, 1u);
}

TEST(Connect, OneExplicitBinderClosesThePort) {
  EXPECT_EQ(search(ask("10.0.0.5:0").to_connect("10.0.0.9:80"), {holds("127.0.0.1:40000")},
                   range(40000, 40000))
                .error,
            EADDRNOTAVAIL);
}

TEST(Connect, EitherCacheByteClosesThePort) {
  auto view = connected_bucket({holds("10.0.0.5:40000").child("10.0.0.9:80")});
  const auto a = ask("10.0.0.5:0").to_connect("10.0.0.9:81");
  const auto error = [&] { return decide(a.request(), view, range(40000, 40000), {}).error; };
  EXPECT_EQ(error(), 0);
  view.buckets[0].fastreuseport = 2;
  EXPECT_EQ(error(), EADDRNOTAVAIL);
  view.buckets[0].fastreuseport = -1;
  view.buckets[0].fastreuse = 0;
  EXPECT_EQ(error(), EADDRNOTAVAIL);
}

TEST(Connect, WithAPortOnlyTheTupleCounts) {
  const auto view = view_of({holds("10.0.0.5:8080").connected("10.0.0.9:80")});
  const auto v = verdict(ask("10.0.0.5:8080").to_connect("10.0.0.9:80"), view);
  EXPECT_EQ(v.error, EADDRNOTAVAIL);
  EXPECT_EQ(v.rule, Rule::tuple_in_use);
  ASSERT_EQ(v.blockers.size(), 1u);
  EXPECT_EQ(verdict(ask("10.0.0.5:8080").to_connect("10.0.0.9:81"), view).error, 0);
  EXPECT_EQ(verdict(ask("127.0.0.1:8080").to_connect("10.0.0.9:80"), view).error, 0);
}

TEST(Connect, AnyMeansTheOwnAddressOrLoopback) {
  const auto own = view_of({holds("10.0.0.5:8080").connected("10.0.0.5:80")});
  EXPECT_EQ(verdict(ask("10.0.0.5:8080").to_connect("0.0.0.0:80"), own).error, EADDRNOTAVAIL);
  const auto v6 = view_of({holds("[::1]:8080").connected("[::1]:80")});
  EXPECT_EQ(verdict(ask("[::1]:8080").to_connect("[::]:80"), v6).error, EADDRNOTAVAIL);
  const auto loopback = view_of({holds("127.0.0.1:8080").connected("127.0.0.1:80")});
  EXPECT_EQ(verdict(ask("0.0.0.0:8080").to_connect("0.0.0.0:80"), loopback).error, EADDRNOTAVAIL);
}

TEST(Connect, ATimeWaitTupleIsLeftOpen) {
  auto tw = holds("10.0.0.5:8080").connected("10.0.0.9:80").time_wait();
  const auto v = verdict(ask("10.0.0.5:8080").to_connect("10.0.0.9:80"), view_of({tw}));
  EXPECT_TRUE(v.open);
}

// tcp_tw_reuse has no say when the caller names the port.
TEST(Connect, WhereTheKernelSearchesTwReuseDecides) {
  const auto view = connected_bucket({holds("10.0.0.5:40000").child("10.0.0.9:80").time_wait(),
                                      holds("127.0.0.1:40000").child("127.0.0.1:80").time_wait()});
  auto facts = range(40000, 40000);
  const auto far = [&] {
    return decide(ask("10.0.0.5:0").to_connect("10.0.0.9:80").request(), view, facts, {});
  };
  const auto near = [&] {
    return decide(ask("127.0.0.1:0").to_connect("127.0.0.1:80").request(), view, facts, {});
  };
  facts.tcp_tw_reuse = 0;
  EXPECT_EQ(far().error, EADDRNOTAVAIL);
  EXPECT_FALSE(far().open);
  EXPECT_EQ(near().error, EADDRNOTAVAIL);
  facts.tcp_tw_reuse = 2;
  EXPECT_EQ(far().error, EADDRNOTAVAIL);
  EXPECT_TRUE(near().open);
  facts.tcp_tw_reuse = 1;
  EXPECT_TRUE(far().open);
  facts.tcp_tw_reuse.reset();
  EXPECT_TRUE(far().open);
  const auto named = ask("10.0.0.5:40000").to_connect("10.0.0.9:80");
  facts.tcp_tw_reuse = 0;
  EXPECT_TRUE(decide(named.request(), view, facts, {}).open);
}

TEST(Connect, DevicesTellTuplesApart) {
  const auto view = view_of({holds("10.0.0.5:8080").connected("10.0.0.9:80").dev(2)});
  EXPECT_EQ(verdict(ask("10.0.0.5:8080").to_connect("10.0.0.9:80"), view).error, 0);
  EXPECT_EQ(verdict(ask("10.0.0.5:8080").dev(2).to_connect("10.0.0.9:80"), view).error,
            EADDRNOTAVAIL);
}

// It stays the name of the socket, but the connection does not come from there.
TEST(Connect, ABroadcastOrMulticastAddressIsNoSource) {
  const auto one = ask("127.255.255.255:8080").to_connect("127.0.0.1:80");
  const auto view = view_of({holds("127.0.0.1:8080").connected("127.0.0.1:80")});
  HostFacts facts = known_host();
  facts.routes = {{model::Address::v4(127, 0, 0, 0), 8, RouteType::local, local_table},
                  {model::Address::v4(127, 255, 255, 255), 32, RouteType::broadcast, local_table}};
  EXPECT_TRUE(decide(one.request(), view, facts, {}).open);
  EXPECT_TRUE(verdict(ask("224.0.0.1:8080").to_connect("127.0.0.1:80"), view).open);
  EXPECT_FALSE(verdict(ask("127.0.0.2:8080").to_connect("127.0.0.1:80"), view).open);
}

TEST(Connect, AnUnknownSourceIsSaid) {
  const auto view = view_of({holds("10.0.0.5:8080").connected("10.0.0.9:80")});
  EXPECT_TRUE(verdict(ask("0.0.0.0:8080").to_connect("10.0.0.9:80"), view).open);
}

} // namespace
} // namespace bindlens::rules::test
