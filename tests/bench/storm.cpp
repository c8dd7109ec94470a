#include "stage.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

namespace bindlens::bench {

namespace {

constexpr size_t processes = 2;
constexpr size_t kept = 512; // sockets that each process has open at any time
constexpr size_t tolerated = 10'000;

// Binds as fast as it can, always closing the oldest; then keeps the last ones
// until it is ended. `done` becomes readable, or breaks, at the end.
int storm(size_t process, size_t binds, int done) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::vector<Fd> sockets(kept);
  size_t refused = 0;
  for (size_t i = 0; i < binds; ++i) {
    const size_t place = i % kept;
    address.sin_port = htons(static_cast<uint16_t>(20'000 + process * kept + place));
    sockets[place].reset();
    sockets[place].reset(::socket(AF_INET, SOCK_STREAM, 0));
    // A sweep over all descriptors may keep the closed socket for a moment.
    while (::bind(sockets[place].get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      if (errno != EADDRINUSE || ++refused > tolerated) return 1;
  }
  if (::write(done, "1", 1) != 1) return 1;
  for (;;)
    ::pause();
}

// How long the daemon's main thread has run, and waited for a processor. Records
// are lost when it waits for longer than the ring lasts.
std::string processor_use(pid_t pid) {
  std::ifstream schedstat("/proc/" + std::to_string(pid) + "/schedstat");
  double ran = 0;
  double waited = 0;
  schedstat >> ran >> waited;
  return "the daemon ran for " + number(ran / 1e9, 1) + " s and waited for a processor for " +
         number(waited / 1e9, 1) + " s";
}

} // namespace

void measure_storm(Bench& bench) {
  const size_t each = bench.scale.storm_binds / processes;
  bench.report.heading("Storm of " + thousands(each * processes) + " binds by " +
                       std::to_string(processes) + " processes");
  const Daemon daemon(bench);
  int ends[2];
  if (::pipe(ends) != 0) give_up_errno("pipe");
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const uint64_t seen_before = daemon.status().events_seen;
  std::vector<Child> children;
  const double start = now_seconds();
  for (size_t p = 0; p < processes; ++p)
    children.push_back(Child::fork([&, p] { return storm(p, each, writing.get()); }));
  writing.reset();
  for (size_t p = 0; p < processes; ++p)
    if (char byte = 0; ::read(reading.get(), &byte, 1) != 1) give_up("a bind of the storm failed");
  const double seconds = now_seconds() - start;
  const auto verified = daemon.verify();
  const auto status = daemon.status();
  const uint64_t seen = status.events_seen - seen_before;
  bench.report.detail(
      thousands(static_cast<size_t>(static_cast<double>(each * processes) / seconds)) +
      " binds a second for " + number(seconds, 1) + " s; " + thousands(seen) + " records seen, " +
      thousands(status.events_lost) + " lost, " + std::to_string(status.resyncs) +
      " resyncs; afterwards " + thousands(verified.sockets) + " sockets, " +
      std::to_string(verified.differences) + " differences");
  bench.report.detail(processor_use(daemon.pid()));
  bench.report.line("storm of " + thousands(each * processes) + " binds",
                    thousands(status.events_lost) + " lost, " +
                        std::to_string(verified.differences) + " differences",
                    "0 lost, 0 differences", status.events_lost == 0 && verified.differences == 0);
}

} // namespace bindlens::bench
