#pragma once

#include <bindlens/model/failure.h>
#include <bindlens/rules/explain.h>

namespace bindlens::rules {

// One thing that can be done about a refusal.
enum class Step : uint8_t {
  set_reuseaddr,     // SO_REUSEADDR on the requester
  set_reuseport,     // SO_REUSEPORT on the requester
  set_v6only,        // IPV6_V6ONLY on the requester
  set_freebind,      // IP_FREEBIND on the requester
  holders_reuseaddr, // SO_REUSEADDR on the sockets in the way that a process has open
  holders_reuseport, // SO_REUSEPORT on them
  same_user,         // run the requester as the holders' user
  close_holders,     // stop whoever holds the port
  wait_for_closed,   // until the kernel has ended connections that were closed
  wait,              // until the TIME_WAIT sockets are gone
  other_address,     // an address of the host that nobody holds
  capability,        // CAP_NET_BIND_SERVICE
  unprivileged_port, // a port that needs no privilege
};

// Steps that lead to success together; leaving one out does not.
struct Change {
  std::vector<Step> steps;
  std::string text; // "set SO_REUSEADDR on both sockets", no final dot
  // The request as it would be made then.
  Request request;
  uint32_t wait_s = 0; // with Step::wait
};

// The smallest changes that make a refused request succeed, fewest steps first
// and at most six; none is longer than it has to be. Each was put to decide() on
// a copy of the view before it is returned. Closing a connection counts as
// leaving a TIME_WAIT socket behind, as it does when this side closes first.
// `blockers`: as for ExplainInput, in the order of refusal.blockers.
[[nodiscard]] std::vector<Change> minimal_changes(const Request& request, const Verdict& refusal,
                                                  const model::PortView& view,
                                                  const HostFacts& facts, const Variants& variants,
                                                  std::span<const model::Blocker> blockers,
                                                  const Names& names);

} // namespace bindlens::rules
