#include "loops.h"

#include "hooks.h"
#include "stage.h"

#include <bindlens/util/clock.h>

#include <algorithm>
#include <netinet/in.h>
#include <sys/socket.h>

namespace bindlens::bench {

namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

constexpr uint16_t first_bind_port = 20'000;
constexpr uint16_t bind_ports = 16;

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

struct Comparison {
  Cost without, attached;
  int disturbed = 0; // rounds
  size_t others = 0; // most that were attached on both sides
};

// One round. False when somebody else's hooks came or went meanwhile.
bool run_round(Bench& bench, const Loop& loop, Comparison& c) {
  const size_t others = loaded_bind_hooks();
  Cost without, attached;
  run_slices(loop, without);
  if (loaded_bind_hooks() != others) return false;
  const Daemon daemon(bench);
  if (!wait_for_bind_hooks(others + 1, 1)) return false;
  run_slices(loop, attached);
  if (loaded_bind_hooks() != others + 1) return false;
  c.without.wall.add(without.wall.median());
  c.without.cpu.add(without.cpu.median());
  c.attached.wall.add(attached.wall.median());
  c.attached.cpu.add(attached.cpu.median());
  c.others = std::max(c.others, others);
  return true;
}

// In turns, so that whatever else the machine does falls on both sides.
Comparison compare(Bench& bench, const Loop& loop) {
  Comparison c;
  Cost warm_up;
  run_slices({loop.turn, loop.turns_per_slice, 1}, warm_up);
  for (int round = 0; round < bench.scale.attach_rounds; ++round)
    if (!run_round(bench, loop, c)) ++c.disturbed;
  return c;
}

void report(Bench& bench, const std::string& what, const Comparison& c, double limit) {
  if (c.without.wall.empty() || c.attached.wall.empty())
    return bench.report.line(what, "not measured: other daemons came and went",
                             "<= " + number(limit, 2) + " x", false);
  const double ratio = c.attached.wall.median() / c.without.wall.median();
  const double cpu_ratio = c.attached.cpu.median() / c.without.cpu.median();
  bench.report.detail("without   wall " + describe(c.without.wall, Unit::microseconds) + ", cpu " +
                      describe(c.without.cpu, Unit::microseconds));
  bench.report.detail("attached  wall " + describe(c.attached.wall, Unit::microseconds) + ", cpu " +
                      describe(c.attached.cpu, Unit::microseconds));
  if (c.disturbed > 0)
    bench.report.detail(std::to_string(c.disturbed) +
                        " rounds left out: another daemon came or went");
  if (c.others > 0)
    bench.report.detail("up to " + std::to_string(c.others) +
                        " other daemons were attached on both sides: the ratio is too low");
  bench.report.line(what,
                    number(ratio, 3) + " x the time (cpu time: " + number(cpu_ratio, 3) + " x)",
                    "<= " + number(limit, 2) + " x", ratio <= limit);
}

} // namespace

void Binder::bind_once() {
  const sockaddr_in address = loopback(static_cast<uint16_t>(first_bind_port + next_));
  next_ = (next_ + 1) % bind_ports;
  const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
  if (errno != EADDRINUSE) give_up_errno("bind");
  ++refused_;
}

void run_slices(const Loop& loop, Cost& cost) {
  const auto turns = static_cast<double>(loop.turns_per_slice);
  for (int slice = 0; slice < loop.slices; ++slice) {
    const uint64_t wall = read_clock_ns(CLOCK_MONOTONIC);
    const uint64_t cpu = read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < loop.turns_per_slice; ++i)
      loop.turn();
    cost.cpu.add(static_cast<double>(read_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu) / turns / 1e9);
    cost.wall.add(static_cast<double>(read_clock_ns(CLOCK_MONOTONIC) - wall) / turns / 1e9);
  }
}

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
  const double ratio = auditing.median() / without.median();
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
