#include "workload.h"

#include "actor.h"

#include <bindlens/util/clock.h>
#include <bindlens/util/fd.h>

#include <atomic>
#include <new>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

namespace bindlens::test {

struct Workload::Page {
  std::atomic<size_t> count{0};
  std::atomic<bool> done{false};
  [[nodiscard]] Operation* operations() { return reinterpret_cast<Operation*>(this + 1); }
};

namespace {

using Kind = Operation::Kind;

constexpr size_t most_open = 64;
constexpr size_t longest_step = 8; // operations
const char* const here = "127.0.0.1";
const char* const elsewhere = "192.0.2.1"; // no address of the namespace's

// The log of one process.
class Scribe {
 public:
  Scribe(std::atomic<size_t>& count, Operation* at) : count_(count), at_(at) {}

  // Makes the call, which gives an int as system calls do. Returns its errno.
  template <typename Call>
  int note(Operation o, Call&& call) {
    o.before = monotonic_now();
    o.error = call() < 0 ? errno : 0;
    o.after = monotonic_now();
    const size_t n = count_.load(std::memory_order_relaxed);
    at_[n] = o;
    count_.store(n + 1, std::memory_order_release);
    return o.error;
  }
  [[nodiscard]] size_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<size_t>& count_;
  Operation* at_;
};

struct Open {
  Fd fd;
  bool udp = false;
  bool listens = false;
  uint16_t port = 0;
  uint64_t cookie = 0;

  [[nodiscard]] Operation operation(Kind kind) const {
    Operation o;
    o.kind = kind;
    o.udp = udp;
    o.port = port;
    o.cookie = cookie;
    return o;
  }
};

// Asked for before anything else, so that every record of the socket has it.
uint64_t cookie_of(int fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) give_up_errno("SO_COOKIE");
  return cookie;
}

Open make_socket(bool udp, uint16_t port, bool reuseaddr = false) {
  Open s;
  s.fd = Fd(::socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  if (!s.fd) give_up_errno("socket");
  const int one = 1;
  if (reuseaddr) ::setsockopt(s.fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  s.udp = udp;
  s.port = port;
  s.cookie = cookie_of(s.fd.get());
  return s;
}

int bind_to(const Fd& fd, const char* address, uint16_t port) {
  socklen_t length = 0;
  const sockaddr_storage to = to_sockaddr(address, port, length);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), length);
}

class Worker {
 public:
  Worker(Scribe scribe, size_t number)
      : scribe_(scribe), random_(static_cast<uint32_t>(number + 1)),
        first_(static_cast<uint16_t>(Workload::first_own + number * Workload::own_ports)) {}

  void step() {
    const uint32_t what = pick(100);
    if (open_.size() >= most_open || (what < 30 && !open_.empty())) return close(pick_open());
    if (what < 45) return listen();
    if (what < 55) return be_refused_own_port();
    if (what < 60) return be_refused_address();
    if (what < 65) return be_refused_twice();
    if (what < 75) return contend();
    if (what < 77) return be_refused_listen();
    bind_own();
  }
  [[nodiscard]] const Scribe& scribe() const { return scribe_; }

 private:
  uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_()) % n; }
  size_t pick_open() { return pick(static_cast<uint32_t>(open_.size())); }

  int bind(const Open& s, const char* address, Operation o) {
    return scribe_.note(o, [&] { return bind_to(s.fd, address, o.port); });
  }
  int bind(const Open& s) { return bind(s, here, s.operation(Kind::bind)); }

  void close(Open s) {
    const int fd = s.fd.release();
    scribe_.note(s.operation(Kind::close), [&] { return ::close(fd); });
  }
  void close(size_t which) {
    std::swap(open_[which], open_.back());
    Open s = std::move(open_.back());
    open_.pop_back();
    close(std::move(s));
  }

  void bind_own() {
    const bool udp = pick(3) == 0;
    const auto at =
        static_cast<uint16_t>(first_ + pick(Workload::own_ports - Workload::pair_ports));
    Open s = make_socket(udp, at);
    Operation o = s.operation(Kind::bind);
    for (const Open& other : open_)
      if (other.udp == udp && other.port == at) o.in_the_way[0] = other.cookie;
    if (bind(s, here, o) == 0) open_.push_back(std::move(s));
  }

  void be_refused_own_port() {
    if (open_.empty()) return;
    const Open& holder = open_[pick_open()];
    const Open s = make_socket(holder.udp, holder.port);
    Operation o = s.operation(Kind::bind);
    o.in_the_way[0] = holder.cookie;
    bind(s, here, o);
  }

  void be_refused_address() {
    const Open s = make_socket(pick(2) == 0, first_);
    bind(s, elsewhere, s.operation(Kind::bind));
  }

  void be_refused_twice() {
    if (open_.empty()) return;
    const Open& bound = open_[pick_open()];
    Operation o = bound.operation(Kind::bind);
    o.port = static_cast<uint16_t>(first_ + 1);
    bind(bound, here, o);
  }

  void contend() {
    const auto port =
        static_cast<uint16_t>(Workload::first_contested + pick(Workload::contested_ports));
    Open s = make_socket(false, port);
    if (bind(s) == 0) open_.push_back(std::move(s));
  }

  void listen() {
    if (open_.empty()) return;
    Open& s = open_[pick_open()];
    if (s.udp || s.listens) return;
    if (listen(s, {}) == 0) s.listens = true;
  }
  int listen(const Open& s, uint64_t in_the_way) {
    Operation o = s.operation(Kind::listen);
    o.in_the_way[0] = in_the_way;
    return scribe_.note(o, [&] { return ::listen(s.fd.get(), 8); });
  }

  // Two may be bound with SO_REUSEADDR, of which one may listen.
  void be_refused_listen() {
    const auto port =
        static_cast<uint16_t>(first_ + Workload::own_ports - 1 - pick(Workload::pair_ports));
    Open one = make_socket(false, port, true);
    Open two = make_socket(false, port, true);
    if (bind(one) != 0) return;
    if (bind(two) == 0) {
      if (listen(one, 0) == 0) listen(two, one.cookie);
      const Open three = make_socket(false, port);
      Operation o = three.operation(Kind::bind);
      o.in_the_way[0] = one.cookie;
      o.in_the_way[1] = two.cookie;
      bind(three, here, o);
      close(std::move(two));
    }
    close(std::move(one));
  }

  Scribe scribe_;
  std::minstd_rand random_;
  uint16_t first_;
  std::vector<Open> open_;
};

void sleep_until(uint64_t monotonic) {
  const timespec at{static_cast<time_t>(monotonic / 1'000'000'000),
                    static_cast<long>(monotonic % 1'000'000'000)};
  ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
}

} // namespace

Workload::Workload(const Netns& netns, const WorkloadPlan& plan)
    : each_((plan.operations + plan.workers - 1) / plan.workers),
      page_bytes_(sizeof(Page) + (each_ + longest_step) * sizeof(Operation)) {
  page_bytes_ = (page_bytes_ + 4095) / 4096 * 4096;
  memory_ = ::mmap(nullptr, page_bytes_ * plan.workers, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory_ == MAP_FAILED) give_up_errno("mmap");
  const double interval = 1e9 * static_cast<double>(plan.workers) / plan.per_second;
  for (size_t w = 0; w < plan.workers; ++w) {
    Page& page = *new (static_cast<char*>(memory_) + w * page_bytes_) Page;
    processes_.push_back(Child::fork([&, w, interval] {
      netns.enter();
      Worker worker(Scribe(page.count, page.operations()), w);
      const uint64_t start = monotonic_now();
      while (page.count < each_) {
        worker.step();
        sleep_until(start + static_cast<uint64_t>(interval * static_cast<double>(page.count)));
      }
      page.done = true;
      for (;;)
        ::pause();
      return 0;
    }));
  }
}

Workload::~Workload() {
  const size_t pages = processes_.size();
  processes_.clear();
  ::munmap(memory_, page_bytes_ * pages);
}

Workload::Page& Workload::page(size_t worker) const {
  return *reinterpret_cast<Page*>(static_cast<char*>(memory_) + worker * page_bytes_);
}

bool Workload::is_done() const {
  for (size_t w = 0; w < workers(); ++w)
    if (!page(w).done) return false;
  return true;
}

size_t Workload::made() const {
  size_t n = 0;
  for (size_t w = 0; w < workers(); ++w)
    n += page(w).count;
  return n;
}

std::span<const Operation> Workload::log(size_t worker) const {
  Page& p = page(worker);
  return {p.operations(), p.count.load(std::memory_order_acquire)};
}

} // namespace bindlens::test
