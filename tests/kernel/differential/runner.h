#pragma once

// Plays a sequence against the kernel and the engine.

#include "world.h"

#include <bindlens/rules/engine.h>

#include <functional>
#include <optional>

namespace differential {

// Reads what the kernel has for one port, or with port 0 for all, in the
// namespace of the lab.
using ReadBuckets = std::function<bindlens::Result<bindlens::model::PortView>(
    bindlens::model::Proto proto, uint16_t port, uint32_t netns)>;

struct Counts {
  uint64_t operations = 0;
  uint64_t asked = 0;     // operations whose outcome the engine foretold
  uint64_t refused = 0;   // of those, refused by both
  uint64_t time_wait = 0; // of those, with TIME_WAIT sockets in what was read
  uint64_t open = 0;      // the engine said that it cannot know
  uint64_t raced = 0;     // the table changed between the walk and the call
  uint64_t holders_proven = 0;
  uint64_t necessity_proven = 0;
};

struct Disagreement {
  size_t at = 0; // index into the sequence's operations
  int kernel = 0;
  int engine = 0;
  std::string detail;
  bool in_proof = false; // about the holders of a refusal that both agree on
};

struct Bench {
  Lab& lab;
  ReadBuckets read;
  bindlens::rules::Variants variants;
  Counts counts;
};

// Runs until the end or the first disagreement. `base`: the first port to use.
// `proof`: seeds the choice of the refusal whose holders are closed, which ends
// the sequence; 0 = none.
[[nodiscard]] bindlens::Result<std::optional<Disagreement>> play(Bench& bench, const Sequence& s,
                                                                 uint16_t base, uint64_t proof);

// The shortest sequence that still disagrees.
[[nodiscard]] Sequence shrink(Bench& bench, Sequence s, uint64_t proof,
                              const std::function<uint16_t()>& next_base);

// A C program that makes the same calls and prints what the kernel says.
[[nodiscard]] std::string as_program(const Bench& bench, const Sequence& s, const Disagreement& d);

} // namespace differential
