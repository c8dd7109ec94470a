#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bindlens::bench {

// A history as an earlier boot of this machine would have left it: sockets that were bound,
// listened and were closed, spread evenly over `hours`, on so many ports in turn.
struct PastPlan {
  static constexpr uint16_t first_port = 8000;
  size_t rows = 0;
  uint64_t max_bytes = 0;
  uint16_t ports = 100;
  int hours = 240;
};

// Writes it into the directory with the code that the daemon writes with. Returns the wall
// time of its beginning, ns.
int64_t write_past(const std::string& directory, const PastPlan& plan);

} // namespace bindlens::bench
