#pragma once

#include <bindlens/model/filter.h>
#include <bindlens/model/finding.h>

#include <optional>
#include <vector>

namespace bindlens::model {

// A process and how many ports it holds.
struct ProcessPorts {
  ProcessRef process; // never null
  uint64_t ports = 0;
};

// How fast the ports to one destination are taken, from what connect() did in
// the last seconds.
struct ConnectPace {
  double opened_per_s = 0; // connections that took a port
  double grows_per_s = 0;  // … less the ports that came back; negative when it shrinks
  // Seconds until none is left if it goes on so; nullopt when it does not grow.
  std::optional<double> exhausted_in_s;
};

// Connections whose ports must differ: from one address to one destination.
struct DestinationUse {
  Address from;
  Endpoint to;
  uint32_t connections = 0; // live ones, in ports
  uint32_t time_wait = 0;   // ports held by TIME_WAIT
  uint32_t reusable = 0;    // of those, which connect() may take over now (tcp_tw_reuse)
  uint32_t left = 0;        // ports that connect() can still find for this destination
  std::optional<Severity> severity;
  std::optional<ConnectPace> pace;     // nullopt: no events to tell from
  std::vector<ProcessPorts> processes; // of the live connections, the most first
  bool processes_known = false;
};

// The ports that the kernel gives out by itself in one network namespace: those
// of ip_local_port_range that are not in ip_local_reserved_ports. TCP ports stand
// under the first that fits of listening, bound, connected and TIME_WAIT, so that
// the four and the free ones make up `ports`.
struct PortUse {
  uint32_t netns = 0;
  PortRange range;
  std::vector<PortRange> reserved; // holes inside the range
  uint32_t ports = 0;              // of the range, without the holes
  uint32_t listening = 0;
  uint32_t bound = 0;
  uint32_t connected = 0;
  uint32_t time_wait = 0;
  // Ports that connect() passes over whatever the destination, because a bind or
  // listen has used them (fastreuse >= 0 or fastreuseport >= 0).
  uint32_t closed_to_connect = 0;
  uint32_t udp = 0;
  std::optional<Severity> tcp_severity; // of `tcp_used()`: what bind to port 0 finds
  std::optional<Severity> closed_severity;
  std::optional<Severity> udp_severity;
  std::vector<ProcessPorts> closers; // whose sockets close ports to connect(), the most first
  bool closers_known = false;
  std::vector<DestinationUse> destinations; // the most loaded first
  uint64_t destinations_left_out = 0;

  [[nodiscard]] uint32_t tcp_used() const { return listening + bound + connected + time_wait; }
};

struct PortReport {
  MonoNs time = 0;
  double window_s = 0;             // that the paces are of; 0 = there are no events
  bool complete = true;            // no event was lost, and the walk was whole
  std::vector<PortUse> namespaces; // the fullest first
  // Namespaces that hold ports and whose sysctls could not be read.
  std::vector<uint32_t> unknown;
};

} // namespace bindlens::model
