#include "compare.h"

#include <bindlens/util/clock.h>

#include <fstream>
#include <sys/socket.h>

namespace bindlens::bench {

namespace {

constexpr uint16_t service = 20'003;

void keep_all_time_waits() {
  std::ofstream("/proc/sys/net/ipv4/tcp_max_tw_buckets") << 4'000'000;
}

// Connections whose server closes first, to another address of 127.0.0.0/8 every thousand,
// so that no search for a port gets long and nothing is reused.
class Closer {
 public:
  Closer() : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in any = loopback(service);
    any.sin_addr.s_addr = INADDR_ANY;
    // What an earlier measurement left is in TIME_WAIT on this port.
    const int one = 1;
    if (::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 ||
        ::listen(listener_.get(), 16) != 0)
      give_up_errno("making a listener");
  }
  void connect_once() {
    sockaddr_in to = loopback(service);
    to.sin_addr.s_addr = htonl(0x7f010001 + made_++ / 1000);
    const Fd client(::socket(AF_INET, SOCK_STREAM, 0));
    if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
      give_up_errno("connect");
    const Fd accepted(::accept(listener_.get(), nullptr, nullptr));
    if (!accepted) give_up_errno("accept");
    // Destructors run in reverse order.
  }

 private:
  Fd listener_;
  uint32_t made_ = 0;
};

constexpr size_t per_slice = 1'500;

} // namespace

void measure_timewait(Bench& bench) {
  bench.report.heading("Connections that end in TIME_WAIT, attached");
  keep_all_time_waits();
  Closer closer;
  const size_t turns = std::min(per_slice, bench.scale.time_waits);
  const Loop loop{[&] { closer.connect_once(); }, turns,
                  static_cast<int>(bench.scale.time_waits / turns)};
  Comparison c;
  double busy = 0;
  double seconds = 0;
  uint64_t lost = 0;
  for (int round = 0; round < bench.scale.rounds; ++round) {
    run_slices(loop, c.without);
    const Daemon daemon(bench);
    const double cpu = cpu_seconds_of(daemon.pid());
    const double start = now_seconds();
    run_slices(loop, c.attached);
    seconds += now_seconds() - start;
    busy += cpu_seconds_of(daemon.pid()) - cpu;
    lost += daemon.status().events_lost;
  }
  const std::string what = thousands(bench.scale.time_waits) + " connections into TIME_WAIT";
  report(bench, what, c, 1 / 0.95);
  bench.report.detail("records lost " + thousands(lost));
  const double share = busy / seconds * 100;
  bench.report.line(what + ", daemon", number(share, 1) + " % of a processor", "< 5 %", share < 5);
}

void measure_parts(Bench& bench) {
  bench.report.heading("What each hook takes of a connection that ends in TIME_WAIT");
  keep_all_time_waits();
  Closer closer;
  const Loop loop{[&] { closer.connect_once(); }, bench.scale.connects_per_slice,
                  bench.scale.slices};
  const std::vector<std::vector<std::string>> parts = {
      {"connect"},
      {"tcp-release", "stop-listening", "linger-zero"},
      {"udp-release"},
      {"timewait-connect"},
      {"mark"},
      {"reuseport-accept"},
      {"reuseport-queue", "reuseport-datagrams"}};
  for (const auto& hooks : parts) {
    const Comparison c = compare_hooks(bench, loop, hooks);
    std::string names;
    for (const std::string& hook : hooks)
      names += (names.empty() ? "" : ", ") + hook;
    const double all = c.attached.wall.low();
    const double less = c.without.wall.low();
    bench.report.detail(number((all - less) * 1e6, 2) + " us of " + number(all * 1e6, 2) + "  " +
                        names);
  }
}

} // namespace bindlens::bench
