#include "stage.h"

#include <bindlens/kernel/owners.h>
#include <bindlens/kernel/session.h>
#include <bindlens/kernel/walk.h>

#include <bindlens/util/clock.h>

namespace bindlens::bench {

namespace {

// Only the programs that read: no hook is attached, which would slow down ss.
std::unique_ptr<kernel::Session> open_readers() {
  kernel::SessionOptions options;
  for (const std::string& hook : kernel::hook_names())
    if (hook != "walk") options.wishes.disabled.insert(hook);
  auto session = kernel::Session::open(options);
  if (!session) give_up(session.error().text);
  return *std::move(session);
}

struct Snapshot {
  double walk_seconds = 0, sweep_seconds = 0, cpu_seconds = 0;
  size_t sockets = 0; // of the benchmark's own namespace
  size_t owned = 0;   // of them, with at least one process
};

Snapshot take_snapshot(kernel::Session& session, kernel::Walker& walker, uint32_t netns) {
  Snapshot result;
  const uint64_t cpu = read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
  const double start = now_seconds();
  const auto view = walker.walk({});
  const double walked = now_seconds();
  if (!view) give_up(view.error().text);
  const auto owners = kernel::sweep_owners(session);
  if (!owners) give_up(owners.error().text);
  result.walk_seconds = walked - start;
  result.sweep_seconds = now_seconds() - walked;
  result.cpu_seconds = static_cast<double>(read_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1e9;
  for (const model::Bucket& bucket : view->buckets)
    for (const model::Socket& s : bucket.sockets) {
      if (s.netns != netns) continue;
      ++result.sockets;
      if (!owners->of(s).empty()) ++result.owned;
    }
  return result;
}

} // namespace

void measure_snapshot(Bench& bench) {
  const Holders holders(bench.scale);
  bench.report.heading("Full snapshot of " + thousands(bench.scale.sockets()) + " sockets");
  const auto session = open_readers();
  const auto walker = kernel::Walker::open(*session);
  if (!walker) give_up(walker.error().text);
  Samples ours, walks, sweeps, theirs, our_cpu, their_cpu;
  bool complete = true;
  Snapshot last;
  size_t ss_lines = 0;
  for (int round = 0; round < bench.scale.rounds; ++round) {
    for (int again = 0; again < 3; ++again) {
      last = take_snapshot(*session, **walker, bench.netns);
      walks.add(last.walk_seconds);
      sweeps.add(last.sweep_seconds);
      our_cpu.add(last.cpu_seconds);
      ours.add(last.walk_seconds + last.sweep_seconds);
      complete = complete && last.sockets == bench.scale.sockets() && last.owned == last.sockets;
    }
    const Run ss = run_program({"ss", "-tuapn"}, Output::discard);
    theirs.add(ss.seconds);
    their_cpu.add(ss.cpu_seconds);
  }
  ss_lines = run_program({"ss", "-H", "-tuapn"}, Output::count_lines).lines;
  const double ratio = theirs.median() / ours.median();
  bench.report.detail("walk of TCP and UDP  " + describe(walks, Unit::milliseconds));
  bench.report.detail("sweep for owners     " + describe(sweeps, Unit::milliseconds));
  bench.report.detail("both                 " + describe(ours, Unit::milliseconds) + "; " +
                      thousands(last.sockets) + " sockets, " + thousands(last.owned) +
                      " with a process");
  bench.report.detail("ss -tuapn            " + describe(theirs, Unit::milliseconds) + "; " +
                      thousands(ss_lines) + " sockets");
  bench.report.detail("processor time alone: " + describe(our_cpu, Unit::milliseconds) +
                      " against " + describe(their_cpu, Unit::milliseconds));
  bench.report.line("snapshot against ss -tuapn",
                    number(ratio, 1) +
                        " x faster (cpu time: " + number(their_cpu.median() / our_cpu.median(), 1) +
                        " x), " + (complete ? "complete" : "INCOMPLETE"),
                    ">= 40 x, complete", ratio >= 40 && complete);
}

} // namespace bindlens::bench
