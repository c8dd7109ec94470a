#pragma once

// Who has the ports that the kernel gives out by itself, counted over a walk of
// all tables.

#include <bindlens/model/bucket.h>
#include <bindlens/model/finding.h>
#include <bindlens/rules/host_facts.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace bindlens::analysis {

// The holes of ip_local_reserved_ports inside ip_local_port_range, in order and
// apart from each other.
[[nodiscard]] std::vector<rules::PortRange> holes(rules::PortRange range,
                                                  std::vector<rules::PortRange> reserved);

// Does the kernel give this port out by itself? Not when the sysctls are unknown.
[[nodiscard]] bool gives_out(const rules::HostFacts& facts, uint16_t port);

// A warning from 80 %, critical from 95 %.
[[nodiscard]] std::optional<model::Severity> fullness(uint32_t used, uint32_t of);

// Connections whose ports must differ: one source address to one destination.
// IPv4 addresses inside IPv6 ones are IPv4 here, as for the kernel's comparison.
struct Route {
  uint32_t netns = 0;
  model::Address from;
  model::Endpoint to;
  bool operator==(const Route&) const = default;
};
[[nodiscard]] Route route_of(const model::Socket& s);
struct RouteHash {
  size_t operator()(const Route& r) const;
};

// May connect() take over this TIME_WAIT socket now (tcp_twsk_unique())? Assumes
// that the connection had TCP timestamps, which a walk does not tell.
[[nodiscard]] bool is_reusable(const model::Socket& s, const rules::HostFacts& facts);

struct RouteUse {
  uint32_t connections = 0;
  uint32_t time_wait = 0;
  uint32_t reusable = 0; // of time_wait
  const model::Socket* example = nullptr;
  // Ports that connect() cannot get.
  [[nodiscard]] uint32_t ports() const { return connections + time_wait - reusable; }
};

// The members are those of model::PortUse.
struct NamespaceUse {
  bool known = false; // both sysctls could be read; else nothing is counted
  rules::PortRange range;
  std::vector<rules::PortRange> reserved;
  uint32_t ports = 0;
  uint32_t listening = 0, bound = 0, connected = 0, time_wait = 0;
  uint32_t closed_to_connect = 0;
  uint32_t udp = 0;
  const model::Socket* closed_example = nullptr;
  const model::Socket* udp_example = nullptr;

  [[nodiscard]] bool gives_out(uint16_t port) const;
};

struct Census {
  std::map<uint32_t, NamespaceUse> namespaces; // by inode
  // Of ports that connect() shares between destinations (fastreuse and
  // fastreuseport are -1).
  boost::unordered_flat_map<Route, RouteUse, RouteHash> routes;

  // Ports that connect() cannot get for this route, of those of its namespace.
  [[nodiscard]] uint32_t used(const Route& route, const RouteUse& use) const;
};

// One network namespace; the reference lives as long as the count.
using FactsOf = std::function<const rules::HostFacts&(uint32_t netns)>;

// Of namespaces that hold a port, and of those in `also`. Sockets in a VRF are
// left aside: its ports are counted apart by the kernel. `view` has to outlive
// the census.
[[nodiscard]] Census count_ports(const model::PortView& view, const FactsOf& facts,
                                 const std::vector<uint32_t>& also = {});

} // namespace bindlens::analysis
