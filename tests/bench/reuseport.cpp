#include "compare.h"

#include <array>
#include <poll.h>
#include <sys/socket.h>

namespace bindlens::bench {

namespace {

constexpr uint16_t shared_port = 20'002;
constexpr size_t members = 4;
const std::vector<std::string> counters = {"reuseport-select", "reuseport-accept",
                                           "reuseport-queue", "reuseport-datagrams",
                                           "reuseport-migrate"};

// Members of one reuseport group, served by this process.
class Group {
 public:
  explicit Group(int type) : address_(loopback(shared_port)) {
    for (size_t i = 0; i < members; ++i) {
      fds_[i].reset(::socket(AF_INET, type | SOCK_NONBLOCK, 0));
      const int on = 1;
      const linger no_time{1, 0}; // accepted sockets have it from here
      if (::setsockopt(fds_[i].get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
          ::setsockopt(fds_[i].get(), SOL_SOCKET, SO_LINGER, &no_time, sizeof no_time) != 0 ||
          ::bind(fds_[i].get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_) !=
              0 ||
          (type == SOCK_STREAM && ::listen(fds_[i].get(), 64) != 0))
        give_up_errno("making a member");
      ready_[i] = {fds_[i].get(), POLLIN, 0};
    }
  }
  [[nodiscard]] const sockaddr* address() const {
    return reinterpret_cast<const sockaddr*>(&address_);
  }
  // Calls `take(fd)` for each member that has something.
  template <typename Take>
  void serve(Take take) {
    if (::poll(ready_.data(), ready_.size(), 1000) <= 0) give_up("nothing came to the members");
    for (const pollfd& p : ready_)
      if (p.revents != 0) take(p.fd);
  }

 private:
  sockaddr_in address_;
  std::array<Fd, members> fds_;
  std::array<pollfd, members> ready_{};
};

void connect_once(Group& group) {
  const Fd client(::socket(AF_INET, SOCK_STREAM, 0));
  if (::connect(client.get(), group.address(), sizeof(sockaddr_in)) != 0) give_up_errno("connect");
  group.serve([](int listener) {
    if (const Fd accepted(::accept(listener, nullptr, nullptr)); !accepted) give_up_errno("accept");
  });
}

// Datagrams from sixteen ports, four from each, and all of them received.
class Senders {
 public:
  Senders() {
    for (Fd& fd : fds_)
      fd.reset(::socket(AF_INET, SOCK_DGRAM, 0));
  }
  static constexpr size_t per_turn = 64;
  void send_and_receive(Group& group) {
    for (size_t i = 0; i < per_turn; ++i)
      if (::sendto(fds_[i % fds_.size()].get(), &i, sizeof i, 0, group.address(),
                   sizeof(sockaddr_in)) != sizeof i)
        give_up_errno("sendto");
    size_t received = 0;
    size_t datagram = 0;
    while (received < per_turn)
      group.serve([&](int fd) {
        while (::recv(fd, &datagram, sizeof datagram, 0) == sizeof datagram)
          ++received;
      });
  }

 private:
  std::array<Fd, 16> fds_;
};

} // namespace

void measure_reuseport(Bench& bench) {
  bench.report.heading("Four members of a reuseport group, counted and not counted");
  constexpr double limit = 1 / 0.97;
  {
    Group group(SOCK_STREAM);
    const Loop loop{[&] { connect_once(group); }, bench.scale.connects_per_slice,
                    bench.scale.slices};
    report(bench, "connect+accept+close to a group, counted", compare_hooks(bench, loop, counters),
           limit);
  }
  Group group(SOCK_DGRAM);
  Senders senders;
  const Loop loop{[&] { senders.send_and_receive(group); },
                  bench.scale.datagrams_per_slice / Senders::per_turn, bench.scale.slices};
  report(bench, "64 datagrams to a group, counted", compare_hooks(bench, loop, counters), limit);
}

} // namespace bindlens::bench
