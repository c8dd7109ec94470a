// The errno of what comes before the table, and which one wins.

#include "world.h"

namespace bindlens::rules::test {
namespace {

TEST(Checks4, AddressMustBeLocal) {
  EXPECT_EQ(rule(ask("192.0.2.1:8080")), Rule::address_not_local);
  EXPECT_EQ(error(ask("192.0.2.1:8080")), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("127.9.9.9:8080")), 0);
  EXPECT_EQ(error(ask("192.0.2.1:8080").with(SocketFlag::freebind)), 0);
  EXPECT_EQ(error(ask("192.0.2.1:8080").with(SocketFlag::transparent)), 0);
  HostFacts f = known_host();
  f.nonlocal_bind4 = true;
  EXPECT_EQ(error(ask("192.0.2.1:8080"), f), 0);
}

TEST(Checks4, MulticastAndBroadcastCountAsLocal) {
  EXPECT_EQ(error(ask("224.0.0.251:5353").udp()), 0);
  EXPECT_EQ(error(ask("224.0.0.251:5353")), 0);
  EXPECT_EQ(error(ask("10.0.0.255:8080")), 0);
  EXPECT_EQ(error(ask("255.255.255.255:8080")), 0);
}

TEST(Checks4, TheLongestPrefixDecides) {
  HostFacts f = known_host();
  f.routes->push_back({address("127.5.0.0"), 16, RouteType::unicast, local_table});
  EXPECT_EQ(error(ask("127.5.0.1:8080"), f), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("127.6.0.1:8080"), f), 0);
}

TEST(Checks4, AVrfHasAddressesOfItsOwn) {
  EXPECT_EQ(error(ask("10.2.0.5:8080")), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("10.2.0.5:8080").dev(3)), 0);
  EXPECT_EQ(error(ask("127.0.0.1:8080").dev(9)), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("[::ffff:10.2.0.5]:8080").dev(3)), 0);
}

TEST(Checks4, OrderAddressThenPrivilegeThenState) {
  EXPECT_EQ(error(ask("192.0.2.1:80").has_port()), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("127.0.0.1:80").has_port()), EACCES);
  EXPECT_EQ(rule(ask("127.0.0.1:80")), Rule::privileged_port);
  EXPECT_EQ(error(ask("127.0.0.1:8080").has_port()), EINVAL);
  EXPECT_EQ(rule(ask("127.0.0.1:8080").has_port()), Rule::already_bound);
  EXPECT_EQ(rule(ask("127.0.0.1:8080").connected()), Rule::already_bound);
}

TEST(Checks4, FamilyFirst) {
  EXPECT_EQ(error(ask("[::1]:80").family(Family::inet)), EAFNOSUPPORT);
  EXPECT_EQ(error(ask("127.0.0.1:80").family(Family::inet6)), EAFNOSUPPORT);
}

TEST(Checks, PrivilegeIsTheCallersAndTheLimitTheNamespaces) {
  HostFacts f = known_host();
  f.cap_net_bind_service = true;
  EXPECT_EQ(error(ask("127.0.0.1:80"), f), 0);
  f = known_host();
  f.unprivileged_port_start = 80;
  EXPECT_EQ(error(ask("127.0.0.1:80"), f), 0);
  EXPECT_EQ(error(ask("127.0.0.1:79"), f), EACCES);
  EXPECT_EQ(error(ask("127.0.0.1:0"), f), 0) << "port 0 is none";
}

TEST(Checks6, OrderPrivilegeThenStateThenAddress) {
  EXPECT_EQ(error(ask("[2001:db8::1]:80").has_port()), EACCES);
  EXPECT_EQ(error(ask("[2001:db8::1]:8080").has_port()), EINVAL);
  EXPECT_EQ(error(ask("[2001:db8::1]:8080")), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("[2001:db8::1]:8080").with(SocketFlag::freebind)), 0);
  HostFacts f = known_host();
  f.nonlocal_bind6 = true;
  EXPECT_EQ(error(ask("[2001:db8::1]:8080"), f), 0);
}

TEST(Checks6, MulticastIsForDatagrams) {
  EXPECT_EQ(error(ask("[ff05::9]:80")), EINVAL);
  EXPECT_EQ(error(ask("[ff05::9]:8080").udp()), 0);
}

TEST(Checks6, LinkLocalNeedsAnInterface) {
  EXPECT_EQ(error(ask("[fe80::5]:8080")), EINVAL);
  EXPECT_EQ(error(ask("[fe80::5]:8080").scope(2)), 0);
  EXPECT_EQ(error(ask("[fe80::5]:8080").dev(2)), 0);
  EXPECT_EQ(error(ask("[fe80::5]:8080").scope(1)), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("[fe80::5]:8080").scope(77)), ENODEV);
  EXPECT_EQ(error(ask("[ff02::9]:8080").udp()), EINVAL);
  EXPECT_EQ(error(ask("[ff02::9]:8080").udp().scope(2)), 0);
}

TEST(Checks6, TheScopeBecomesTheDevice) {
  EXPECT_EQ(error(ask("[fe80::5]:8080").scope(2), {holds("[fe80::5]:8080").dev(2)}), EADDRINUSE);
  EXPECT_EQ(error(ask("[fe80::5]:8080").scope(2), {holds("[fe80::5]:8080").dev(1)}), 0);
}

TEST(Checks6, AddressesBelongToDevicesAndVrfs) {
  EXPECT_EQ(error(ask("[fd00::5]:8080").dev(1)), 0) << "a global address works on any device";
  EXPECT_EQ(error(ask("[::1]:8080").dev(2)), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("[fd00:2::5]:8080")), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("[fd00:2::5]:8080").dev(3)), 0);
  EXPECT_EQ(error(ask("[fd00::7]:8080")), EADDRNOTAVAIL) << "tentative";
  EXPECT_EQ(error(ask("[fd00::5]:8080").dev(77)), ENODEV);
}

TEST(Checks6, V4MappedFollowsTheIpv4Rules) {
  EXPECT_EQ(error(ask("[::ffff:127.0.0.1]:8080").v6only()), EINVAL);
  EXPECT_EQ(rule(ask("[::ffff:127.0.0.1]:8080").v6only()), Rule::invalid_argument);
  EXPECT_EQ(error(ask("[::ffff:192.0.2.1]:8080")), EADDRNOTAVAIL);
  EXPECT_EQ(error(ask("[::ffff:127.0.0.1]:8080").dev(77)), ENODEV);
}

TEST(Checks, MptcpWithAConnectionIsRefusedFirst) {
  EXPECT_EQ(error(ask("[::1]:80").family(Family::inet).proto(Proto::mptcp).connected()), EINVAL);
}

TEST(Checks, WhatIsNotKnownIsSaidAndNotGuessed) {
  const HostFacts nothing;
  const auto privileged = decide(ask("127.0.0.1:80").request(), {}, nothing, {});
  EXPECT_TRUE(privileged.open);
  EXPECT_EQ(privileged.unknown.size(), 2u); // the address, and the limit
  const auto v6 = decide(ask("[fd00::5]:8080").dev(2).request(), {}, nothing, {});
  EXPECT_EQ(v6.unknown.size(), 3u); // the interface, the address, the VRF
  HostFacts no_table = known_host();
  no_table.routes->clear();
  EXPECT_TRUE(decide(ask("127.0.0.1:8080").request(), {}, no_table, {}).open)
      << "a namespace without any address takes every one";
  HostFacts no_cap = known_host();
  no_cap.cap_net_bind_service.reset();
  EXPECT_TRUE(decide(ask("127.0.0.1:80").request(), {}, no_cap, {}).open);
}

TEST(Checks, PoliciesAreNamedAndDoNotChangeTheAnswer) {
  HostFacts f = known_host();
  f.policies = {"a cgroup BPF program attached to /x"};
  const auto v = decide(ask("127.0.0.1:8080").request(), {}, f, {});
  EXPECT_TRUE(v.would_succeed);
  EXPECT_FALSE(v.open);
  EXPECT_EQ(v.unknown, f.policies);
}

} // namespace
} // namespace bindlens::rules::test
