#pragma once

#include "stage.h"

#include <functional>
#include <netinet/in.h>
#include <string>
#include <vector>

namespace bindlens::bench {

[[nodiscard]] sockaddr_in loopback(uint16_t port);

// Socket, bind, close, on ports in turn: whoever looks into /proc/PID/fd at the wrong
// moment, or sweeps over all descriptors, keeps a closed socket alive for a little longer.
// Counts the binds that failed because of it.
class Binder {
 public:
  void bind_once();
  [[nodiscard]] size_t refused() const { return refused_; }

 private:
  unsigned next_ = 0;
  size_t refused_ = 0;
};

// Work that is measured in slices of so many turns.
struct Loop {
  std::function<void()> turn;
  size_t turns_per_slice;
  int slices;
};

// Seconds per turn of a loop, each sample the mean of one slice of turns. A slice lasts
// about as long as the daemon waits between two looks into its ring, so that what the daemon
// does is in nearly each.
struct Cost {
  Samples wall, cpu;
  void add(const Cost& more) {
    wall.add(more.wall);
    cpu.add(more.cpu);
  }
};

void run_slices(const Loop& loop, Cost& cost);

// The slices of all rounds.
struct Comparison {
  Cost without, attached;
  int disturbed = 0; // rounds
  size_t others = 0; // most that were attached on both sides
};

// Without any daemon and with one, in turns, so that whatever else the machine does falls on
// both sides.
[[nodiscard]] Comparison compare(Bench& bench, const Loop& loop);
// Beside a daemon with these hooks disabled, which stands for "without", and beside one with all.
[[nodiscard]] Comparison compare_hooks(Bench& bench, const Loop& loop,
                                       const std::vector<std::string>& hooks);

// `limit`: of the time with it to the time without.
void report(Bench& bench, const std::string& what, const Comparison& c, double limit);

// "1.02 x the time (by medians 1.04 x, by cpu time 1.01 x)": of the fastest tenths.
struct Ratio {
  double ratio;
  std::string text;
  Ratio(const Cost& attached, const Cost& without);
};

} // namespace bindlens::bench
