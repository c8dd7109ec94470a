#include "world.h"

namespace bindlens::rules::test {
namespace {

holds udp(const char* at) {
  return holds(at).udp();
}
ask wants(const char* at) {
  return ask(at).udp();
}

TEST(Udp, ReuseaddrOnBothIsEnoughForAnyUser) {
  EXPECT_EQ(error(wants("0.0.0.0:5353").reuseaddr().uid(5), {udp("0.0.0.0:5353").reuseaddr()}), 0);
  EXPECT_EQ(rule(wants("0.0.0.0:5353").reuseaddr(), {udp("0.0.0.0:5353")}), Rule::udp_no_reuse);
  EXPECT_EQ(rule(wants("0.0.0.0:5353"), {udp("0.0.0.0:5353").reuseaddr()}), Rule::udp_no_reuse);
}

TEST(Udp, ReuseportAsksForOneUser) {
  const auto h = udp("0.0.0.0:5353").reuseport();
  EXPECT_EQ(error(wants("0.0.0.0:5353").reuseport(), {h}), 0);
  EXPECT_EQ(rule(wants("0.0.0.0:5353").reuseport().uid(5), {h}), Rule::udp_reuseport_uid);
  EXPECT_EQ(rule(wants("0.0.0.0:5353").reuseport().with(SocketFlag::has_group), {h}),
            Rule::udp_no_reuse);
}

TEST(Udp, TheFirstDecisiveHolderWins) {
  const auto shares = udp("0.0.0.0:5353").reuseport();
  const auto refuses = udp("10.0.0.5:5353");
  EXPECT_EQ(error(wants("0.0.0.0:5353").reuseport(), {shares, refuses}), 0);
  EXPECT_EQ(error(wants("0.0.0.0:5353").reuseport(), {refuses, shares}), EADDRINUSE);
}

TEST(Udp, OnlyThoseBeforeTheFirstSharerAreInTheWay) {
  const auto view =
      view_of({udp("10.0.0.5:5353"), udp("0.0.0.0:5353").reuseport(), udp("127.0.0.1:5353")});
  const auto v = verdict(wants("0.0.0.0:5353").reuseport(), view);
  ASSERT_EQ(v.blockers.size(), 1u);
  EXPECT_EQ(v.blockers[0].socket, &view.buckets[0].sockets[0]);
}

TEST(Udp, OtherTablesDoNotMatter) {
  EXPECT_EQ(error(wants("0.0.0.0:5353"), {holds("0.0.0.0:5353").listening()}), 0);
  EXPECT_EQ(error(ask("0.0.0.0:5353").proto(Proto::udplite), {udp("0.0.0.0:5353")}), 0);
  EXPECT_EQ(error(wants("0.0.0.0:5353"), {udp("0.0.0.0:5353").netns(5)}), 0);
  EXPECT_EQ(error(wants("0.0.0.0:5353"), {udp("0.0.0.0:5354")}), 0);
}

TEST(Udp, HasOneTableForAllVrfs) {
  EXPECT_EQ(error(wants("0.0.0.0:5353").dev(3), {udp("0.0.0.0:5353")}), EADDRINUSE);
}

TEST(Udp, LiteIsRefusedWhereItIsGone) {
  Variants v;
  v.udplite = false;
  EXPECT_EQ(error(ask("0.0.0.0:5353").proto(Proto::udplite), {}, v), EPROTONOSUPPORT);
}

// --- more than ten sockets in the slot ------------------------------------------

Verdict in_long_slot(const ask& a, std::initializer_list<holds> holders, const Variants& v = {}) {
  // The view goes away with this function: what is looked at is the answer alone.
  auto view = view_of(holders);
  view.buckets[0].slot_count = 11;
  return verdict(a, view, v);
}

TEST(UdpHash2, WildcardsSeeEveryone) {
  EXPECT_EQ(in_long_slot(wants("0.0.0.0:5353"), {udp("127.0.0.1:5353")}).error, EADDRINUSE);
}

TEST(UdpHash2, TheGapHidesSpecificHoldersFromWildcards) {
  Variants v;
  v.udp_wildcard_gap = true;
  const auto hidden = in_long_slot(wants("0.0.0.0:5353"), {udp("127.0.0.1:5353")}, v);
  EXPECT_EQ(hidden.error, 0);
  EXPECT_TRUE(hidden.open) << "the two addresses may share a slot by chance";
  EXPECT_EQ(in_long_slot(wants("0.0.0.0:5353"), {udp("[::]:5353")}, v).error, EADDRINUSE);
  EXPECT_EQ(error(wants("0.0.0.0:5353"), {udp("127.0.0.1:5353")}, v), EADDRINUSE)
      << "a short slot is walked whole";
}

TEST(UdpHash2, TheExactAddressComesBeforeTheWildcard) {
  const auto any = udp("0.0.0.0:5353");
  const auto exact = udp("127.0.0.1:5353").reuseport();
  // The primary chain would meet the wildcard first.
  EXPECT_EQ(in_long_slot(wants("127.0.0.1:5353").reuseport(), {any, exact}).error, 0);
  EXPECT_EQ(error(wants("127.0.0.1:5353").reuseport(), {any, exact}), EADDRINUSE);
}

TEST(UdpHash2, AShadowAddressIsInAnotherChain) {
  const auto connection = udp("[fd00::5]:5353").child("[fd00::9]:53");
  EXPECT_EQ(error(wants("127.0.0.6:5353"), {connection}), EADDRINUSE);
  EXPECT_EQ(in_long_slot(wants("127.0.0.6:5353"), {connection}).error, 0);
}

TEST(UdpHash2, UnknownOrderLeavesTheAnswerOpen) {
  const auto v = in_long_slot(wants("127.0.0.1:5353").reuseport(),
                              {udp("127.0.0.1:5353").reuseport(), udp("127.0.0.1:5353")});
  EXPECT_TRUE(v.open);
  EXPECT_FALSE(v.unknown.empty());
}

TEST(UdpHash2, ClosingHoldersShortensTheSlotAndBringsNewOnes) {
  // Eleven in the slot: the exact chain is walked, and only the first refuses.
  // Without it the slot is short, and the primary chain has the shadow refuse.
  auto view = view_of({udp("[fd00::5]:5353").child("[fd00::9]:53"), udp("127.0.0.6:5353")});
  view.buckets[0].slot_count = 11;
  const auto v = verdict(wants("127.0.0.6:5353"), view);
  ASSERT_EQ(v.blockers.size(), 2u);
  EXPECT_TRUE(v.blockers[0].necessary);
}

TEST(Udp, ConnectWithAPortAsksNobody) {
  EXPECT_EQ(error(wants("10.0.0.5:5353").to_connect("10.0.0.9:53"),
                  {udp("10.0.0.5:5353").connected("10.0.0.9:53")}),
            0);
}

} // namespace
} // namespace bindlens::rules::test
