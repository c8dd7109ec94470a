#pragma once

#include <bindlens/util/clock.h>

#include <cstdint>

namespace bindlens::journal {

// Lets so many through at once, and then one in each interval.
class RateLimit {
 public:
  RateLimit(uint32_t burst, MonoNs interval) : burst_(burst), interval_(interval), left_(burst) {}

  // True for what is let through. What is not counts as left out.
  bool admit(MonoNs now);
  void leave_out() { ++left_out_; }
  // How many were left out since this was last asked.
  [[nodiscard]] uint64_t take_left_out();
  [[nodiscard]] uint64_t left_out() const { return left_out_; }

 private:
  uint32_t burst_;
  MonoNs interval_;
  uint32_t left_;
  MonoNs counted_at_ = 0; // `left_` is right for this time
  uint64_t left_out_ = 0;
};

} // namespace bindlens::journal
