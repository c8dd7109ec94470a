#include "leak.h"

#include "actor.h"

#include <bindlens/util/fd.h>

#include <array>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace bindlens::test {

namespace {

void listen_on(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0); // stays open across exec
  socklen_t length = 0;
  const sockaddr_storage at = to_sockaddr("127.0.0.1", port, length);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), length) != 0 || ::listen(fd, 8) != 0)
    give_up_errno("the server");
}

pid_t start_sleep() {
  const long pid = ::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (pid != 0) return static_cast<pid_t>(pid);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::execlp("sleep", "sleep", "600", nullptr);
  ::_exit(127);
}

void serve_and_leak(const Netns& netns, uint16_t port, int report) {
  netns.enter();
  ::prctl(PR_SET_NAME, "kt-server");
  listen_on(port);
  std::this_thread::sleep_for(std::chrono::milliseconds(20)); // a clock tick: start times differ
  const pid_t pid = start_sleep();
  if (::write(report, &pid, sizeof pid) != sizeof pid) give_up_errno("reporting");
}

} // namespace

Leaked leak_into_a_program(const Netns& netns, uint16_t port, std::chrono::milliseconds lives_on) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) give_up_errno("pipe");
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  Child server = Child::fork([&] {
    serve_and_leak(netns, port, write_end.get());
    std::this_thread::sleep_for(lives_on);
    return 0;
  });
  pid_t pid = 0;
  if (::read(read_end.get(), &pid, sizeof pid) != sizeof pid || pid <= 0) give_up("no program");
  return {std::move(server), Child(pid)};
}

} // namespace bindlens::test
