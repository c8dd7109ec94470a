// Who receives what; the kernel test AuditDelivery compares the same function with
// real traffic.

#include <bindlens/audit/receivers.h>

#include "world.h"

#include <algorithm>

namespace bindlens::audit {
namespace {

using model::SocketFlag;
using rules::test::endpoint;
using rules::test::holds;

// Positions in `all` of those that receive.
struct Told {
  std::vector<size_t> who;
  bool certain = true;
  bool operator==(const Told&) const = default;
};
void PrintTo(const Told& t, std::ostream* out) {
  for (const size_t i : t.who)
    *out << i << ' ';
  *out << (t.certain ? "certain" : "uncertain");
}

using Receive = Receivers (*)(std::span<const model::Socket* const>, const Packet&);

Told receive(Receive by, const std::vector<holds>& all, const Packet& packet) {
  std::vector<const model::Socket*> sockets;
  for (const holds& h : all)
    sockets.push_back(&h.socket());
  const Receivers r = by(sockets, packet);
  Told told{{}, r.certain};
  for (const model::Socket* s : r.sockets)
    told.who.push_back(static_cast<size_t>(std::ranges::find(sockets, s) - sockets.begin()));
  return told;
}

Told tcp(const std::vector<holds>& all, const char* to, uint32_t dev = 1) {
  return receive(tcp_receivers, all, {endpoint(to), {}, dev});
}
Told udp(const std::vector<holds>& all, const char* to, const char* from = "0.0.0.0:0",
         uint32_t dev = 1) {
  return receive(udp_receivers, all, {endpoint(to), endpoint(from), dev});
}
holds listens(const char* at) {
  return holds(at).listening();
}
holds group(const char* at) {
  return listens(at).reuseport().with(SocketFlag::has_group);
}
holds gets(const char* at) {
  return holds(at).udp();
}
const Told nobody{{}, true};
Told only(size_t i) {
  return {{i}, true};
}

TEST(TcpReceivers, ExactAddressComesBeforeTheWildcard) {
  const std::vector<holds> all = {listens("0.0.0.0:80"), listens("127.0.0.1:80")};
  EXPECT_EQ(tcp(all, "127.0.0.1:80"), only(1));
  EXPECT_EQ(tcp(all, "127.0.0.2:80"), only(0));
  EXPECT_EQ(tcp(all, "[::1]:80"), nobody);
  EXPECT_EQ(tcp(all, "127.0.0.1:81"), nobody);
}

TEST(TcpReceivers, OnlyListenersReceive) {
  EXPECT_EQ(tcp({holds("127.0.0.1:80"), listens("0.0.0.0:80")}, "127.0.0.1:80"), only(1));
  EXPECT_EQ(tcp({holds("0.0.0.0:80")}, "127.0.0.1:80"), nobody);
}

TEST(TcpReceivers, DualStackTakesBothFamiliesAfterIpv4) {
  const std::vector<holds> dual = {listens("[::]:80")};
  EXPECT_EQ(tcp(dual, "127.0.0.1:80"), only(0));
  EXPECT_EQ(tcp(dual, "[::1]:80"), only(0));
  const std::vector<holds> both = {group("[::]:80"), group("0.0.0.0:80")};
  EXPECT_EQ(tcp(both, "127.0.0.1:80"), only(1));
  EXPECT_EQ(tcp(both, "[::1]:80"), only(0));
  const std::vector<holds> plain = {listens("[::]:80"), listens("0.0.0.0:80")};
  EXPECT_EQ(tcp(plain, "127.0.0.1:80"), only(1));
}

TEST(TcpReceivers, V6OnlyAndMappedAddresses) {
  EXPECT_EQ(tcp({listens("[::]:80").v6only()}, "127.0.0.1:80"), nobody);
  EXPECT_EQ(tcp({listens("[::ffff:127.0.0.1]:80")}, "127.0.0.1:80"), only(0));
  EXPECT_EQ(tcp({listens("[::ffff:0.0.0.0]:80")}, "127.0.0.1:80"), only(0));
  EXPECT_EQ(tcp({listens("[::ffff:0.0.0.0]:80")}, "[::1]:80"), nobody);
  EXPECT_EQ(tcp({listens("[::1]:80")}, "[::1]:80"), only(0));
  EXPECT_EQ(tcp({listens("[::1]:80")}, "127.0.0.6:80"), nobody);
}

TEST(TcpReceivers, BoundDeviceHasToMatchAndIsPreferred) {
  const std::vector<holds> all = {listens("0.0.0.0:80"), listens("0.0.0.0:80").dev(2)};
  EXPECT_EQ(tcp(all, "127.0.0.1:80", 1), only(0));
  EXPECT_EQ(tcp(all, "127.0.0.1:80", 2), only(1));
  EXPECT_EQ(tcp({listens("0.0.0.0:80").dev(2)}, "127.0.0.1:80", 1), nobody);
}

TEST(TcpReceivers, OneOfAGroup) {
  const std::vector<holds> all = {group("0.0.0.0:80"), group("0.0.0.0:80"), group("127.0.0.1:80")};
  EXPECT_EQ(tcp(all, "127.0.0.2:80"), (Told{{0, 1}, true}));
  EXPECT_EQ(tcp(all, "127.0.0.1:80"), only(2));
}

TEST(TcpReceivers, GroupsThatDifferByDeviceGoByTheirOrderOfListening) {
  const std::vector<holds> all = {group("0.0.0.0:80"), group("0.0.0.0:80").dev(2)};
  EXPECT_EQ(tcp(all, "127.0.0.1:80", 2), (Told{{0, 1}, false}));
  EXPECT_EQ(tcp(all, "127.0.0.1:80", 1), only(0));
}

TEST(UdpReceivers, OfEqualsTheFirst) {
  const std::vector<holds> all = {gets("0.0.0.0:53").reuseaddr(), gets("0.0.0.0:53").reuseaddr()};
  EXPECT_EQ(udp(all, "127.0.0.1:53"), only(0));
}

TEST(UdpReceivers, AddressThenPeerThenDeviceThenFamily) {
  const std::vector<holds> all = {gets("0.0.0.0:53"), gets("[::]:53"), gets("0.0.0.0:53").dev(1),
                                  gets("127.0.0.1:53"),
                                  gets("127.0.0.1:53").connected("127.0.0.9:99")};
  EXPECT_EQ(udp(all, "127.0.0.1:53", "127.0.0.9:99"), only(4));
  EXPECT_EQ(udp(all, "127.0.0.1:53", "127.0.0.9:98"), only(3));
  EXPECT_EQ(udp(all, "127.0.0.1:53", "127.0.0.8:99"), only(3));
  EXPECT_EQ(udp(all, "127.0.0.2:53"), only(2));
  EXPECT_EQ(udp(all, "127.0.0.2:53", "0.0.0.0:0", 2), only(0));
  EXPECT_EQ(udp(all, "[::1]:53"), only(1));
  EXPECT_EQ(udp({gets("[::]:53"), gets("0.0.0.0:53")}, "127.0.0.2:53"), only(1));
}

TEST(UdpReceivers, AConnectedSocketTakesItsPeersOnly) {
  const std::vector<holds> all = {gets("127.0.0.1:53").connected("127.0.0.9:99")};
  EXPECT_EQ(udp(all, "127.0.0.1:53"), nobody);
  EXPECT_EQ(udp(all, "127.0.0.1:53", "127.0.0.9:99"), only(0));
  const std::vector<holds> mapped = {
      gets("[::ffff:127.0.0.1]:53").connected("[::ffff:127.0.0.9]:99")};
  EXPECT_EQ(udp(mapped, "127.0.0.1:53", "127.0.0.9:99"), only(0));
}

TEST(UdpReceivers, AGroupEndsTheSearch) {
  const holds member = gets("0.0.0.0:53").reuseport().with(SocketFlag::has_group);
  const std::vector<holds> all = {member, gets("0.0.0.0:53").reuseport().dev(1), member};
  EXPECT_EQ(udp(all, "127.0.0.1:53"), (Told{{0, 2}, true}));
  const std::vector<holds> turned = {gets("0.0.0.0:53").reuseport().dev(1), member, member};
  EXPECT_EQ(udp(turned, "127.0.0.1:53"), only(0));
}

TEST(UdpReceivers, AConnectedSocketBehindAGroupIsUncertain) {
  const std::vector<holds> all = {gets("127.0.0.1:53").reuseport(),
                                  gets("127.0.0.1:53").reuseport().connected("127.0.0.9:99")};
  EXPECT_EQ(udp(all, "127.0.0.1:53", "127.0.0.9:99"), (Told{{0, 1}, false}));
}

TEST(Groups, AreOfOneUserAddressDeviceAndFamily) {
  const auto same = [](const holds& a, const holds& b) {
    return in_one_group(a.socket(), b.socket());
  };
  const holds one = group("0.0.0.0:80");
  EXPECT_TRUE(same(one, group("0.0.0.0:80")));
  EXPECT_FALSE(same(one, listens("0.0.0.0:80")));
  EXPECT_FALSE(same(one, group("127.0.0.1:80")));
  EXPECT_FALSE(same(one, group("0.0.0.0:80").uid(7)));
  EXPECT_FALSE(same(one, group("0.0.0.0:80").dev(2)));
  EXPECT_FALSE(same(one, group("[::]:80")));
  EXPECT_FALSE(same(group("[::]:80"), group("[::]:80").v6only()));
  EXPECT_FALSE(same(one, holds("0.0.0.0:80").reuseport()));
}

} // namespace
} // namespace bindlens::audit
