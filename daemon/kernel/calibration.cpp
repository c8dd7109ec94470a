#include <bindlens/kernel/calibration.h>

#include <bindlens/util/clock.h>
#include <bindlens/util/fd.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace bindlens::kernel {

namespace {

// The namespace is ours alone, so any port will do; one per scenario keeps them
// apart.
enum Port : uint16_t {
  p2 = 20002,
  p3,
  p4,
  p5,
  p7,
  p8,
  server_a,
  server_b,
  p1, // and those behind it
};

constexpr int ip_local_port_range = 51; // IP_LOCAL_PORT_RANGE, missing from old headers

Fd open_socket(int family, int type, int protocol = 0) {
  return Fd(::socket(family, type | SOCK_CLOEXEC, protocol));
}

sockaddr_storage address(const char* text, uint16_t port, socklen_t& size) {
  sockaddr_storage out{};
  if (std::strchr(text, ':') != nullptr) {
    auto* a = reinterpret_cast<sockaddr_in6*>(&out);
    a->sin6_family = AF_INET6;
    a->sin6_port = htons(port);
    ::inet_pton(AF_INET6, text, &a->sin6_addr);
    size = sizeof *a;
  } else {
    auto* a = reinterpret_cast<sockaddr_in*>(&out);
    a->sin_family = AF_INET;
    a->sin_port = htons(port);
    ::inet_pton(AF_INET, text, &a->sin_addr);
    size = sizeof *a;
  }
  return out;
}

bool bind_to(const Fd& fd, const char* text, uint16_t port) {
  socklen_t size = 0;
  const sockaddr_storage a = address(text, port, size);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), size) == 0;
}

bool connect_to(const Fd& fd, const char* text, uint16_t port) {
  socklen_t size = 0;
  const sockaddr_storage a = address(text, port, size);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), size) == 0;
}

bool set_option(const Fd& fd, int option, int value) {
  return ::setsockopt(fd.get(), SOL_SOCKET, option, &value, sizeof value) == 0;
}

Fd tcp_listener(const char* text, uint16_t port) {
  Fd fd = open_socket(std::strchr(text, ':') != nullptr ? AF_INET6 : AF_INET, SOCK_STREAM);
  if (!bind_to(fd, text, port) || ::listen(fd.get(), 4) != 0) fd.reset();
  return fd;
}

// Loopback delivers at once as a rule, and through a kernel thread at times.
bool wait_for(const Fd& fd, short events) {
  pollfd p{fd.get(), events, 0};
  constexpr int limit_ms = 500;
  return ::poll(&p, 1, limit_ms) == 1;
}

Fd accept_one(const Fd& listener) {
  if (!wait_for(listener, POLLIN)) return {};
  return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

// A bind that is an answer: refused means EADDRINUSE and nothing else.
std::optional<bool> bound(const Fd& fd, const char* text, uint16_t port) {
  if (bind_to(fd, text, port)) return true;
  if (errno == EADDRINUSE) return false;
  return std::nullopt;
}

std::optional<bool> play_udp_wildcard(int attempt) {
  const auto port = static_cast<uint16_t>(p1 + attempt);
  const std::string network = "127.0." + std::to_string(9 + attempt) + ".";
  std::vector<Fd> held;
  for (int i = 1; i <= 11; ++i) {
    held.push_back(open_socket(AF_INET, SOCK_DGRAM));
    if (!bind_to(held.back(), (network + std::to_string(i)).c_str(), port)) return std::nullopt;
  }
  return bound(open_socket(AF_INET, SOCK_DGRAM), "0.0.0.0", port);
}

// One of the eleven addresses may share the wildcard's slot by chance, and then it
// refuses where the others are not seen. One success among several sets tells.
std::optional<bool> play_udp_wildcard() {
  constexpr int attempts = 5;
  std::optional<bool> answer;
  for (int i = 0; i < attempts; ++i) {
    answer = play_udp_wildcard(i);
    if (answer != false) break;
  }
  return answer;
}

std::optional<bool> play_mapped_wildcard() {
  const Fd holder = open_socket(AF_INET6, SOCK_STREAM);
  if (!bind_to(holder, "::ffff:0.0.0.0", p2)) return std::nullopt;
  return bound(open_socket(AF_INET6, SOCK_STREAM), "::ffff:127.0.0.1", p2);
}

std::optional<bool> play_cleared_reuseaddr() {
  const Fd first = open_socket(AF_INET, SOCK_STREAM);
  const Fd second = open_socket(AF_INET, SOCK_STREAM);
  if (!set_option(first, SO_REUSEADDR, 1) || !bind_to(first, "127.0.0.1", p3) ||
      !set_option(first, SO_REUSEADDR, 0) || !set_option(second, SO_REUSEADDR, 1))
    return std::nullopt;
  return bound(second, "127.0.0.1", p3);
}

// /proc/sys/net shows the namespace of the thread that opens it.
bool write_port_range(uint16_t first, uint16_t last) {
  const Fd fd(::open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC));
  const std::string text = std::to_string(first) + " " + std::to_string(last);
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::optional<bool> play_port_back_to_connect() {
  const Fd a = tcp_listener("127.0.0.1", server_a);
  const Fd b = tcp_listener("127.0.0.1", server_b);
  const Fd first = open_socket(AF_INET, SOCK_STREAM);
  if (!a || !b || !write_port_range(p4, p4) || !connect_to(first, "127.0.0.1", server_a))
    return std::nullopt;
  {
    const Fd explicit_binder = open_socket(AF_INET, SOCK_STREAM);
    if (!bind_to(explicit_binder, "127.0.0.5", p4)) return std::nullopt;
  }
  const Fd second = open_socket(AF_INET, SOCK_STREAM);
  if (connect_to(second, "127.0.0.1", server_b)) return true;
  if (errno == EADDRNOTAVAIL) return false;
  return std::nullopt;
}

// The uid of new sockets is the thread's fsuid. The system call is made directly:
// it changes this thread alone.
class AsUser {
 public:
  explicit AsUser(unsigned uid) : before_(set(uid)) {}
  ~AsUser() { set(before_); }
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
  // Asking with an impossible uid changes nothing.
  [[nodiscard]] static unsigned now() { return set(~0u); }

 private:
  static unsigned set(unsigned uid) { return static_cast<unsigned>(::syscall(SYS_setfsuid, uid)); }

  unsigned before_;
};

std::optional<bool> play_queued_child() {
  constexpr unsigned other_user = 1000;
  const AsUser user(other_user);
  if (AsUser::now() != other_user) return std::nullopt;
  const Fd listener = open_socket(AF_INET, SOCK_STREAM);
  const Fd client = open_socket(AF_INET, SOCK_STREAM);
  const Fd cache_breaker = open_socket(AF_INET, SOCK_STREAM);
  const Fd binder = open_socket(AF_INET, SOCK_STREAM);
  if (!set_option(listener, SO_REUSEPORT, 1) || !bind_to(listener, "127.0.0.1", p5) ||
      ::listen(listener.get(), 4) != 0 || !connect_to(client, "127.0.0.1", p5) ||
      !wait_for(listener, POLLIN))
    return std::nullopt;
  // Without SO_REUSEPORT, on an address of its own: from here on the bucket's
  // cache answers nothing and the holders are compared.
  if (!bind_to(cache_breaker, "127.0.0.2", p5) || !set_option(binder, SO_REUSEPORT, 1))
    return std::nullopt;
  return bound(binder, "127.0.0.1", p5);
}

std::optional<bool> play_loopback_alias() {
  const Fd listener = tcp_listener("::1", server_b);
  const Fd connection = open_socket(AF_INET6, SOCK_STREAM);
  if (!listener || !bind_to(connection, "::", p7) || !connect_to(connection, "::1", server_b))
    return std::nullopt;
  return bound(open_socket(AF_INET, SOCK_STREAM), "127.0.0.6", p7);
}

bool is_closed(const Fd& fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return ::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         info.tcpi_state == TCP_CLOSE;
}

// Whoever closes first keeps TIME_WAIT. The end that does stays open here, for it
// shows when its connection has moved there.
bool leave_time_wait(uint16_t port) {
  const Fd listener = tcp_listener("127.0.0.1", port);
  Fd client = open_socket(AF_INET, SOCK_STREAM);
  if (!listener || !connect_to(client, "127.0.0.1", port)) return false;
  const Fd server = accept_one(listener);
  if (!server || ::shutdown(server.get(), SHUT_WR) != 0 || !wait_for(client, POLLIN)) return false;
  client.reset();
  return wait_for(server, POLLIN) && is_closed(server);
}

std::optional<bool> play_timewait() {
  if (!leave_time_wait(p8)) return std::nullopt;
  // A wildcard bind is refused by it on every kernel. If this one is not, there
  // is no TIME_WAIT (tcp_max_tw_buckets) and nothing to learn.
  if (bound(open_socket(AF_INET, SOCK_STREAM), "0.0.0.0", p8) != false) return std::nullopt;
  return bound(open_socket(AF_INET, SOCK_STREAM), "127.0.0.1", p8);
}

std::optional<bool> has_port_range_option() {
  uint32_t value = 0;
  socklen_t size = sizeof value;
  const Fd fd = open_socket(AF_INET, SOCK_STREAM);
  if (!fd) return std::nullopt;
  if (::getsockopt(fd.get(), IPPROTO_IP, ip_local_port_range, &value, &size) == 0) return true;
  return errno == ENOPROTOOPT ? std::optional(false) : std::nullopt;
}

std::optional<bool> has_udplite() {
  if (open_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE)) return true;
  return errno == EPROTONOSUPPORT ? std::optional(false) : std::nullopt;
}

bool bring_loopback_up() {
  const Fd fd = open_socket(AF_INET, SOCK_DGRAM);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  return fd && ::ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

rules::ScenarioAnswers play_all() {
  rules::ScenarioAnswers a;
  a.udp_wildcard_bound = play_udp_wildcard();
  a.mapped_bound_under_wildcard = play_mapped_wildcard();
  a.cleared_reuseaddr_shared = play_cleared_reuseaddr();
  a.loopback_alias_bound = play_loopback_alias();
  a.bound_over_timewait = play_timewait();
  a.queued_child_keeps_uid = play_queued_child();
  // Leaves the namespace with a range of one port: it comes last.
  a.port_back_to_connect = play_port_back_to_connect();
  return a;
}

// Runs on the throw-away thread. Empty error: the scenarios were played.
std::string play_in_own_namespace(rules::ScenarioAnswers& answers) {
  if (::unshare(CLONE_NEWNET) != 0)
    return "a network namespace to try the rules in could not be made: " +
           std::generic_category().message(errno);
  if (!bring_loopback_up())
    return "the loopback device of the trial namespace did not come up: " +
           std::generic_category().message(errno);
  answers = play_all();
  return {};
}

} // namespace

Calibration calibrate(const rules::KernelTraits& traits) {
  const MonoNs start = monotonic_now();
  Calibration out;
  // What needs no namespace tells something in any case.
  const auto range_option = has_port_range_option();
  const auto udplite = has_udplite();
  rules::KernelTraits known = traits;
  if (range_option) known.socket_port_range = range_option;

  std::string problem;
  std::thread([&] { problem = play_in_own_namespace(out.answers); }).join();
  out.answers.has_socket_port_range = range_option;
  out.answers.has_udplite = udplite;
  out.variants = rules::variants_from(out.answers, rules::nearest_known(known, problem));
  out.variants.assumed = problem;
  out.duration_ns = monotonic_now() - start;
  return out;
}

} // namespace bindlens::kernel
