#pragma once

#include "place.h"

#include <bindlens/util/fd.h>

#include <cstring>
#include <netinet/in.h>
#include <ostream>
#include <string>
#include <sys/socket.h>

namespace bindlens::test {

// What a call gave: its result, and the errno when that is -1.
struct Outcome {
  int value = -1;
  int error = 0;
  [[nodiscard]] bool ok() const { return value >= 0; }
};
inline std::ostream& operator<<(std::ostream& out, const Outcome& o) {
  return o.ok() ? out << o.value : out << ::strerrorname_np(o.error);
}

// A process that makes the calls it is told to, one at a time, in a namespace.
class Actor {
 public:
  explicit Actor(const Netns& netns, const std::string& comm = "kt-actor");
  Actor(Actor&&) noexcept = default;
  Actor& operator=(Actor&&) noexcept = default;

  [[nodiscard]] pid_t pid() const { return process_.pid(); }

  int tcp() { return open(AF_INET, SOCK_STREAM, 0); }
  int tcp6() { return open(AF_INET6, SOCK_STREAM, 0); }
  int udp() { return open(AF_INET, SOCK_DGRAM, 0); }
  int udp6() { return open(AF_INET6, SOCK_DGRAM, 0); }
  // Gives up when there is no such socket.
  int open(int family, int type, int protocol);
  Outcome try_open(int family, int type, int protocol);
  void set(int fd, int level, int name, int value);
  void reuseaddr(int fd, bool on = true) { set(fd, SOL_SOCKET, SO_REUSEADDR, on ? 1 : 0); }
  void reuseport(int fd, bool on = true) { set(fd, SOL_SOCKET, SO_REUSEPORT, on ? 1 : 0); }
  void v6only(int fd, bool on) { set(fd, IPPROTO_IPV6, IPV6_V6ONLY, on ? 1 : 0); }
  void linger(int fd, int seconds);

  Outcome bind(int fd, const std::string& address, uint16_t port);
  // From a thread of its own; value: the thread's id.
  Outcome bind_in_thread(int fd, const std::string& address, uint16_t port);
  // By IORING_OP_BIND; ENOSYS or EINVAL when there is none.
  Outcome bind_by_uring(int fd, const std::string& address, uint16_t port);
  // bind(), and at once close(other).
  Outcome bind_then_close(int fd, const std::string& address, uint16_t port, int other);
  // `count` more sockets like `fd` (its SO_REUSEPORT is set), bound there and kept.
  Outcome bind_many(int family, int type, const std::string& address, uint16_t port, int count);
  Outcome listen(int fd, int backlog = 8);
  Outcome connect(int fd, const std::string& address, uint16_t port);
  Outcome disconnect(int fd); // connect(AF_UNSPEC)
  Outcome accept(int fd);
  Outcome send(int fd); // one byte
  Outcome shutdown(int fd);
  Outcome close(int fd);
  [[nodiscard]] uint16_t port(int fd); // getsockname()

  // All three user ids; the capabilities go.
  void become(uint32_t uid);
  // A copy of the process with the same descriptors. A child of the test.
  [[nodiscard]] Actor fork();
  // SCM_RIGHTS to another actor; the number of the descriptor there.
  int give(int fd, Actor& to);
  // SIGKILL, and reaped.
  void kill() { process_.kill(); }

 private:
  struct Order;
  struct Answer;
  Actor(Fd channel, Child process);
  [[noreturn]] static void obey(int channel);
  static Answer carry_out(const Order& order, int passed, int& give_back);
  Answer ask(const Order& order, int pass = -1, Fd* passed_back = nullptr);
  Outcome addressed(int what, int fd, const std::string& address, uint16_t port, int extra = 0);
  Outcome simple(int what, int fd, int extra = 0);

  Fd channel_;
  Child process_;
};

// 127.0.0.1, ::1, ::ffff:127.0.0.1, …
[[nodiscard]] sockaddr_storage to_sockaddr(const std::string& address, uint16_t port,
                                           socklen_t& length);

} // namespace bindlens::test
