#include "compare.h"

#include "hooks.h"

#include <bindlens/util/clock.h>

#include <algorithm>

namespace bindlens::bench {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
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

namespace {

constexpr uint16_t first_bind_port = 20'000;
constexpr uint16_t bind_ports = 16;

} // namespace

void Binder::bind_once() {
  const sockaddr_in address = loopback(static_cast<uint16_t>(first_bind_port + next_));
  next_ = (next_ + 1) % bind_ports;
  const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
  if (errno != EADDRINUSE) give_up_errno("bind");
  ++refused_;
}

namespace {

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
  c.without.add(without);
  c.attached.add(attached);
  c.others = std::max(c.others, others);
  return true;
}

} // namespace

Comparison compare(Bench& bench, const Loop& loop) {
  Comparison c;
  Cost warm_up;
  run_slices({loop.turn, loop.turns_per_slice, 1}, warm_up);
  for (int round = 0; round < bench.scale.attach_rounds; ++round)
    if (!run_round(bench, loop, c)) ++c.disturbed;
  return c;
}

Comparison compare_hooks(Bench& bench, const Loop& loop, const std::vector<std::string>& hooks) {
  std::vector<std::string> less;
  for (const std::string& hook : hooks)
    less.insert(less.end(), {"--disable-hook", hook});
  Comparison c;
  for (int round = 0; round < bench.scale.attach_rounds; ++round) {
    for (const bool second : {false, true}) {
      const bool all = second == (round % 2 == 0);
      const Daemon daemon(bench, 0, all ? std::vector<std::string>{} : less);
      run_slices(loop, all ? c.attached : c.without);
    }
  }
  return c;
}

Ratio::Ratio(const Cost& attached, const Cost& without)
    : ratio(attached.wall.low() / without.wall.low()),
      text(number(ratio, 3) + " x the time (by medians " +
           number(attached.wall.median() / without.wall.median(), 3) + " x, by cpu time " +
           number(attached.cpu.low() / without.cpu.low(), 3) + " x)") {}

void report(Bench& bench, const std::string& what, const Comparison& c, double limit) {
  if (c.without.wall.empty() || c.attached.wall.empty())
    return bench.report.line(what, "not measured: other daemons came and went",
                             "<= " + number(limit, 2) + " x", false);
  const Ratio measured(c.attached, c.without);
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
  bench.report.line(what, measured.text, "<= " + number(limit, 2) + " x", measured.ratio <= limit);
}

} // namespace bindlens::bench
