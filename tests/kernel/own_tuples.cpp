#include "own_tuples.h"

#include <bindlens/util/fd.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>

namespace bindlens::test {

namespace {

constexpr int per_address = 1000;
constexpr uint16_t first_port = 1024;

sockaddr_in v4(uint32_t address, uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(address);
  a.sin_port = htons(port);
  return a;
}

Fd socket_at(const sockaddr_in& a) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0)
    fd.reset();
  return fd;
}

// The n-th address and port: 127.1.0.1:1024, …
sockaddr_in own_source(int n) {
  const auto host = static_cast<uint32_t>(n / per_address);
  return v4(0x7f010001 + host, static_cast<uint16_t>(first_port + n % per_address));
}

bool connect_and_close(const Fd& listener, const sockaddr_in& to, int n, bool server_first) {
  Fd client = socket_at(own_source(n));
  if (!client || ::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    return false;
  Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!accepted) return false;
  if (!server_first) std::swap(client, accepted);
  accepted.reset();
  client.reset();
  return true;
}

} // namespace

bool make_time_wait(const Netns& netns, uint16_t service, int count, Closes first) {
  Child child = Child::fork([&] {
    netns.enter();
    const sockaddr_in to = v4(INADDR_LOOPBACK, service);
    const Fd listener = socket_at(to);
    if (!listener || ::listen(listener.get(), 16) != 0) return 1;
    for (int n = 0; n < count; ++n) {
      const bool server = first == Closes::server || (first == Closes::in_turn && n % 2 == 0);
      if (!connect_and_close(listener, to, n, server)) return 1;
    }
    return 0;
  });
  return child.wait(std::chrono::minutes(5)) == 0;
}

} // namespace bindlens::test
