#include "storm.h"

#include "actor.h"

#include <new>
#include <random>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace bindlens::test {

namespace {

void allow_many_descriptors() {
  rlimit limit{1 << 20, 1 << 20};
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int finish(StormBoard* board) {
  board->finished.fetch_add(1);
  for (;;)
    ::pause();
}

constexpr uint16_t first_churned_port = 3000;
constexpr uint16_t churned_ports = 2000;

class Churn {
 public:
  Churn(uint32_t seed, size_t most) : random_(seed), most_(most) {}

  void step() {
    if (fds_.size() >= most_ || (!fds_.empty() && pick(3) == 0)) return close_one();
    const bool v6 = pick(2) == 0;
    const bool tcp = pick(2) == 0;
    const int fd = ::socket(v6 ? AF_INET6 : AF_INET,
                            (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    fds_.push_back(fd);
    const int one = 1;
    if (pick(2) == 0) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (pick(4) == 0) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (tcp && pick(3) == 0) return connect(fd, v6);
    bind(fd, v6);
    if (tcp && pick(2) == 0 && ::listen(fd, 16) == 0) listeners_.push_back(fd);
    if (!tcp && pick(3) == 0) connect(fd, v6);
  }

 private:
  uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_()) % n; }

  void bind(int fd, bool v6) {
    static const char* const addresses[2][2] = {{"0.0.0.0", "127.0.0.1"}, {"::", "::1"}};
    socklen_t length = 0;
    const auto port =
        static_cast<uint16_t>(pick(4) == 0 ? 0 : first_churned_port + pick(churned_ports));
    const sockaddr_storage to = to_sockaddr(addresses[v6][pick(2)], port, length);
    (void)::bind(fd, reinterpret_cast<const sockaddr*>(&to), length);
  }

  // To one of our own listeners.
  void connect(int fd, bool v6) {
    sockaddr_storage to{};
    socklen_t length = sizeof to;
    if (listeners_.empty()) return;
    const int listener = listeners_[pick(static_cast<uint32_t>(listeners_.size()))];
    if (::getsockname(listener, reinterpret_cast<sockaddr*>(&to), &length) != 0) return;
    const uint16_t port = ntohs(reinterpret_cast<const sockaddr_in&>(to).sin_port);
    to = to_sockaddr(v6 ? "::1" : "127.0.0.1", port, length);
    (void)::connect(fd, reinterpret_cast<const sockaddr*>(&to), length);
    const int child = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (child >= 0) fds_.push_back(child);
  }

  void close_one() {
    const size_t at = pick(static_cast<uint32_t>(fds_.size()));
    std::erase(listeners_, fds_[at]);
    ::close(fds_[at]);
    fds_[at] = fds_.back();
    fds_.pop_back();
  }

  std::minstd_rand random_;
  size_t most_;
  std::vector<int> fds_, listeners_;
};

} // namespace

Board::Board() {
  void* at = ::mmap(nullptr, sizeof(StormBoard), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                    -1, 0);
  if (at == MAP_FAILED) give_up_errno("mmap");
  board_ = new (at) StormBoard;
}

Board::~Board() {
  ::munmap(board_, sizeof(StormBoard));
}

Child start_churn(const Netns& netns, const Board& board, uint32_t seed, size_t most) {
  return Child::fork([&, shared = board.get()] {
    netns.enter();
    allow_many_descriptors();
    Churn churn(seed, most);
    while (!shared->stop) {
      churn.step();
      shared->calls.fetch_add(1);
      if (is_slow() && !in_vm()) ::usleep(100); // an instrumented daemon is to follow
    }
    return finish(shared);
  });
}

Child start_holding(const Netns& netns, const Board& board) {
  return Child::fork([&, shared = board.get()] {
    netns.enter();
    allow_many_descriptors();
    for (uint16_t port = first_churned_port; port < first_churned_port + churned_ports; ++port)
      for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
        socklen_t length = 0;
        const sockaddr_storage to = to_sockaddr("127.0.0.2", port, length);
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&to), length) != 0) return 1;
        if (type == SOCK_STREAM && ::listen(fd, 1) != 0) return 1;
      }
    return finish(shared);
  });
}

Child start_bind_storm(const Netns& netns, const Board& board, int count, int kept) {
  return Child::fork([&, shared = board.get()] {
    netns.enter();
    allow_many_descriptors();
    socklen_t length = 0;
    const sockaddr_storage any = to_sockaddr("127.0.0.1", 0, length);
    for (int i = 0; i < count + kept; ++i) {
      const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      if (::bind(fd, reinterpret_cast<const sockaddr*>(&any), length) != 0) return 1;
      shared->calls.fetch_add(1);
      if (i < count) ::close(fd);
    }
    return finish(shared);
  });
}

} // namespace bindlens::test
