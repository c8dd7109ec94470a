#pragma once

#include <bindlens/rules/variants.h>

#include <cstdint>
#include <string>

namespace bindlens::kernel {

struct Calibration {
  rules::Variants variants;       // `assumed` says why when they were not measured
  rules::ScenarioAnswers answers; // what the kernel said
  uint64_t duration_ns = 0;
};

// Plays the scenarios P1 to P9 with real sockets and sets the rules from what
// the kernel answers. They run on a thread of their own in a network namespace
// of their own; both are gone when this returns (the kernel takes the namespace
// apart in the background), and the caller's namespace, user and descriptors are
// what they were. Takes a few tens of milliseconds.
//
// Needs CAP_SYS_ADMIN to make the namespace. Without it the answer is
// nearest_known(traits), marked as assumed. A scenario that cannot be played
// alone (no IPv6, no second user) leaves its variant as nearest_known() has it.
[[nodiscard]] Calibration calibrate(const rules::KernelTraits& traits = {});

} // namespace bindlens::kernel
