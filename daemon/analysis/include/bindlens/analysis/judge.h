#pragma once

#include <bindlens/analysis/share_memory.h>
#include <bindlens/model/distribution.h>

#include <cstddef>
#include <vector>

namespace bindlens::analysis {

// Shares that are off by less are even, however sure that is.
inline constexpr double tolerated = 0.10;
// The chance that a group with fair shares is ever called skewed, for all groups of a
// host together.
inline constexpr double false_alarms = 1e-4;
// A queue that is full for a shorter time is a burst.
inline constexpr MonoNs burst = 500'000'000;
// A connection that waits for longer, while nothing is accepted, waits in vain.
inline constexpr MonoNs patience = 2'000'000'000;

struct Look {
  MonoNs now = 0;
  size_t groups = 1; // that are judged on this host
};

[[nodiscard]] model::Distribution judge(const model::ReuseportGroup& group,
                                        const ShareWindow& window, const Look& look);

// The same without the words: for who asks often.
[[nodiscard]] model::Distribution weigh(const model::ReuseportGroup& group,
                                        const ShareWindow& window, const Look& look);

// The shares that the kernel's hash gives, by member; empty where something else decides
// (a program, SO_INCOMING_CPU). A UDP member with a peer gets nothing, and its part goes to
// the next one: reuseport_select_sock_by_hash().
[[nodiscard]] std::vector<double> expected_shares(const model::ReuseportGroup& group);

// Those in trouble first.
void put_worst_first(std::vector<model::JudgedGroup>& groups);

} // namespace bindlens::analysis
