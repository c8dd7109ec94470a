#include "actor.h"

#include "uring.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace bindlens::test {

namespace {

enum What : int {
  what_open,
  what_set,
  what_linger,
  what_bind,
  what_bind_in_thread,
  what_bind_by_uring,
  what_bind_then_close,
  what_bind_many,
  what_listen,
  what_connect,
  what_disconnect,
  what_accept,
  what_send,
  what_shutdown,
  what_close,
  what_port,
  what_become,
  what_fork,
  what_give,
  what_take,
};

// One message, with a descriptor when `fd` is not -1.
bool send_with(int channel, const void* data, size_t size, int fd) {
  iovec part{const_cast<void*>(data), size};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  }
  return ::sendmsg(channel, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

bool receive_with(int channel, void* data, size_t size, int& fd) {
  iovec part{data, size};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  fd = -1;
  if (::recvmsg(channel, &message, 0) != static_cast<ssize_t>(size)) return false;
  if (const cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr)
    std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
  return true;
}

std::array<Fd, 2> channel_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    give_up_errno("socketpair");
  return {Fd(ends[0]), Fd(ends[1])};
}

int open_many(int family, int type, const sockaddr* address, socklen_t length, int count) {
  const int one = 1;
  for (int i = 0; i < count; ++i) {
    const int fd = ::socket(family, type, 0);
    if (fd < 0) return -1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (::bind(fd, address, length) != 0) return -1;
  }
  return 0;
}

int set_user(uint32_t uid) {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0) return -1;
  return ::setresuid(uid, uid, uid);
}

uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

} // namespace

sockaddr_storage to_sockaddr(const std::string& address, uint16_t port, socklen_t& length) {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    length = sizeof v4;
  } else if (::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    length = sizeof v6;
  } else {
    give_up("no address: " + address);
  }
  return storage;
}

struct Actor::Order {
  int what = 0;
  int fd = -1;
  std::array<int, 3> numbers{};
  sockaddr_storage address{};
  socklen_t length = 0;
};

struct Actor::Answer {
  Outcome outcome;
};

Actor::Answer Actor::carry_out(const Order& o, int passed, int& give_back) {
  const auto* address = reinterpret_cast<const sockaddr*>(&o.address);
  const auto [a, b, c] = o.numbers;
  int value = -1;
  errno = 0;
  switch (o.what) {
  case what_open:
    value = ::socket(a, b, c);
    break;
  case what_set:
    value = ::setsockopt(o.fd, a, b, &c, sizeof c);
    break;
  case what_linger: {
    const ::linger how{1, a};
    value = ::setsockopt(o.fd, SOL_SOCKET, SO_LINGER, &how, sizeof how);
    break;
  }
  case what_bind:
    value = ::bind(o.fd, address, o.length);
    break;
  case what_bind_in_thread: {
    int error = 0;
    std::thread([&] {
      value = ::bind(o.fd, address, o.length);
      error = errno;
      if (value == 0) value = ::gettid();
    }).join();
    errno = error;
    break;
  }
  case what_bind_by_uring:
    value = uring_bind(o.fd, address, o.length);
    break;
  case what_bind_then_close: {
    value = ::bind(o.fd, address, o.length);
    const int error = errno;
    ::close(a);
    errno = error;
    break;
  }
  case what_bind_many:
    value = open_many(a, b, address, o.length, c);
    break;
  case what_listen:
    value = ::listen(o.fd, a);
    break;
  case what_connect:
    value = ::connect(o.fd, address, o.length);
    break;
  case what_disconnect: {
    const sockaddr none{AF_UNSPEC, {}};
    value = ::connect(o.fd, &none, sizeof none);
    break;
  }
  case what_accept:
    value = ::accept(o.fd, nullptr, nullptr);
    break;
  case what_send:
    value = static_cast<int>(::send(o.fd, "x", 1, MSG_NOSIGNAL));
    break;
  case what_shutdown:
    value = ::shutdown(o.fd, SHUT_RDWR);
    break;
  case what_close:
    value = ::close(o.fd);
    break;
  case what_port:
    value = port_of(o.fd);
    break;
  case what_become:
    value = set_user(static_cast<uint32_t>(a));
    break;
  case what_fork: {
    auto ends = channel_pair();
    // Its parent is ours: it stays when this process is gone, and is reaped.
    value = static_cast<int>(::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0));
    if (value == 0) obey(ends[1].release());
    give_back = ends[0].release();
    break;
  }
  case what_give:
    give_back = ::dup(o.fd);
    value = give_back < 0 ? -1 : 0;
    break;
  case what_take:
    value = passed;
    break;
  default:
    errno = ENOSYS;
  }
  return {{value, value < 0 ? errno : 0}};
}

void Actor::obey(int channel) {
  Order order;
  int passed = -1;
  while (receive_with(channel, &order, sizeof order, passed)) {
    int give_back = -1;
    const Answer answer = carry_out(order, passed, give_back);
    const bool sent = send_with(channel, &answer, sizeof answer, give_back);
    if (give_back >= 0) ::close(give_back);
    if (!sent) break;
  }
  ::_exit(0);
}

Actor::Actor(const Netns& netns, const std::string& comm) {
  auto ends = channel_pair();
  process_ = Child::fork([&]() -> int {
    ends[0].reset();
    netns.enter();
    ::prctl(PR_SET_NAME, comm.c_str());
    obey(ends[1].release());
  });
  channel_ = std::move(ends[0]);
}

Actor::Actor(Fd channel, Child process)
    : channel_(std::move(channel)), process_(std::move(process)) {}

Actor::Answer Actor::ask(const Order& order, int pass, Fd* passed_back) {
  Answer answer;
  int passed = -1;
  if (!send_with(channel_.get(), &order, sizeof order, pass) ||
      !receive_with(channel_.get(), &answer, sizeof answer, passed))
    give_up("an actor is gone");
  Fd got(passed);
  if (passed_back != nullptr) *passed_back = std::move(got);
  return answer;
}

Outcome Actor::addressed(int what, int fd, const std::string& address, uint16_t port, int extra) {
  Order o{what, fd, {extra, 0, 0}, {}, 0};
  o.address = to_sockaddr(address, port, o.length);
  return ask(o).outcome;
}

Outcome Actor::simple(int what, int fd, int extra) {
  return ask({what, fd, {extra, 0, 0}, {}, 0}).outcome;
}

Outcome Actor::try_open(int family, int type, int protocol) {
  return ask({what_open, -1, {family, type, protocol}, {}, 0}).outcome;
}

int Actor::open(int family, int type, int protocol) {
  const Outcome o = try_open(family, type, protocol);
  if (!o.ok()) give_up(std::string("socket: ") + std::strerror(o.error));
  return o.value;
}

void Actor::set(int fd, int level, int name, int value) {
  const Outcome o = ask({what_set, fd, {level, name, value}, {}, 0}).outcome;
  if (!o.ok()) give_up(std::string("setsockopt: ") + std::strerror(o.error));
}

void Actor::linger(int fd, int seconds) {
  (void)simple(what_linger, fd, seconds);
}

Outcome Actor::bind(int fd, const std::string& address, uint16_t port) {
  return addressed(what_bind, fd, address, port);
}

Outcome Actor::bind_in_thread(int fd, const std::string& address, uint16_t port) {
  return addressed(what_bind_in_thread, fd, address, port);
}

Outcome Actor::bind_by_uring(int fd, const std::string& address, uint16_t port) {
  return addressed(what_bind_by_uring, fd, address, port);
}

Outcome Actor::bind_then_close(int fd, const std::string& address, uint16_t port, int other) {
  return addressed(what_bind_then_close, fd, address, port, other);
}

Outcome Actor::bind_many(int family, int type, const std::string& address, uint16_t port,
                         int count) {
  Order o{what_bind_many, -1, {family, type, count}, {}, 0};
  o.address = to_sockaddr(address, port, o.length);
  return ask(o).outcome;
}

Outcome Actor::listen(int fd, int backlog) {
  return simple(what_listen, fd, backlog);
}

Outcome Actor::connect(int fd, const std::string& address, uint16_t port) {
  return addressed(what_connect, fd, address, port);
}

Outcome Actor::disconnect(int fd) {
  return simple(what_disconnect, fd);
}
Outcome Actor::accept(int fd) {
  return simple(what_accept, fd);
}
Outcome Actor::send(int fd) {
  return simple(what_send, fd);
}
Outcome Actor::shutdown(int fd) {
  return simple(what_shutdown, fd);
}
Outcome Actor::close(int fd) {
  return simple(what_close, fd);
}
uint16_t Actor::port(int fd) {
  return static_cast<uint16_t>(simple(what_port, fd).value);
}

void Actor::become(uint32_t uid) {
  const Outcome o = simple(what_become, -1, static_cast<int>(uid));
  if (!o.ok()) give_up(std::string("setresuid: ") + std::strerror(o.error));
}

Actor Actor::fork() {
  Fd channel;
  const Answer answer = ask({what_fork, -1, {}, {}, 0}, -1, &channel);
  if (!answer.outcome.ok()) give_up("an actor could not fork");
  return {std::move(channel), Child(answer.outcome.value)};
}

int Actor::give(int fd, Actor& to) {
  Fd passing;
  (void)ask({what_give, fd, {}, {}, 0}, -1, &passing);
  return to.ask({what_take, -1, {}, {}, 0}, passing.get()).outcome.value;
}

} // namespace bindlens::test
