#pragma once

#include <bindlens/analysis/port_census.h>
#include <bindlens/model/event.h>

#include <array>

namespace bindlens::analysis {

// Counts, for each destination, the connections that took a port in the last
// seconds and those that gave it back: from the events that are there anyway, so
// that no connection is traced for it.
class ConnectMeter {
 public:
  static constexpr MonoNs one_second = 1'000'000'000;
  static constexpr size_t window_s = 10;

  // `since`: when the events began.
  explicit ConnectMeter(MonoNs since) : since_(since) {}

  void note(const model::Event& e);

  struct Count {
    uint64_t opened = 0;
    uint64_t closed = 0;
  };
  // Of the time from window_start() to `now`.
  [[nodiscard]] Count count(const Route& route, MonoNs now) const;
  [[nodiscard]] MonoNs window_start(MonoNs now) const;

 private:
  struct Slot { // of one second
    uint64_t second = 0;
    uint32_t opened = 0;
    uint32_t closed = 0;
  };
  struct Meter {
    std::array<Slot, window_s + 1> slots; // by second, modulo their number
    uint64_t last = 0;                    // second of the newest event
  };
  Meter* meter(const Route& route, uint64_t second);
  void forget_idle(uint64_t second);

  boost::unordered_flat_map<Route, Meter, RouteHash> meters_;
  MonoNs since_;
  uint64_t forgot_at_ = 0; // second of the last clean-up
};

} // namespace bindlens::analysis
