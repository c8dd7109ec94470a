// One half of a real EADDRINUSE. `packaging/run --demo` starts this program
// twice, so that the two sides of the conflict are two processes:
//
//   bindlens-demo hold           listen on a free port of 127.0.0.1, print the
//                                port, keep it until standard input ends
//   bindlens-demo request PORT   bind 127.0.0.1:PORT as a server would, with
//                                SO_REUSEADDR; exit 0 if the kernel refuses

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int fail(const char* what) {
  std::fprintf(stderr, "bindlens-demo: %s: %s\n", what, std::strerror(errno));
  return 1;
}

// The kernel cuts the name at 15 characters; `bindlens why` prints it.
void be_called(const char* name) {
  ::prctl(PR_SET_NAME, name);
}

void wait_for_end_of_input() {
  char ignored[64];
  while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
  }
}

int hold() {
  be_called("holder");
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail("socket");
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd, generic, size) != 0) return fail("bind");
  if (::listen(fd, 1) != 0) return fail("listen");
  if (::getsockname(fd, generic, &size) != 0) return fail("getsockname");
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  wait_for_end_of_input();
  return 0;
}

int request(std::uint16_t port) {
  be_called("requester");
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail("socket");
  const int on = 1;
  if (::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return fail("setsockopt");
  const sockaddr_in address = loopback(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    std::fprintf(stderr, "bindlens-demo: port %d was free: no conflict to show\n", port);
    return 1;
  }
  if (errno != EADDRINUSE) return fail("bind");
  std::printf("requester[%d]: bind(127.0.0.1:%d): %s\n", ::getpid(), port, std::strerror(errno));
  return 0;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc{} || stop != end || port == 0) return std::nullopt;
  return port;
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "hold") return hold();
  if (argc == 3 && std::string_view(argv[1]) == "request") {
    if (const auto port = parse_port(argv[2])) return request(*port);
  }
  std::fputs("usage: bindlens-demo hold | request PORT\n", stderr);
  return 2;
}
