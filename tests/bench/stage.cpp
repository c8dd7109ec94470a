#include "stage.h"

#include <bindlens/protocol/client.h>

#include <arpa/inet.h>
#include <array>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace bindlens::bench {

namespace {

enum Kind : uint32_t { listener = 0, bound_only = 1, udp = 2 };

uint32_t address_of(size_t process, Kind kind) {
  return INADDR_LOOPBACK + static_cast<uint32_t>((process + 1) << 8) + kind;
}

bool hold(size_t process, size_t index) {
  const auto kind = static_cast<Kind>(index % 3);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(address_of(process, kind));
  address.sin_port = htons(static_cast<uint16_t>(Holders::first_port + index / 3));
  const int fd = ::socket(AF_INET, kind == udp ? SOCK_DGRAM : SOCK_STREAM, 0);
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return false;
  return kind != listener || ::listen(fd, 16) == 0;
}

void allow_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// One byte says whether all sockets were made; then waits for the end of `keep`.
int hold_all(size_t process, size_t count, int ready, int keep) {
  allow_descriptors();
  char all = 1;
  for (size_t i = 0; i < count && all == 1; ++i)
    all = hold(process, i) ? 1 : 0;
  if (::write(ready, &all, 1) != 1) return 1;
  char nothing = 0;
  while (::read(keep, &nothing, 1) > 0) {
  }
  return 0;
}

std::array<Fd, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) give_up_errno("pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

bool exists(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && st.st_size > 0;
}

} // namespace

uint32_t enter_own_netns() {
  if (::unshare(CLONE_NEWNET) != 0) give_up_errno("making a network namespace");
  const Fd fd(::socket(AF_INET, SOCK_DGRAM, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) give_up_errno("starting the loopback device");
  struct stat st {};
  if (::stat("/proc/self/ns/net", &st) != 0) give_up_errno("/proc/self/ns/net");
  return static_cast<uint32_t>(st.st_ino);
}

uint32_t Holders::listener_address() {
  return address_of(0, listener);
}

Holders::Holders(const Scale& scale) {
  auto [ready, ready_in] = make_pipe();
  auto [keep, keep_in] = make_pipe();
  for (size_t p = 0; p < scale.processes; ++p)
    children_.push_back(Child::fork([&, p] {
      keep_in.reset();
      return hold_all(p, scale.sockets_per_process, ready_in.get(), keep.get());
    }));
  ready_in.reset();
  keep_ = std::move(keep_in);
  for (size_t p = 0; p < scale.processes; ++p)
    if (char all = 0; ::read(ready.get(), &all, 1) != 1 || all != 1)
      give_up("not all sockets could be made; are " + thousands(scale.sockets_per_process) +
              " descriptors per process allowed?");
}

Daemon::Daemon(const Bench& bench, uint32_t audit_interval_s, const std::vector<std::string>& more)
    : socket_(bench.directory + "/socket") {
  const std::string ready = bench.directory + "/ready";
  ::unlink(ready.c_str());
  // The findings among the sockets of a benchmark are warnings.
  std::vector<std::string> words{"bindlensd",
                                 "--socket",
                                 socket_,
                                 "--ready-file",
                                 ready,
                                 "--log-level",
                                 "error",
                                 "--audit-interval",
                                 std::to_string(audit_interval_s),
                                 "--state-dir",
                                 bench.state,
                                 "--history-max-size",
                                 std::to_string(bench.history_bytes)};
  words.insert(words.end(), more.begin(), more.end());
  const double start = now_seconds();
  child_ = Child::fork([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    std::vector<char*> argv;
    for (std::string& word : words)
      argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(bench.daemon.c_str(), argv.data());
    return 127;
  });
  while (!exists(ready)) {
    if (child_.has_ended()) give_up(bench.daemon + " ended before it was ready");
    if (now_seconds() - start > 60) give_up(bench.daemon + " did not become ready in a minute");
    ::usleep(200);
  }
  seconds_to_ready_ = now_seconds() - start;
}

std::string Daemon::get(const std::string& target) const {
  auto client = protocol::Client::connect(socket_);
  if (!client) give_up(client.error().text);
  std::string body;
  const auto done = client->get(target, [&](std::string_view piece) {
    body += piece;
    return true;
  });
  if (!done) give_up(done.error().text);
  return body;
}

protocol::StatusView Daemon::status() const {
  auto status = protocol::read_status(get("/v1/status"));
  if (!status) give_up(status.error().text);
  return *std::move(status);
}

protocol::VerifyView Daemon::verify() const {
  auto report = protocol::read_verify(get("/v1/verify"));
  if (!report) give_up(report.error().text);
  return *std::move(report);
}

} // namespace bindlens::bench
