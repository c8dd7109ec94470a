#pragma once

#include <bindlens/model/address.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bindlens::rules {

struct PortRange {
  uint16_t first = 0;
  uint16_t last = 0; // inclusive
  bool operator==(const PortRange&) const = default;
};

// Types of a route as inet_addr_type() tells them apart; the values a bind
// accepts are local, broadcast and multicast.
enum class RouteType : uint8_t { local, broadcast, multicast, unicast, other };

// One IPv4 route of the table that decides whether an address is local.
struct Route {
  model::Address prefix; // IPv4
  uint8_t length = 32;   // bits
  RouteType type = RouteType::local;
  uint32_t table = 0; // RT_TABLE_LOCAL = 255, or the table of a VRF
};

// An IPv6 address of an interface.
struct Address6 {
  model::Address addr;
  uint32_t dev = 0;
  bool tentative = false; // duplicate detection runs, and not "optimistic"
};

struct Interface {
  uint32_t index = 0;
  std::string name;
  uint32_t vrf = 0;       // index of the VRF it is or belongs to, 0 = none
  uint32_t vrf_table = 0; // routing table of that VRF
};

inline constexpr uint32_t local_table = 255; // RT_TABLE_LOCAL

// What a decision needs beside the sockets: one network namespace as one caller
// sees it. Filled by daemon/kernel; an empty optional means "not known" and
// turns up in Verdict::unknown when an answer depends on it.
struct HostFacts {
  std::optional<uint16_t> unprivileged_port_start;      // net.ipv4.ip_unprivileged_port_start
  std::optional<bool> nonlocal_bind4;                   // net.ipv4.ip_nonlocal_bind
  std::optional<bool> nonlocal_bind6;                   // net.ipv6.ip_nonlocal_bind
  std::optional<PortRange> local_port_range;            // net.ipv4.ip_local_port_range
  std::optional<std::vector<PortRange>> reserved_ports; // net.ipv4.ip_local_reserved_ports
  std::optional<bool> autobind_reuse;                   // net.ipv4.ip_autobind_reuse
  std::optional<bool> tcp_l3mdev_accept;                // net.ipv4.tcp_l3mdev_accept
  std::optional<bool> bindv6only;                       // net.ipv6.bindv6only
  std::optional<uint32_t> tcp_fin_timeout_s;            // net.ipv4.tcp_fin_timeout
  std::optional<uint32_t> tcp_tw_reuse;                 // net.ipv4.tcp_tw_reuse; 2 = loopback

  // The routes of table 255 and of every VRF's table. While the namespace has
  // no routing rules of its own the kernel keeps local and main in one trie:
  // then main's routes belong in here too, with table 255.
  std::optional<std::vector<Route>> routes;
  std::optional<std::vector<Address6>> addresses6;
  std::optional<std::vector<Interface>> interfaces;

  // Of the caller, in the user namespace that owns the network namespace.
  std::optional<bool> cap_net_bind_service;
  // CAP_NET_ADMIN or CAP_NET_RAW there: needed for IP_TRANSPARENT.
  std::optional<bool> cap_net_admin_or_raw;

  // Things that may refuse or change a bind and cannot be asked, each as a
  // clause: "a cgroup BPF program attached to /system.slice/x.service".
  std::vector<std::string> policies;
};

} // namespace bindlens::rules
