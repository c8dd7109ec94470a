#include "place.h"

#include <bindlens/util/fd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace bindlens::test {

namespace {

using Clock = std::chrono::steady_clock;

void raise_loopback() {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) give_up_errno("raising lo");
}

// On a busy machine a segment is sent again although it has arrived. The answer to the second
// one meets nobody, is reset, and ends the TIME_WAIT that a test is about (RFC 1337).
void keep_time_wait() {
  const Fd fd(::open("/proc/sys/net/ipv4/tcp_rfc1337", O_WRONLY | O_CLOEXEC));
  if (::write(fd.get(), "1", 1) != 1) give_up_errno("setting tcp_rfc1337");
}

std::string netns_path(pid_t pid) {
  return "/proc/" + std::to_string(pid) + "/ns/net";
}

uint32_t inode_of(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? static_cast<uint32_t>(st.st_ino) : 0;
}

} // namespace

void give_up(const std::string& what) {
  throw std::runtime_error(what);
}

void give_up_errno(const std::string& what) {
  give_up(what + ": " + std::strerror(errno));
}

bool is_slow() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return in_vm();
#endif
}

bool in_vm() {
  return std::getenv("BINDLENS_VM") != nullptr;
}

std::chrono::milliseconds patience() {
  return std::chrono::seconds(is_slow() ? 60 : 10);
}

int scaled(int here) {
  return is_slow() ? std::max(1, here / 5) : here;
}

std::string now_text() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  char text[64];
  const size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + n, sizeof text - n, ".%09ldZ", now.tv_nsec);
  return text;
}

bool eventually(const std::function<bool()>& is_true, std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (!is_true()) {
    if (Clock::now() > end) return is_true();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

Child Child::fork(const std::function<int()>& body) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) give_up_errno("fork");
  if (pid > 0) return Child(pid);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int status = 120;
  try {
    if (::getppid() == parent) status = body();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "child: %s\n", e.what());
  }
  ::_exit(status);
}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = std::exchange(other.pid_, 0);
  }
  return *this;
}

void Child::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

int Child::wait(std::chrono::milliseconds limit) {
  int status = -1;
  if (pid_ <= 0) return status;
  const bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) != 0; }, limit);
  if (!ended) {
    kill();
    return -1;
  }
  pid_ = 0;
  return status;
}

void Child::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

Netns::Netns() {
  keeper_ = Child::fork([] {
    if (::unshare(CLONE_NEWNET) != 0) return 1;
    raise_loopback();
    keep_time_wait();
    ::prctl(PR_SET_NAME, "kt-keeper");
    for (;;)
      ::pause();
  });
  const uint32_t own = inode_of("/proc/self/ns/net");
  // The name tells that loopback is up.
  const std::string comm = "/proc/" + std::to_string(keeper_.pid()) + "/comm";
  const bool made = eventually([&] {
    char text[32] = {};
    const Fd fd(::open(comm.c_str(), O_RDONLY | O_CLOEXEC));
    return fd && ::read(fd.get(), text, sizeof text - 1) > 0 &&
           std::strcmp(text, "kt-keeper\n") == 0;
  });
  inode_ = inode_of(netns_path(keeper_.pid()));
  if (!made || inode_ == 0 || inode_ == own) give_up("a network namespace could not be made");
}

void Netns::enter() const {
  const Fd fd(::open(netns_path(keeper_.pid()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || ::setns(fd.get(), CLONE_NEWNET) != 0) give_up_errno("entering a namespace");
}

std::string Netns::proc_net(const std::string& name) const {
  return "/proc/" + std::to_string(keeper_.pid()) + "/net/" + name;
}

std::string Netns::query() const {
  return "netns=" + std::to_string(inode_);
}

} // namespace bindlens::test
