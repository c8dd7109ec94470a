#pragma once

#include <bindlens/model/event.h>
#include <bindlens/model/process.h>
#include <bindlens/model/socket.h>

#include <span>
#include <string>
#include <vector>

namespace bindlens::model {

struct PortRange {
  uint16_t first = 0;
  uint16_t last = 0;
};

// FILTER of the commands, all names resolved. An empty member matches all;
// members are joined by "and", alternatives inside one by "or".
struct Filter {
  std::vector<Proto> protos;
  std::vector<PortRange> ports;
  std::optional<Address> addr;
  std::vector<State> states;
  std::optional<uint32_t> pid; // binder or holder
  std::string comm;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> netns;
  std::string unit;
  std::string container; // a prefix of the id is enough
  std::optional<MonoNs> since;
  std::optional<MonoNs> until;
  std::vector<EventType> types; // events only
  std::vector<Rule> rules;      // failures only

  // What the socket alone decides: proto, port, addr, state, uid, netns.
  [[nodiscard]] bool matches(const Socket& s) const;
  // pid, comm, unit, container: true if any of the processes matches.
  [[nodiscard]] bool matches(const ProcessRef& binder, std::span<const Holder> holders) const;
  [[nodiscard]] bool needs_processes() const;
  [[nodiscard]] bool matches(const Failure& f) const;
  // One of its sockets matches.
  [[nodiscard]] bool matches(const Finding& f) const;
  [[nodiscard]] bool matches(const Event& e) const;
  // The one port asked for, if it is one.
  [[nodiscard]] std::optional<uint16_t> single_port() const;
};

// "80", "80,443", "8000-8100"; nullopt with the offending part in `bad`.
[[nodiscard]] std::optional<std::vector<PortRange>> parse_ports(std::string_view text,
                                                                std::string& bad);

} // namespace bindlens::model
