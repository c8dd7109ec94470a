#pragma once

// Processes that bind, listen, are refused and close, each of which keeps an exact log of
// what it did: for a history to be held against.

#include "place.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bindlens::test {

// One call that the kernel answered. Times are CLOCK_MONOTONIC, read by the caller.
struct Operation {
  enum class Kind : uint8_t { bind, listen, close };
  Kind kind = Kind::bind;
  bool udp = false;
  uint16_t port = 0;
  int32_t error = 0;
  uint64_t before = 0, after = 0;
  uint64_t cookie = 0; // of the socket, SO_COOKIE
  // Of a call refused on a port of the process's own: the sockets in its way.
  uint64_t in_the_way[2] = {0, 0};
  [[nodiscard]] bool ok() const { return error == 0; }
  [[nodiscard]] bool is_refusal() const { return error != 0; }
};

struct WorkloadPlan {
  size_t workers = 8;
  size_t operations = 20'000; // of all together, at least
  double per_second = 10'000; // of all together
};

// Processes in a namespace. Each has ports of its own, and all try for the contested ones.
// When one has made its operations it keeps what is open until it is gone with this object.
class Workload {
 public:
  static constexpr uint16_t first_contested = 9000;
  static constexpr uint16_t contested_ports = 16;
  static constexpr uint16_t first_own = 10'000;
  static constexpr uint16_t own_ports = 1000; // of each process
  // The last of its own, for pairs of listeners of which the second is refused.
  static constexpr uint16_t pair_ports = 50;

  Workload(const Netns& netns, const WorkloadPlan& plan);
  ~Workload();
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  [[nodiscard]] bool is_done() const;
  [[nodiscard]] size_t made() const; // operations so far
  [[nodiscard]] size_t workers() const { return processes_.size(); }
  [[nodiscard]] pid_t pid(size_t worker) const { return processes_[worker].pid(); }
  // In the order in which the process made them.
  [[nodiscard]] std::span<const Operation> log(size_t worker) const;
  [[nodiscard]] static bool is_contested(uint16_t port) { return port < first_own; }

 private:
  struct Page; // shared with a process
  [[nodiscard]] Page& page(size_t worker) const;

  size_t each_;
  size_t page_bytes_;
  void* memory_ = nullptr;
  std::vector<Child> processes_;
};

} // namespace bindlens::test
