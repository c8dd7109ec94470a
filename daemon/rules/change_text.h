#pragma once

#include <bindlens/rules/change.h>

namespace bindlens::rules {

// The steps of a change as one phrase.
[[nodiscard]] std::string change_text(const Change& c, std::span<const model::Blocker> blockers,
                                      const HostFacts& facts, const Names& names);
// Seconds until Step::wait is over; 0 without it.
[[nodiscard]] uint32_t wait_for(const Change& c, std::span<const model::Blocker> blockers);

// "stop app.service (node[3340])": whoever has to let go of the blockers that
// are neither in TIME_WAIT nor closed already.
[[nodiscard]] std::string stop_text(std::span<const model::Blocker> blockers);

} // namespace bindlens::rules
