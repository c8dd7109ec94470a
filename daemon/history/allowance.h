#pragma once

#include <bindlens/util/clock.h>

#include <cstddef>

namespace bindlens::history {

// How many short-lived sockets may be stored one by one: so many a second, and what was not
// used of that some time later.
class Allowance {
 public:
  // With `yields`, where far more come than may be stored, fewer are the more there are: in
  // a storm of them one says what another says.
  Allowance(double per_second, double burst_seconds, bool yields);
  // May one more be stored? `now` does not go back.
  [[nodiscard]] bool take(MonoNs now);

 private:
  void look_back(double seconds);

  double usual_; // a second
  double most_;  // that can be saved up
  bool yields_;
  double rate_;
  double left_;
  MonoNs refilled_ = 0;
  MonoNs looked_back_ = 0;
  size_t asked_ = 0; // since then
};

} // namespace bindlens::history
