#pragma once

#include <bindlens/kernel/attach_plan.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bindlens::app {

// What the command line and the configuration file ask for, checked.
struct Options {
  std::string socket = "/run/bindlens/bindlens.sock";
  std::string state_dir = "/var/lib/bindlens"; // "none": keep everything in memory
  uint64_t history_max_size = 256u << 20;      // bytes
  uint64_t history_max_age = 14 * 86'400;      // seconds
  kernel::AttachWishes wishes;
  std::string log_level = "info";
  std::string ready_file; // empty: none
  uint32_t ring_bytes = 4u << 20;
  uint32_t event_memory = 16u << 20;  // bytes
  uint32_t failure_memory = 8u << 20; // bytes
  uint32_t max_failures = 10'000;     // entries, identical ones folded
  uint32_t verify_interval_s = 60;    // 0: never
  uint32_t audit_interval_s = 5;      // 0: only when a client asks
  bool check_config = false;
};

// Either the options, or what to exit with: --help, --version and errors have
// been printed by then.
struct ParsedOptions {
  Options options;
  bool run = false;
  int exit_code = 0;
};
[[nodiscard]] ParsedOptions parse_options(int argc, const char* const* argv);

} // namespace bindlens::app
