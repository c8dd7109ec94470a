#include "stage.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string_view>
#include <unistd.h>

namespace bindlens::bench {

namespace {

struct Benchmark {
  std::string_view name;
  void (*measure)(Bench&);
  std::string_view what;
};

constexpr std::array benchmarks{
    Benchmark{"snapshot", measure_snapshot, "walk and sweep against ss -tuapn"},
    Benchmark{"list", measure_list, "bindlens ls --json against ss -H -tuan"},
    Benchmark{"lookup", measure_lookup, "bindlens why PORT and ls --port PORT"},
    Benchmark{"check", measure_check, "POST /v1/check"},
    Benchmark{"audit", measure_audit, "bindlens audit, all sockets"},
    Benchmark{"ports", measure_ports, "bindlens ports, all sockets"},
    Benchmark{"start", measure_start, "start of the daemon to ready"},
    Benchmark{"memory", measure_memory, "resident memory of the daemon"},
    Benchmark{"bind", measure_bind, "socket+bind+close with and without the daemon"},
    Benchmark{"upkeep", measure_upkeep, "socket+bind+close while the daemon audits and while not"},
    Benchmark{"connect", measure_connect, "connect+accept+close with and without the daemon"},
    Benchmark{"timewait", measure_timewait, "connections that end in TIME_WAIT, 100,000 of them"},
    Benchmark{"parts", measure_parts, "what each hook takes of such a connection"},
    Benchmark{"reuseport", measure_reuseport, "connections and datagrams to four members, counted"},
    Benchmark{"storm", measure_storm, "binds as fast as two processes make them"},
    Benchmark{"record", measure_record, "socket+bind+close, history on disk and in memory"},
    Benchmark{"sustain", measure_sustain, "20,000 events a second into a history on disk"},
    Benchmark{"history", measure_history, "one port and hour of a history of 10,000,000 events"},
};

void print_usage(std::ostream& out) {
  out << "usage: bindlens_bench [--smoke] [NAME...]\n\n"
         "Measures bindlens against other tools, or against the host without it. Needs root.\n\n";
  for (const Benchmark& b : benchmarks)
    out << "  " << b.name << std::string(10 - b.name.size(), ' ') << b.what << "\n";
  out << "\nWithout a name: all of them. --smoke: everything small, to see that it runs.\n";
}

Scale smoke_scale() {
  return {.processes = 2,
          .sockets_per_process = 300,
          .rounds = 1,
          .quick_rounds = 1,
          .attach_rounds = 1,
          .slices = 2,
          .upkeep_rounds = 1,
          .upkeep_slices = 2,
          .binds_per_slice = 100,
          .connects_per_slice = 100,
          .datagrams_per_slice = 640,
          .time_waits = 1000,
          .storm_binds = 4000,
          .history_rounds = 1,
          .sustained_seconds = 1,
          .history_rows = 20'000};
}

struct Wanted {
  std::vector<const Benchmark*> benchmarks;
  bool smoke = false;
  int exit_code = -1; // not to go on
};

Wanted parse(int argc, char** argv) {
  Wanted w;
  for (int i = 1; i < argc; ++i) {
    const std::string_view text = argv[i];
    const auto named = std::find_if(benchmarks.begin(), benchmarks.end(),
                                    [&](const Benchmark& b) { return b.name == text; });
    if (named != benchmarks.end()) {
      w.benchmarks.push_back(&*named);
    } else if (text == "--smoke") {
      w.smoke = true;
    } else {
      w.exit_code = text == "--help" ? 0 : 2;
      print_usage(w.exit_code == 0 ? std::cout : std::cerr);
      return w;
    }
  }
  if (w.benchmarks.empty())
    for (const Benchmark& b : benchmarks)
      w.benchmarks.push_back(&b);
  return w;
}

void run(const Wanted& wanted) {
  Bench bench;
  if (wanted.smoke) bench.scale = smoke_scale();
  const auto programs = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "../bin";
  bench.daemon = (programs / "bindlensd").lexically_normal();
  bench.command = (programs / "bindlens").lexically_normal();
  std::string directory = "/tmp/bindlens-bench.XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) give_up_errno("making a directory below /tmp");
  bench.directory = directory;
  struct Remove {
    const std::string& path;
    ~Remove() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  } const remove{directory};
  bench.netns = enter_own_netns();
  for (const Benchmark* b : wanted.benchmarks)
    b->measure(bench);
  bench.report.print();
}

} // namespace

} // namespace bindlens::bench

int main(int argc, char** argv) {
  using namespace bindlens::bench;
  const Wanted wanted = parse(argc, argv);
  if (wanted.exit_code >= 0) return wanted.exit_code;
  if (::geteuid() != 0) {
    std::cerr
        << "bindlens_bench: needs root: it loads BPF programs and makes a network namespace\n";
    return 77;
  }
  try {
    run(wanted);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "bindlens_bench: " << e.what() << "\n";
    return 1;
  }
}
