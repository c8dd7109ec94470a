#include "compare.h"

#include <bindlens/util/clock.h>

#include <netinet/in.h>
#include <sys/socket.h>

namespace bindlens::bench {

namespace {

// Lingering for no time, which accepted sockets inherit, ends connections with
// a reset: none stays in TIME_WAIT, and ports never run out.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM, 0)), address_(loopback(20'001)) {
    const linger no_time{1, 0};
    if (::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &no_time, sizeof no_time) != 0 ||
        ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0 ||
        ::listen(fd_.get(), 16) != 0)
      give_up_errno("making a listener");
  }
  void connect_once() const {
    const Fd client(::socket(AF_INET, SOCK_STREAM, 0));
    if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0)
      give_up_errno("connect");
    const Fd accepted(::accept(fd_.get(), nullptr, nullptr));
    if (!accepted) give_up_errno("accept");
    // Destructors run in reverse order: the accepted socket resets the client's.
  }

 private:
  Fd fd_;
  sockaddr_in address_;
};

} // namespace

void measure_bind(Bench& bench) {
  bench.report.heading("Loop of socket, bind, close");
  Binder binder;
  const Loop loop{[&] { binder.bind_once(); }, bench.scale.binds_per_slice, bench.scale.slices};
  report(bench, "socket+bind+close, attached", compare(bench, loop), 1.25);
  if (binder.refused() > 0)
    bench.report.detail(thousands(binder.refused()) +
                        " binds refused: somebody still looked at the "
                        "socket that had the port before");
}

// Sums, not medians: an audit falls on few slices of many.
double mean_of(const Loop& loop) {
  const auto turns = static_cast<double>(loop.turns_per_slice) * loop.slices;
  const uint64_t start = read_clock_ns(CLOCK_MONOTONIC);
  for (int slice = 0; slice < loop.slices; ++slice)
    for (size_t i = 0; i < loop.turns_per_slice; ++i)
      loop.turn();
  return static_cast<double>(read_clock_ns(CLOCK_MONOTONIC) - start) / turns / 1e9;
}

// With as many sockets as the host may have, and an audit as soon as its share of
// the time allows.
void measure_upkeep(Bench& bench) {
  bench.report.heading("Loop of socket, bind, close while the daemon looks for findings");
  const Holders holders(bench.scale);
  Binder binder;
  const Loop loop{[&] { binder.bind_once(); }, bench.scale.binds_per_slice,
                  bench.scale.upkeep_slices};
  Samples without, auditing;
  uint64_t audits = 0;
  uint64_t cpu_ns = 0;
  double seconds = 0;
  for (int round = 0; round < bench.scale.upkeep_rounds; ++round) {
    {
      const Daemon daemon(bench, 0);
      without.add(mean_of(loop));
    }
    const Daemon daemon(bench, 1);
    const double start = now_seconds();
    auditing.add(mean_of(loop));
    seconds += now_seconds() - start;
    const auto status = daemon.status();
    audits += status.audit->runs;
    cpu_ns += status.audit->cpu_ns;
  }
  const double ratio = auditing.over(without).median();
  bench.report.detail("without audits  " + describe(without, Unit::microseconds));
  bench.report.detail("with audits     " + describe(auditing, Unit::microseconds));
  bench.report.detail(thousands(audits) + " audits in " + number(seconds, 0) + " s, " +
                      number(static_cast<double>(cpu_ns) / 1e9 / seconds * 100, 2) +
                      " % of a processor, what the daemon did meanwhile for the binds included");
  bench.report.line("socket+bind+close, daemon auditing " + thousands(bench.scale.sockets()) +
                        " sockets",
                    number(ratio, 3) + " x the time", "<= 1.02 x", ratio <= 1.02);
}

void measure_connect(Bench& bench) {
  bench.report.heading("Loop of socket, connect, accept, close, close");
  const Listener listener;
  const Loop loop{[&] { listener.connect_once(); }, bench.scale.connects_per_slice,
                  bench.scale.slices};
  report(bench, "connect+accept+close, attached", compare(bench, loop), 1.05);
}

} // namespace bindlens::bench
