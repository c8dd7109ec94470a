#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

namespace bindlens {

// Times inside the daemon are CLOCK_MONOTONIC nanoseconds, as the BPF programs
// write them; they become wall time only when shown, by wall_offset().
using MonoNs = uint64_t;

[[nodiscard]] inline uint64_t read_clock_ns(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000ULL + static_cast<uint64_t>(ts.tv_nsec);
}

[[nodiscard]] inline MonoNs monotonic_now() {
  return read_clock_ns(CLOCK_MONOTONIC);
}

// How far CLOCK_REALTIME is ahead, to within `error_ns`.
struct ClockOffset {
  int64_t ns = 0;
  int64_t error_ns = 0;
};

// The two clocks cannot be read at once: the closest of some tries.
[[nodiscard]] inline ClockOffset measure_wall_offset(int tries) {
  ClockOffset best{0, INT64_MAX};
  for (int i = 0; i < tries; ++i) {
    const auto before = static_cast<int64_t>(monotonic_now());
    const auto wall = static_cast<int64_t>(read_clock_ns(CLOCK_REALTIME));
    const auto after = static_cast<int64_t>(monotonic_now());
    const int64_t error = (after - before + 1) / 2;
    if (error < best.error_ns) best = {wall - before - error, error};
  }
  return best;
}

// The offset to go on with. Only setting the clock changes the offset, so a
// difference too small for that is one of measuring.
[[nodiscard]] inline int64_t settled_offset(int64_t kept, const ClockOffset& measured) {
  constexpr int64_t smallest_step = 1'000'000;
  const int64_t difference = measured.ns > kept ? measured.ns - kept : kept - measured.ns;
  return difference <= measured.error_ns + smallest_step ? kept : measured.ns;
}

// Wall time (CLOCK_REALTIME, ns since 1970) minus monotonic time: the same value
// until the clock is set, so that an event has one time in all answers.
[[nodiscard]] inline int64_t wall_offset() {
  constexpr int careful = 5;
  static std::atomic<int64_t> kept = measure_wall_offset(careful).ns;
  const int64_t before = kept.load(std::memory_order_relaxed);
  if (settled_offset(before, measure_wall_offset(1)) == before) return before;
  const int64_t now = settled_offset(before, measure_wall_offset(careful));
  kept.store(now, std::memory_order_relaxed);
  return now;
}

// Wall time of a monotonic time, with today's offset between the two clocks.
[[nodiscard]] inline int64_t wall_time_of(MonoNs t) {
  return wall_offset() + static_cast<int64_t>(t);
}

} // namespace bindlens
