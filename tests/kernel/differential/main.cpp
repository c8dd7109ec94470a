// Random sequences of socket calls, each foretold by the engine and then made.
//
//   differential_test [--seed N] [--ops N] [--length N]
//
// Needs root and a kernel that lets its bind tables be walked. Exit status: 0
// when they agreed on everything, 1 when not, 2 when the test could not run.

#include "runner.h"

#include <bindlens/kernel/calibration.h>
#include <bindlens/kernel/session.h>
#include <bindlens/kernel/walk.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace {

using namespace differential;
using bindlens::Result;

struct Options {
  uint64_t seed = 1;
  uint64_t operations = 50'000;
  unsigned length = 60;
};

std::optional<Options> parse(int argc, char** argv) {
  Options o;
  if (const char* longer = std::getenv("BINDLENS_LONG"); longer && std::string_view(longer) == "1")
    o.operations = 1'000'000;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i], value = argv[i + 1];
    uint64_t number = 0;
    const auto [rest, error] = std::from_chars(value.begin(), value.end(), number);
    if (error != std::errc{} || rest != value.end()) return std::nullopt;
    if (name == "--seed")
      o.seed = number;
    else if (name == "--ops")
      o.operations = number;
    else if (name == "--length")
      o.length = static_cast<unsigned>(number);
    else
      return std::nullopt;
  }
  return argc % 2 == 1 ? std::optional(o) : std::nullopt;
}

// Fresh ports for every sequence, so that TIME_WAIT of an earlier one is out of
// the way; 0 when they are used up.
class Ports {
 public:
  uint16_t next() {
    if (at_ + ports_in_use >= last) return 0;
    at_ = static_cast<uint16_t>(at_ + ports_in_use);
    return at_;
  }
  void restart() { at_ = first; }

 private:
  static constexpr uint16_t first = 2000;
  static constexpr uint16_t last = 65'000;
  uint16_t at_ = first;
};

struct Run {
  Options options;
  std::unique_ptr<bindlens::kernel::Session> session;
  std::unique_ptr<bindlens::kernel::Walker> walker;
  std::optional<Lab> lab;
  Ports ports;
};

int cannot(const bindlens::Error& e) {
  std::cerr << "differential_test: cannot run: " << e.text << "\n";
  return 2;
}

Result<void> enter_lab(Run& run) {
  auto lab = Lab::enter();
  if (!lab) return std::unexpected(lab.error());
  run.lab.emplace(std::move(*lab));
  run.ports.restart();
  // The walker looks for the tables from sockets of its own, in this namespace.
  auto walker = bindlens::kernel::Walker::open(*run.session);
  if (!walker) return std::unexpected(walker.error());
  run.walker = std::move(*walker);
  return {};
}

void report(Bench& bench, Run& run, const Sequence& s, uint64_t number, uint64_t proof,
            const Disagreement& first) {
  std::cerr << "DISAGREEMENT in sequence " << number << " of seed " << run.options.seed
            << ", operation " << first.at << ": " << describe(s.ops[first.at]) << "\n  kernel "
            << first.kernel << ", engine " << first.engine << "\n"
            << first.detail << "  " << describe(s.setting) << "\n";
  auto base = [&] {
    uint16_t b = run.ports.next();
    if (b == 0) {
      run.ports.restart();
      b = run.ports.next();
    }
    return b;
  };
  const Sequence small = shrink(bench, s, proof, base);
  auto last = play(bench, small, base(), proof);
  if (!last || !*last) {
    std::cerr << "it did not come again: ports are chosen at random, try the seed once more\n";
    return;
  }
  std::cerr << "the shortest sequence that disagrees:\n";
  for (const Op& op : small.ops)
    std::cerr << "  " << describe(op) << "\n";
  std::cerr << (*last)->detail << as_program(bench, small, **last);
}

void print(const Counts& c, double seconds) {
  std::cout << "operations " << c.operations << ", foretold " << c.asked << " (refused "
            << c.refused << ", beside TIME_WAIT " << c.time_wait << "), left open " << c.open
            << ", raced " << c.raced << ", holders proven " << c.holders_proven << " + "
            << c.necessity_proven << ", " << seconds << " s\n";
}

Choice choice_of(const Lab& lab) {
  Choice c;
  for (const LabAddress& a : lab.addresses())
    c.address_is_v6.push_back(a.addr.family == bindlens::model::Family::inet6);
  c.devices = static_cast<unsigned>(lab.devices().size());
  return c;
}

int explore(Run& run, Bench& bench) {
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t number = 0; bench.counts.operations < run.options.operations; ++number) {
    uint16_t base = run.ports.next();
    if (base == 0) {
      if (auto ok = enter_lab(run); !ok) return cannot(ok.error());
      base = run.ports.next();
    }
    std::mt19937_64 random(run.options.seed * 1'000'003 + number);
    const Sequence s = random_sequence(random, run.options.length, choice_of(*run.lab));
    const uint64_t proof = number % 2 == 0 ? random() | 1 : 0;
    auto result = play(bench, s, base, proof);
    if (!result) return cannot(result.error());
    if (!*result) continue;
    report(bench, run, s, number, proof, **result);
    return 1;
  }
  print(bench.counts,
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  for (const auto& line : describe(bench.variants))
    std::cout << line.name << " " << line.value << ", ";
  std::cout << "\n0 disagreements, seed " << run.options.seed
            << (run.lab->has_vrf() ? ", with VRF\n" : ", this kernel has no VRF\n");
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::cerr << "usage: differential_test [--seed N] [--ops N] [--length N]\n";
    return 2;
  }
  Run run{*options, nullptr, nullptr, std::nullopt, {}};
  auto session = bindlens::kernel::Session::open({});
  if (!session) return cannot(session.error());
  run.session = std::move(*session);
  const auto calibration = bindlens::kernel::calibrate();
  if (!calibration.variants.assumed.empty()) return cannot({calibration.variants.assumed, 0});
  if (auto ok = enter_lab(run); !ok) return cannot(ok.error());
  Bench bench{*run.lab,
              [&](bindlens::model::Proto proto, uint16_t port, uint32_t netns) {
                return run.walker->walk(
                    {{proto == bindlens::model::Proto::mptcp ? bindlens::model::Proto::tcp : proto},
                     port,
                     netns});
              },
              calibration.variants,
              {}};
  return explore(run, bench);
}
