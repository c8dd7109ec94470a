#include "stage.h"

#include <bindlens/kernel/owners.h>
#include <bindlens/kernel/session.h>
#include <bindlens/kernel/walk.h>

#include <bindlens/util/clock.h>

#include <future>

namespace bindlens::bench {

namespace {

// Only the programs that read: no hook is attached, which would slow down ss.
std::unique_ptr<kernel::Session> open_readers() {
  auto session = kernel::Session::open({.wishes = kernel::without_hooks()});
  if (!session) give_up(session.error().text);
  return *std::move(session);
}

// Parts of a snapshot, alone and together.
struct Times {
  Samples walk, sweep, both, cpu;
};

kernel::OwnerMap sweep(kernel::Session& session) {
  auto owners = kernel::sweep_owners(session);
  if (!owners) give_up(owners.error().text);
  return *std::move(owners);
}

model::PortView walk(kernel::Walker& walker) {
  auto view = walker.walk({.files = false});
  if (!view) give_up(view.error().text);
  return *std::move(view);
}

// One after the other, by the clock and by the time spent on a processor.
void time_parts(kernel::Session& session, kernel::Walker& walker, Times& times) {
  const uint64_t cpu = read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
  const double start = now_seconds();
  (void)walk(walker);
  const double walked = now_seconds();
  (void)sweep(session);
  times.sweep.add(now_seconds() - walked);
  times.walk.add(walked - start);
  times.cpu.add(static_cast<double>(read_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1e9);
}

struct Found {
  size_t sockets = 0; // of the benchmark's own namespace
  size_t owned = 0;   // of them, with at least one process
};

// At the same time, as the daemon does it.
Found time_both(kernel::Session& session, kernel::Walker& walker, uint32_t netns, Times& times) {
  const double start = now_seconds();
  auto swept = std::async(std::launch::async, [&] { return sweep(session); });
  const model::PortView view = walk(walker);
  const kernel::OwnerMap owners = swept.get();
  times.both.add(now_seconds() - start);
  Found found;
  for (const model::Bucket& bucket : view.buckets)
    for (const model::Socket& s : bucket.sockets) {
      if (s.netns != netns) continue;
      ++found.sockets;
      bool owned = false;
      (void)owners.for_each_of(s, [&](const kernel::Descriptor&) { owned = true; });
      found.owned += owned;
    }
  return found;
}

} // namespace

void measure_snapshot(Bench& bench) {
  const Holders holders(bench.scale);
  const size_t count = bench.scale.sockets();
  bench.report.heading("Full snapshot of " + thousands(count) + " sockets");
  const auto session = open_readers();
  const auto walker = kernel::Walker::open(*session);
  if (!walker) give_up(walker.error().text);
  Times ours;
  Samples theirs, their_cpu;
  Found found;
  bool complete = true;
  for (int round = 0; round < bench.scale.rounds; ++round) {
    for (int again = 0; again < 3; ++again) {
      time_parts(*session, **walker, ours);
      found = time_both(*session, **walker, bench.netns, ours);
      complete = complete && found.sockets == count && found.owned == count;
    }
    const Run ss = run_program({"ss", "-tuapn"}, Output::discard);
    theirs.add(ss.seconds);
    their_cpu.add(ss.cpu_seconds);
  }
  const size_t ss_lines = run_program({"ss", "-H", "-tuapn"}, Output::count_lines).lines;
  const auto detail = [&](const std::string& what, const Samples& samples,
                          const std::string& more) {
    bench.report.detail(what + describe(samples, Unit::milliseconds) + more);
  };
  detail("walk of TCP and UDP         ", ours.walk, "");
  detail("sweep for owners            ", ours.sweep, "");
  detail("both at the same time       ", ours.both,
         "; " + thousands(found.sockets) + " sockets, " + thousands(found.owned) +
             " with a process");
  detail("processor time of both      ", ours.cpu, "");
  detail("ss -tuapn                   ", theirs, "; " + thousands(ss_lines) + " sockets");
  detail("processor time of ss        ", their_cpu, "");
  const double ratio = theirs.median() / ours.both.median();
  bench.report.line("snapshot against ss -tuapn",
                    number(ratio, 1) + " x faster (cpu time: " +
                        number(their_cpu.median() / ours.cpu.median(), 1) + " x), " +
                        (complete ? "complete" : "INCOMPLETE"),
                    ">= 40 x, complete", ratio >= 40 && complete);
}

} // namespace bindlens::bench
