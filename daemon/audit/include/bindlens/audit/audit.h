#pragma once

#include <bindlens/model/bucket.h>
#include <bindlens/model/distribution.h>
#include <bindlens/model/finding.h>
#include <bindlens/model/timewait.h>
#include <bindlens/rules/host_facts.h>
#include <bindlens/rules/variants.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

// What is wrong, or soon will be, with the ports of a host: a pure function of
// a walk of all tables, of the processes behind the sockets, of the host, and of
// what was counted and seen.
namespace bindlens::audit {

// Ports below it are privileged wherever nothing was changed.
inline constexpr uint16_t usual_privileged_ports = 1024;
// A socket that is bound for longer and does not listen is a finding.
inline constexpr MonoNs usual_idle = 60'000'000'000;
// Reuses of TIME_WAIT are told for so long.
inline constexpr MonoNs reuse_lately = 600'000'000'000;

struct Input {
  // A walk of all tables, with the reuse flags: not from sock_diag.
  const model::PortView* view = nullptr; // never null
  // One network namespace, whoever asks. The reference lives as long as the call.
  std::function<const rules::HostFacts&(uint32_t netns)> facts;
  rules::Variants variants;
  // Adds to a socket who bound it and who has it open.
  std::function<void(model::Blocker&)> resolve;
  std::function<std::string(uint32_t uid)> user; // "" when it has no name
  // Reuseport groups, as far as what their members get is counted: of others only
  // what the walk shows is told.
  std::vector<model::JudgedGroup> groups;
  std::vector<model::TimeWaitReuse> reuses; // those of `reuse_lately`, the newest first
  MonoNs now = 0;
  MonoNs watched_since = 0; // bindings without a time are older than this
  MonoNs idle = usual_idle;
};

// The most severe first. Sockets in a VRF are left aside. `by_age`, if given: when
// the next one will be there though nothing changes; left alone when none will.
[[nodiscard]] std::vector<model::Finding> audit(const Input& in,
                                                std::optional<MonoNs>* by_age = nullptr);

} // namespace bindlens::audit
