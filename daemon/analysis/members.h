#pragma once

// What the counters of one member say.

#include <bindlens/model/distribution.h>

namespace bindlens::analysis {

// The best of what is counted of all members: what the kernel distributes comes before
// what the programs take.
[[nodiscard]] model::Measure measure_of(const model::ReuseportGroup& g);
// How much the kernel gave to it, by that measure.
[[nodiscard]] uint64_t distributed_to(const model::ReuseportMember& m, model::Measure measure);

[[nodiscard]] bool is_datagram(const model::ReuseportGroup& g);
// TCP: what its program has accepted. UDP: what was put into its queue.
[[nodiscard]] uint64_t taken_by(const model::ReuseportMember& m);
// TCP: connections wait for accept(). UDP: the receive buffer is full.
[[nodiscard]] bool is_waiting(const model::ReuseportMember& m);
// What comes now is dropped.
[[nodiscard]] bool is_full(const model::ReuseportMember& m);

} // namespace bindlens::analysis
