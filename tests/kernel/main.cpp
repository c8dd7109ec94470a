#include "daemon.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace {

using bindlens::test::Json;

void set_bpf_stats(bool on) {
  std::ofstream("/proc/sys/kernel/bpf_stats_enabled") << (on ? 1 : 0);
}

void print_program_times() {
  const Json status = bindlens::test::shared_daemon().one("/v1/status");
  for (const Json& p : status["programs"]) {
    const auto runs = p.value("run_count", uint64_t{0});
    if (runs == 0) continue;
    std::cout << "program " << p.value("name", "") << ": " << runs << " runs, "
              << p.value("run_ns", uint64_t{0}) / runs << " ns each\n";
  }
}

// With BINDLENS_PROGRAM_TIMES=1, what each BPF program of the shared daemon took.
bool wants_program_times() {
  return std::getenv("BINDLENS_PROGRAM_TIMES") != nullptr;
}

// The daemon is there before the first test: what happens earlier, it does not see.
class SharedDaemon : public testing::Environment {
 public:
  void SetUp() override {
    if (wants_program_times()) set_bpf_stats(true);
    (void)bindlens::test::shared_daemon();
  }
  void TearDown() override {
    if (wants_program_times()) {
      print_program_times();
      set_bpf_stats(false);
    }
    bindlens::test::stop_shared_daemon();
  }
};

} // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::AddGlobalTestEnvironment(new SharedDaemon); // gtest deletes it
  std::signal(SIGPIPE, SIG_IGN);
  return RUN_ALL_TESTS();
}
