#pragma once

#include "report.h"

#include <bindlens/util/fd.h>

#include <cstddef>
#include <functional>

namespace bindlens::bench {

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

// Seconds per turn of a loop, each sample the mean of one slice of turns.
struct Cost {
  Samples wall, cpu;
};

struct Loop {
  std::function<void()> turn;
  size_t turns_per_slice;
  int slices;
};

void run_slices(const Loop& loop, Cost& cost);

} // namespace bindlens::bench
