#include "allowance.h"

#include <algorithm>

namespace bindlens::history {

namespace {

constexpr double storm = 2; // times the usual rate
constexpr MonoNs second = 1'000'000'000;

double seconds_of(MonoNs t) {
  return static_cast<double>(t) / static_cast<double>(second);
}

} // namespace

Allowance::Allowance(double per_second, double burst_seconds, bool yields)
    : usual_(per_second), most_(per_second * burst_seconds), yields_(yields), rate_(per_second),
      left_(most_) {}

void Allowance::look_back(double seconds) {
  const double came = static_cast<double>(asked_) / seconds;
  asked_ = 0;
  rate_ = usual_;
  if (!yields_ || came < storm * usual_) return;
  rate_ = usual_ * usual_ / came;
  left_ = std::min(left_, rate_);
}

bool Allowance::take(MonoNs now) {
  if (refilled_ == 0) refilled_ = looked_back_ = now;
  now = std::max(now, refilled_);
  left_ = std::min(left_ + seconds_of(now - refilled_) * rate_, most_);
  refilled_ = now;
  if (now - looked_back_ >= second) {
    look_back(seconds_of(now - looked_back_));
    looked_back_ = now;
  }
  ++asked_;
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

} // namespace bindlens::history
