#include <bindlens/journal/rate_limit.h>

#include <algorithm>
#include <utility>

namespace bindlens::journal {

bool RateLimit::admit(MonoNs now) {
  if (left_ < burst_ && now > counted_at_) {
    const uint64_t more = (now - counted_at_) / interval_;
    left_ = static_cast<uint32_t>(std::min<uint64_t>(burst_, left_ + more));
    counted_at_ += more * interval_;
  }
  if (left_ == burst_) counted_at_ = now;
  if (left_ == 0) {
    leave_out();
    return false;
  }
  --left_;
  return true;
}

uint64_t RateLimit::take_left_out() {
  return std::exchange(left_out_, 0);
}

} // namespace bindlens::journal
