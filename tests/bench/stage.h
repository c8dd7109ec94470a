#pragma once

#include "process.h"
#include "report.h"

#include <bindlens/protocol/view.h>
#include <bindlens/util/fd.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bindlens::bench {

// How much of everything. The smoke run differs from the real one in this alone.
struct Scale {
  size_t processes = 6;
  size_t sockets_per_process = 16'000;
  int rounds = 5;        // of comparisons between programs
  int quick_rounds = 30; // of commands that take milliseconds
  int attach_rounds = 9; // daemon attached, daemon gone
  int slices = 20;       // of a loop, per round
  int upkeep_rounds = 3; // daemon that audits by itself, daemon that does not
  int upkeep_slices = 300;
  size_t binds_per_slice = 5'000;
  size_t connects_per_slice = 1'500;
  size_t datagrams_per_slice = 12'800;
  size_t time_waits = 100'000;    // connections
  size_t storm_binds = 2'000'000; // over all processes
  int history_rounds = 9;         // history on disk, history in memory
  int sustained_seconds = 30;
  size_t history_rows = 10'000'000;
  [[nodiscard]] size_t sockets() const { return processes * sockets_per_process; }
};

// What every benchmark gets.
struct Bench {
  Scale scale;
  Report report;
  std::string daemon; // paths of the programs under test
  std::string command;
  std::string directory;               // for the daemon's socket and ready file
  std::string state = "none";          // directory of the daemon's history
  uint64_t history_bytes = 256u << 20; // its --history-max-size
  uint32_t netns = 0;                  // this program's own namespace, by inode number
};

// Moves this program into a network namespace of its own, with loopback up, and
// returns its inode number.
[[nodiscard]] uint32_t enter_own_netns();

// Processes that hold sockets on many ports and addresses: a third TCP
// listeners, a third TCP bound only, a third UDP. Gone with this object.
class Holders {
 public:
  explicit Holders(const Scale& scale);
  // A listener holds it, on listener_address(), and a bound and a UDP socket on
  // other addresses.
  [[nodiscard]] static uint16_t some_port() { return first_port; }
  [[nodiscard]] static uint32_t listener_address();
  static constexpr size_t sockets_per_port = 3;
  static constexpr uint16_t first_port = 2000;

 private:
  Fd keep_; // while it is open they stay
  std::vector<Child> children_;
};

// The daemon, from start to SIGTERM.
class Daemon {
 public:
  // Returns when it is ready. `more`: further arguments.
  explicit Daemon(const Bench& bench, uint32_t audit_interval_s = 5,
                  const std::vector<std::string>& more = {});
  [[nodiscard]] double seconds_to_ready() const { return seconds_to_ready_; }
  [[nodiscard]] pid_t pid() const { return child_.pid(); }
  [[nodiscard]] const std::string& socket() const { return socket_; }
  [[nodiscard]] protocol::StatusView status() const;
  [[nodiscard]] protocol::VerifyView verify() const;

 private:
  [[nodiscard]] std::string get(const std::string& target) const;

  std::string socket_;
  double seconds_to_ready_ = 0;
  Child child_;
};

void measure_snapshot(Bench& bench);
void measure_list(Bench& bench);
void measure_lookup(Bench& bench);
void measure_check(Bench& bench);
void measure_audit(Bench& bench);
void measure_ports(Bench& bench);
void measure_bind(Bench& bench);
void measure_upkeep(Bench& bench);
void measure_connect(Bench& bench);
void measure_timewait(Bench& bench);
void measure_parts(Bench& bench);
void measure_reuseport(Bench& bench);
void measure_storm(Bench& bench);
void measure_record(Bench& bench);
void measure_sustain(Bench& bench);
void measure_history(Bench& bench);
void measure_memory(Bench& bench);
void measure_start(Bench& bench);

} // namespace bindlens::bench
