#pragma once

#include <bindlens/analysis/connect_meter.h>
#include <bindlens/model/port_use.h>

namespace bindlens::analysis {

struct PortQuestion {
  const model::PortView* view = nullptr; // never null; a walk of all tables
  FactsOf facts;
  // Of the connections; null: there are no events.
  const ConnectMeter* meter = nullptr;
  MonoNs now = 0; // of the walk
  // Processes that have a socket open, each once; empty function: not known.
  std::function<std::vector<model::ProcessRef>(const model::Socket&)> owners;

  std::optional<uint32_t> netns;      // only this one, also when it holds no port
  std::optional<model::Address> from; // only connections from this address
  std::optional<model::Address> to;   // … to this one
  uint16_t to_port = 0;               // … to this port, 0 = any
  size_t destinations = 10;           // of each namespace
};

// Fills all but `complete`.
[[nodiscard]] model::PortReport report_ports(const PortQuestion& q);

} // namespace bindlens::analysis
