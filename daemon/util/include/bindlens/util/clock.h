#pragma once

#include <cstdint>
#include <ctime>

namespace bindlens {

// Times inside the daemon are CLOCK_MONOTONIC nanoseconds, as the BPF programs
// write them; they become wall time only when shown, by one offset read then.
using MonoNs = uint64_t;

[[nodiscard]] inline uint64_t read_clock_ns(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000ULL + static_cast<uint64_t>(ts.tv_nsec);
}

[[nodiscard]] inline MonoNs monotonic_now() {
  return read_clock_ns(CLOCK_MONOTONIC);
}

// Wall time (CLOCK_REALTIME, ns since 1970) of a monotonic time, with today's
// offset between the two clocks.
[[nodiscard]] inline int64_t wall_time_of(MonoNs t) {
  return static_cast<int64_t>(read_clock_ns(CLOCK_REALTIME)) -
         static_cast<int64_t>(monotonic_now()) + static_cast<int64_t>(t);
}

} // namespace bindlens
