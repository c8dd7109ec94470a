#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace bindlens::cli::top {

// How much happened in each slot of time, for the newest `Slots` slots. A slot
// is a number that grows with time; what it lasts is the caller's business.
template <size_t Slots>
class History {
 public:
  void add(int64_t slot, uint64_t n = 1) {
    // Older than anything kept: the clock has been set back. Begin again.
    if (empty_ || slot <= newest_ - static_cast<int64_t>(Slots)) {
      counts_ = {};
      newest_ = slot;
      empty_ = false;
    }
    for (; newest_ < slot && slot - newest_ <= static_cast<int64_t>(Slots);)
      at_index(++newest_) = 0;
    if (newest_ < slot) { // a long silence
      counts_ = {};
      newest_ = slot;
    }
    at_index(slot) += n;
  }

  // 0 for what is not kept.
  [[nodiscard]] uint64_t at(int64_t slot) const {
    const bool kept = !empty_ && slot <= newest_ && slot > newest_ - static_cast<int64_t>(Slots);
    return kept ? counts_[index(slot)] : 0;
  }

  // Of the `n` slots before `slot`.
  [[nodiscard]] uint64_t sum_before(int64_t slot, size_t n) const {
    uint64_t sum = 0;
    for (size_t i = 1; i <= n; ++i)
      sum += at(slot - static_cast<int64_t>(i));
    return sum;
  }

 private:
  static size_t index(int64_t slot) { return static_cast<uint64_t>(slot) % Slots; }
  uint64_t& at_index(int64_t slot) { return counts_[index(slot)]; }

  std::array<uint64_t, Slots> counts_{};
  int64_t newest_ = 0;
  bool empty_ = true;
};

} // namespace bindlens::cli::top
