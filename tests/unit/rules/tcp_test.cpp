#include "world.h"

#include <array>

namespace bindlens::rules::test {
namespace {

// --- who overlaps whom ----------------------------------------------------------

constexpr std::array<const char*, 8> kinds = {
    "0.0.0.0:80", "127.0.0.1:80", "127.0.0.2:80",        "[::]:80",
    "[::]:80",    "[::1]:80",     "[::ffff:0.0.0.0]:80", "[::ffff:127.0.0.1]:80"};
constexpr size_t v6only_kind = 4; // of the two [::], this one has IPV6_V6ONLY

// Row: holder, column: binder; X = refused without options.
constexpr std::array<std::string_view, 8> overlap = {
    "XXXX..XX", // 0.0.0.0
    "XX.X..XX", // 127.0.0.1
    "X.XX..X.", // 127.0.0.2
    "XXXXXXXX", // ::
    "...XXX..", // :: v6only
    "...XXX..", // ::1
    "XXXX..XX", // ::ffff:0.0.0.0
    "XX.X..XX", // ::ffff:127.0.0.1
};

HostFacts unprivileged() {
  HostFacts f = known_host();
  f.unprivileged_port_start = 0;
  return f;
}

void expect_overlap(const Variants& v, bool udp) {
  for (size_t h = 0; h < kinds.size(); ++h) {
    for (size_t b = 0; b < kinds.size(); ++b) {
      holds holder(kinds[h]);
      ask binder(kinds[b]);
      if (h == v6only_kind) holder.v6only();
      if (b == v6only_kind) binder.v6only();
      if (udp) {
        holder.udp();
        binder.udp();
      }
      const bool refused = !verdict(binder, view_of({holder}), v, unprivileged()).would_succeed;
      EXPECT_EQ(refused, overlap[h][b] == 'X')
          << kinds[h] << " held, " << kinds[b] << " asked, " << h << " " << b;
    }
  }
}

TEST(TcpOverlap, PerAddressBuckets) {
  expect_overlap({}, false);
}

TEST(TcpOverlap, AllHoldersCompared) {
  Variants v;
  v.per_address_buckets = false;
  expect_overlap(v, false);
}

TEST(UdpOverlap, PrimaryChain) {
  expect_overlap({}, true);
}

TEST(TcpOverlap, MappedWildcardGapHidesOneHolderOnly) {
  Variants v;
  v.mapped_wildcard_gap = true;
  EXPECT_EQ(error(ask("[::ffff:127.0.0.1]:8080"), {holds("[::ffff:0.0.0.0]:8080")}, v), 0);
  EXPECT_EQ(error(ask("127.0.0.1:8080"), {holds("[::ffff:0.0.0.0]:8080")}, v), EADDRINUSE);
  EXPECT_EQ(error(ask("[::ffff:127.0.0.1]:8080"), {holds("0.0.0.0:8080")}, v), EADDRINUSE);
  // The bucket belongs to the family that made it: the oldest, last in the chain.
  EXPECT_EQ(error(ask("[::ffff:127.0.0.1]:8080"),
                  {holds("[::ffff:0.0.0.0]:8080"), holds("0.0.0.0:8080")}, v),
            EADDRINUSE);
}

TEST(TcpOverlap, V6ConnectionOfADualStackSocketStandsForIpv4) {
  const auto connection = holds("[fd00::5]:8080").child("[fd00::9]:443");
  EXPECT_EQ(error(ask("0.0.0.0:8080"), {connection}), EADDRINUSE);
  EXPECT_EQ(error(ask("127.0.0.6:8080"), {connection}), 0);
  Variants all;
  all.per_address_buckets = false;
  EXPECT_EQ(error(ask("127.0.0.6:8080"), {connection}, all), EADDRINUSE);
  EXPECT_EQ(error(ask("0.0.0.0:8080"), {holds("[fd00::5]:8080")}), 0);
}

TEST(TcpOverlap, DevicesNamespacesAndVrfsSeparate) {
  EXPECT_EQ(error(ask("0.0.0.0:8080").dev(1), {holds("0.0.0.0:8080").dev(2)}), 0);
  EXPECT_EQ(error(ask("0.0.0.0:8080").dev(1), {holds("0.0.0.0:8080")}), EADDRINUSE);
  EXPECT_EQ(error(ask("0.0.0.0:8080"), {holds("0.0.0.0:8080").dev(2)}), EADDRINUSE);
  EXPECT_EQ(error(ask("0.0.0.0:8080"), {holds("0.0.0.0:8080").netns(5)}), 0);
  // A socket on a slave of the VRF asks the VRF's bucket.
  EXPECT_EQ(error(ask("0.0.0.0:8080").dev(3), {holds("0.0.0.0:8080")}), 0);
  EXPECT_EQ(verdict(ask("0.0.0.0:8080").dev(3), view_of({holds("0.0.0.0:8080")}, 9)).error,
            EADDRINUSE);
}

TEST(TcpOverlap, TcpL3mdevAcceptJoinsTheVrfs) {
  HostFacts f = known_host();
  f.tcp_l3mdev_accept = true;
  EXPECT_EQ(verdict(ask("0.0.0.0:8080").dev(3), view_of({holds("0.0.0.0:8080")}), {}, f).error,
            EADDRINUSE);
}

// --- the options ----------------------------------------------------------------

TEST(TcpOptions, ReuseaddrNeedsBothAndNoListener) {
  const auto a = [] { return ask("127.0.0.1:8080"); };
  const auto h = [] { return holds("127.0.0.1:8080"); };
  EXPECT_EQ(rule(a(), {h()}), Rule::requester_no_reuseaddr);
  EXPECT_EQ(rule(a(), {h().reuseaddr()}), Rule::requester_no_reuseaddr);
  EXPECT_EQ(rule(a().reuseaddr(), {h()}), Rule::holder_no_reuseaddr);
  EXPECT_EQ(error(a().reuseaddr(), {h().reuseaddr()}), 0);
  EXPECT_EQ(rule(a().reuseaddr(), {h().reuseaddr().listening()}), Rule::listener);
  EXPECT_EQ(rule(a(), {h().listening()}), Rule::listener);
}

TEST(TcpOptions, ReuseportNeedsBothAndOneUser) {
  const auto a = [] { return ask("127.0.0.1:8080").reuseport(); };
  const auto h = [] { return holds("127.0.0.1:8080").reuseport(); };
  EXPECT_EQ(error(a(), {h()}), 0);
  EXPECT_EQ(error(a(), {h().listening()}), 0);
  EXPECT_EQ(rule(a().uid(5), {h()}), Rule::reuseport_uid);
  EXPECT_EQ(rule(a().uid(5), {h().listening()}), Rule::reuseport_uid);
  EXPECT_EQ(rule(a(), {holds("127.0.0.1:8080")}), Rule::holder_no_reuseport);
  EXPECT_EQ(rule(ask("127.0.0.1:8080"), {h()}), Rule::requester_no_reuseport);
  EXPECT_EQ(rule(ask("127.0.0.1:8080"), {h().listening()}), Rule::listener);
}

TEST(TcpOptions, ProgramAttachedBeforeBindKeepsOutUnlessGroupHasClosedOnes) {
  const auto h = holds("127.0.0.1:8080").reuseport();
  const auto alone = ask("127.0.0.1:8080").reuseport().with(SocketFlag::has_group);
  EXPECT_EQ(rule(alone, {h}), Rule::requester_no_reuseport);
  EXPECT_EQ(error(ask("127.0.0.1:8080")
                      .reuseport()
                      .with(SocketFlag::has_group)
                      .with(SocketFlag::group_has_closed),
                  {h}),
            0);
}

TEST(TcpOptions, TimeWaitKeepsOptionsAndHasNoUser) {
  const auto tw = [] { return holds("127.0.0.1:8080").time_wait(); };
  EXPECT_EQ(rule(ask("127.0.0.1:8080"), {tw()}), Rule::time_wait);
  EXPECT_EQ(rule(ask("127.0.0.1:8080").reuseaddr(), {tw()}), Rule::time_wait);
  EXPECT_EQ(error(ask("127.0.0.1:8080").reuseaddr(), {tw().reuseaddr()}), 0);
  EXPECT_EQ(error(ask("127.0.0.1:8080").reuseport().uid(5), {tw().reuseport()}), 0);
}

TEST(TcpOptions, TimeWaitGapHidesItFromSpecificAddresses) {
  Variants v;
  v.timewait_gap = true;
  EXPECT_EQ(error(ask("127.0.0.1:8080"), {holds("127.0.0.1:8080").time_wait()}, v), 0);
  EXPECT_EQ(error(ask("0.0.0.0:8080"), {holds("127.0.0.1:8080").time_wait()}, v), EADDRINUSE);
}

TEST(TcpOptions, OrphansCountAsRootWhereTheInodeIsCompared) {
  const auto queued = holds("127.0.0.1:8080").child("127.0.0.1:5000").reuseport().queued();
  const auto a = ask("127.0.0.1:8080").reuseport();
  EXPECT_EQ(error(a, {queued}), 0);
  Variants inode;
  inode.reuseport_uid = Variants::Uid::inode;
  EXPECT_EQ(error(a, {queued}, inode), EADDRINUSE);
  EXPECT_EQ(error(ask("127.0.0.1:8080").reuseport().uid(0), {queued}, inode), 0);
}

TEST(TcpOptions, WhoHoldsItIsNamedBeforeTheOptions) {
  EXPECT_EQ(rule(ask("0.0.0.0:8080"), {holds("127.0.0.1:8080").child("127.0.0.1:5000")}),
            Rule::connected_child);
  EXPECT_EQ(rule(ask("0.0.0.0:8080"),
                 {holds("127.0.0.1:8080").child("127.0.0.1:5000").with(SocketFlag::connect_bind)}),
            Rule::bucket_connect_only);
  auto view = view_of({holds("127.0.0.1:8080").child("127.0.0.1:5000")});
  view.buckets[0].fastreuse = view.buckets[0].fastreuseport = -1;
  EXPECT_EQ(verdict(ask("0.0.0.0:8080"), view).rule, Rule::bucket_connect_only);
  // Bound by number and connected: its own options count.
  EXPECT_EQ(rule(ask("0.0.0.0:8080"), {holds("127.0.0.1:8080").connected("127.0.0.1:5000")}),
            Rule::requester_no_reuseaddr);
}

TEST(TcpOptions, RepairForcesItsWayOverAListener) {
  const auto v = verdict(ask("0.0.0.0:8080").with(SocketFlag::force_reuse),
                         view_of({holds("127.0.0.1:8080").listening()}));
  EXPECT_TRUE(v.would_succeed);
  EXPECT_EQ(v.path, Path::forced);
}

TEST(TcpOptions, MptcpSharesTheTableOfTcp) {
  EXPECT_EQ(rule(ask("0.0.0.0:8080").proto(Proto::mptcp), {holds("0.0.0.0:8080").listening()}),
            Rule::listener);
}

// --- the caches of the bucket ---------------------------------------------------

TEST(TcpCache, FastreuseLetsASecondReuseaddrBinderIn) {
  auto view = view_of({holds("127.0.0.1:8080")});
  view.buckets[0].fastreuse = 1;
  const auto v = verdict(ask("127.0.0.1:8080").reuseaddr(), view);
  EXPECT_TRUE(v.would_succeed);
  EXPECT_EQ(v.path, Path::cached_addr);
  EXPECT_EQ(verdict(ask("127.0.0.1:8080"), view).error, EADDRINUSE);
  EXPECT_EQ(verdict(ask("127.0.0.1:8080").reuseaddr().to_listen(), view).error, EADDRINUSE);
}

model::PortView with_port_cache(const holds& h, int8_t kind, const char* fast, uint32_t uid) {
  auto view = view_of({h});
  view.buckets[0].fastreuseport = kind;
  view.buckets[0].fastuid = uid;
  view.buckets[0].fast_addr = address(fast);
  return view;
}

TEST(TcpCache, StrictReuseportCacheComparesTheAddress) {
  const auto h = holds("127.0.0.1:8080"); // has cleared SO_REUSEPORT since
  const auto a = ask("127.0.0.1:8080").reuseport();
  EXPECT_EQ(verdict(a, with_port_cache(h, 2, "127.0.0.1", 1000)).path, Path::cached_port);
  EXPECT_EQ(verdict(a, with_port_cache(h, 2, "0.0.0.0", 1000)).path, Path::cached_port);
  EXPECT_EQ(verdict(a, with_port_cache(h, 2, "127.0.0.2", 1000)).error, EADDRINUSE);
  EXPECT_EQ(verdict(a, with_port_cache(h, 2, "127.0.0.1", 5)).error, EADDRINUSE);
  // Only the cached address may stand for all.
  EXPECT_EQ(
      verdict(ask("0.0.0.0:8080").reuseport(), with_port_cache(h, 2, "127.0.0.1", 1000)).error,
      EADDRINUSE);
}

TEST(TcpCache, AnyReuseportCacheDoesNotCompareTheAddress) {
  const auto h = holds("127.0.0.1:8080");
  EXPECT_EQ(
      verdict(ask("0.0.0.0:8080").reuseport(), with_port_cache(h, 1, "127.0.0.1", 1000)).error, 0);
  EXPECT_EQ(verdict(ask("0.0.0.0:8080").reuseport().with(SocketFlag::has_group),
                    with_port_cache(h, 1, "127.0.0.1", 1000))
                .error,
            EADDRINUSE);
}

TEST(TcpCache, DualStackCacheCoversIpv4) {
  const auto h = holds("[::]:8080");
  EXPECT_EQ(verdict(ask("127.0.0.1:8080").reuseport(), with_port_cache(h, 2, "::", 1000)).error, 0);
  auto view = with_port_cache(h, 2, "::", 1000);
  view.buckets[0].fast_v6only = true;
  EXPECT_EQ(verdict(ask("127.0.0.1:8080").reuseport(), view).error, EADDRINUSE);
}

// --- listen ---------------------------------------------------------------------

TEST(TcpListen, AsksTheTableAgainAndLeavesItselfOut) {
  const auto mine = holds("0.0.0.0:8080").reuseaddr().id(7);
  const auto a = ask("0.0.0.0:8080").reuseaddr().to_listen().self(7);
  EXPECT_EQ(error(a, {mine}), 0);
  EXPECT_EQ(error(ask("0.0.0.0:8080").to_listen().self(7), {holds("0.0.0.0:8080").id(7)}), 0);
  EXPECT_EQ(error(a, {mine, holds("127.0.0.1:8080").reuseaddr()}), 0);
  EXPECT_EQ(rule(a, {mine, holds("127.0.0.1:8080").reuseaddr().listening()}), Rule::listener);
}

TEST(TcpListen, AfterBindIsAskedTogetherWithIt) {
  auto view = view_of({holds("127.0.0.1:8080").listening()});
  view.buckets[0].fastreuse = 1; // lets the bind in, and not the listen
  const auto v = verdict(ask("0.0.0.0:8080").reuseaddr().then_listen(), view);
  EXPECT_FALSE(v.would_succeed);
  EXPECT_EQ(v.failing, Operation::listen);
  EXPECT_EQ(v.rule, Rule::listener);
  EXPECT_EQ(verdict(ask("0.0.0.0:8080").reuseaddr(), view).error, 0);
}

TEST(TcpListen, TheBindBeforeItLeavesItsOwnCache) {
  auto view = view_of({holds("127.0.0.1:8080")});
  view.buckets[0].fastreuse = 1;
  EXPECT_EQ(verdict(ask("127.0.0.1:8080").reuseaddr().then_listen(), view).failing,
            Operation::listen);
  EXPECT_EQ(verdict(ask("127.0.0.1:8080").reuseaddr().reuseport().then_listen(), view).error, 0);
}

TEST(TcpListen, AfterAReuseportBindTheCacheLetsItIn) {
  auto view = with_port_cache(holds("127.0.0.1:8080").listening(), 2, "127.0.0.1", 1000);
  EXPECT_EQ(verdict(ask("127.0.0.1:8080").reuseport().then_listen(), view).error, 0);
}

TEST(TcpListen, IsRefusedForDatagramsAndConnections) {
  EXPECT_EQ(error(ask("0.0.0.0:8080").udp().to_listen()), EOPNOTSUPP);
  EXPECT_EQ(error(ask("0.0.0.0:8080").udp().then_listen()), EOPNOTSUPP);
  EXPECT_EQ(error(ask("0.0.0.0:8080").to_listen().connected()), EINVAL);
}

// --- what the verdict says about the holders ------------------------------------

TEST(Blockers, AllOfThemInTheKernelsOrderWithTheirRelation) {
  const auto view = view_of({holds("127.0.0.1:8080").time_wait(),
                             holds("10.0.0.5:8080").listening(), holds("[::1]:8080")});
  const auto v = verdict(ask("0.0.0.0:8080"), view);
  ASSERT_EQ(v.blockers.size(), 2u);
  EXPECT_EQ(v.rule, Rule::listener) << "a listener says more than what is gone in a minute";
  EXPECT_EQ(v.blockers[0].rule, Rule::time_wait);
  EXPECT_EQ(v.blockers[1].rule, Rule::listener);
  EXPECT_EQ(v.blockers[1].socket, &view.buckets[0].sockets[1]);
  EXPECT_EQ(v.blockers[0].relation, Relation::requester_is_wildcard);
  EXPECT_TRUE(v.blockers[0].necessary);
}

TEST(Blockers, Relations) {
  const auto relation = [](const char* h, const char* a) {
    return relation_of(address(h), address(a));
  };
  EXPECT_EQ(relation("127.0.0.1", "127.0.0.1"), Relation::same);
  EXPECT_EQ(relation("0.0.0.0", "127.0.0.1"), Relation::holder_is_wildcard);
  EXPECT_EQ(relation("127.0.0.1", "0.0.0.0"), Relation::requester_is_wildcard);
  EXPECT_EQ(relation("::", "127.0.0.1"), Relation::v6_wildcard_covers_v4);
  EXPECT_EQ(relation("::", "0.0.0.0"), Relation::v6_wildcard_covers_v4);
  EXPECT_EQ(relation("0.0.0.0", "::"), Relation::v6_wildcard_covers_v4);
  EXPECT_EQ(relation("::", "::1"), Relation::holder_is_wildcard);
  EXPECT_EQ(relation("::ffff:127.0.0.1", "127.0.0.1"), Relation::v4_mapped);
  EXPECT_EQ(relation("127.0.0.1", "127.0.0.2"), Relation::none);
}

TEST(Walk, TornOrTruncatedLeavesTheAnswerOpen) {
  auto view = view_of({holds("127.0.0.1:8080")});
  view.torn = true;
  const auto v = verdict(ask("10.0.0.5:8080"), view);
  EXPECT_TRUE(v.open);
  ASSERT_EQ(v.unknown.size(), 1u);
}

} // namespace
} // namespace bindlens::rules::test
