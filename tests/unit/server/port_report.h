#pragma once

#include <bindlens/model/port_use.h>

namespace bindlens::test {

inline model::ProcessRef port_user(uint32_t pid, std::string comm) {
  model::Process p;
  p.pid = pid;
  p.comm = std::move(comm);
  return std::make_shared<const model::Process>(std::move(p));
}

// One namespace, one destination that is nearly out of ports.
inline model::PortReport port_report() {
  model::DestinationUse d;
  d.from = model::Address::v4(10, 0, 0, 5);
  d.to = {model::Address::v4(10, 0, 0, 9), 5432};
  d.connections = 800;
  d.time_wait = 60;
  d.reusable = 10;
  d.left = 100;
  d.severity = model::Severity::warning;
  d.pace = model::ConnectPace{12.04, 4, 25};
  d.processes = {{port_user(812, "app"), 790}};
  d.processes_known = true;
  model::PortUse n;
  n.netns = 4026531840;
  n.range = {32768, 33777};
  n.reserved = {{33000, 33009}};
  n.ports = 1000;
  n.listening = 1;
  n.bound = 49;
  n.connected = 800;
  n.time_wait = 60;
  n.closed_to_connect = 50;
  n.udp = 7;
  n.tcp_severity = model::Severity::warning;
  n.closers = {{port_user(99, "java"), 50}};
  n.closers_known = true;
  n.destinations = {d};
  n.destinations_left_out = 3;
  model::PortReport r;
  r.time = 1;
  r.window_s = 10;
  r.namespaces = {n};
  return r;
}

} // namespace bindlens::test
