#pragma once

// Parts of sentences that several explanations share.

#include <bindlens/rules/explain.h>

#include <string>

namespace bindlens::rules {

// The address asked for.
[[nodiscard]] std::string asked(const ExplainInput& in);

// ", which 0.0.0.0 covers", or nothing when both addresses are one.
[[nodiscard]] std::string overlap_clause(const ExplainInput& in, const model::Blocker& b);

// "; 2 other sockets also stand in the way", when `told` of them were spoken of.
[[nodiscard]] std::string and_others(const ExplainInput& in, size_t told = 1);

// ", which lies inside ip_local_port_range (32768-60999)", when that is known.
[[nodiscard]] std::string range_clause(const ExplainInput& in);

} // namespace bindlens::rules
