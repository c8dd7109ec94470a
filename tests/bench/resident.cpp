#include "stage.h"

#include <fstream>
#include <sstream>
#include <unistd.h>

namespace bindlens::bench {

namespace {

struct Memory {
  double resident = 0, anonymous = 0, file = 0, shared = 0, peak = 0; // MB
};

Memory memory_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  Memory m;
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string name;
    double kb = 0;
    words >> name >> kb;
    const double mb = kb / 1024;
    if (name == "VmRSS:") m.resident = mb;
    if (name == "RssAnon:") m.anonymous = mb;
    if (name == "RssFile:") m.file = mb;
    if (name == "RssShmem:") m.shared = mb;
    if (name == "VmHWM:") m.peak = mb;
  }
  return m;
}

std::string describe(const Memory& m) {
  return number(m.resident, 1) + " MB (anonymous " + number(m.anonymous, 1) + ", file " +
         number(m.file, 1) + ", shared " + number(m.shared, 1) + "; peak " + number(m.peak, 1) +
         ")";
}

// What was done last is over: the first sweep, the end of a burst.
Memory settled(const Daemon& daemon) {
  ::usleep(1'000'000);
  return memory_of(daemon.pid());
}

} // namespace

void measure_memory(Bench& bench) {
  bench.report.heading("Resident memory");
  const Daemon daemon(bench);
  const Memory idle = settled(daemon);
  bench.report.detail("idle                          " + describe(idle));
  const Holders holders(bench.scale);
  const Memory seen = settled(daemon);
  bench.report.detail("after seeing them bound       " + describe(seen));
  const std::vector<std::string> list{bench.command, "--socket", daemon.socket(), "--json", "ls"};
  (void)run_program(list, Output::discard);
  const Memory listed = settled(daemon);
  bench.report.detail("after listing them            " + describe(listed));
  const std::string count = thousands(bench.scale.sockets());
  bench.report.line("resident memory, idle", number(idle.resident, 1) + " MB", "<= 25 MB",
                    idle.resident <= 25);
  bench.report.line("resident memory, " + count + " sockets", number(seen.resident, 1) + " MB",
                    "<= 80 MB", seen.resident <= 80);
  bench.report.line("the same after ls of all", number(listed.resident, 1) + " MB", "<= 80 MB",
                    listed.resident <= 80);
}

void measure_start(Bench& bench) {
  const Holders holders(bench.scale);
  const std::string count = thousands(bench.scale.sockets());
  bench.report.heading("Start to ready with " + count + " sockets");
  Samples ready;
  double snapshot_ms = 0;
  double calibration_ms = 0;
  Memory memory;
  for (int round = 0; round < bench.scale.rounds; ++round) {
    const Daemon daemon(bench);
    ready.add(daemon.seconds_to_ready());
    const auto status = daemon.status();
    snapshot_ms = static_cast<double>(status.snapshot_ns) / 1e6;
    calibration_ms = static_cast<double>(status.calibration_ns) / 1e6;
    if (round + 1 == bench.scale.rounds) memory = settled(daemon);
  }
  bench.report.detail("start to ready  " + describe(ready, Unit::milliseconds) +
                      "; of the last one: calibration " + number(calibration_ms, 1) +
                      " ms, snapshot " + number(snapshot_ms, 1) + " ms");
  bench.report.detail("then resident   " + describe(memory));
  bench.report.line("start to ready, " + count + " sockets", number(ready.median(), 3) + " s",
                    "<= 0.5 s", ready.median() <= 0.5);
}

} // namespace bindlens::bench
