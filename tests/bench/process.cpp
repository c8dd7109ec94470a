#include "process.h"

#include <bindlens/util/clock.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bindlens::bench {

namespace {

constexpr int patience_ms = 10'000;

size_t count_lines(int fd) {
  std::array<char, 65536> buffer;
  size_t lines = 0;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return lines;
    lines += static_cast<size_t>(std::count(buffer.begin(), buffer.begin() + n, '\n'));
  }
}

double seconds_of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void null(int fd, int flags) {
    ::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", flags, 0);
  }
  void dup2(int from, int to) { ::posix_spawn_file_actions_adddup2(&actions_, from, to); }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

} // namespace

void give_up(const std::string& what) {
  throw std::runtime_error(what);
}

void give_up_errno(const std::string& what) {
  give_up(what + ": " + std::strerror(errno));
}

double cpu_seconds_of(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0)
    give_up("reading the processor time of process " + std::to_string(pid));
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double now_seconds() {
  return static_cast<double>(monotonic_now()) / 1e9;
}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    stop();
    pid_ = std::exchange(other.pid_, 0);
  }
  return *this;
}

Child Child::fork(const std::function<int()>& body) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) give_up_errno("fork");
  if (pid > 0) return Child(pid);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::_exit(::getppid() == parent ? body() : 1);
}

bool Child::has_ended() {
  siginfo_t info{};
  return pid_ == 0 ||
         (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          info.si_pid != 0);
}

int Child::wait(double* cpu_seconds) {
  int status = 0;
  rusage used{};
  if (pid_ != 0)
    while (::wait4(pid_, &status, 0, &used) < 0 && errno == EINTR) {
    }
  if (cpu_seconds != nullptr) *cpu_seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  pid_ = 0;
  return status;
}

int Child::stop() {
  if (pid_ == 0) return 0;
  ::kill(pid_, SIGTERM);
  for (int waited = 0; waited < patience_ms && !has_ended(); ++waited)
    ::usleep(1000);
  if (!has_ended()) ::kill(pid_, SIGKILL);
  return wait();
}

Run run_program(const std::vector<std::string>& argv, Output output) {
  std::vector<char*> arguments;
  for (const std::string& a : argv)
    arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  std::array<int, 2> ends{-1, -1};
  if (output == Output::count_lines && ::pipe2(ends.data(), O_CLOEXEC) != 0) give_up_errno("pipe");
  Fd reading(ends[0]);
  Fd writing(ends[1]);
  FileActions actions;
  actions.null(STDIN_FILENO, O_RDONLY);
  if (writing)
    actions.dup2(writing.get(), STDOUT_FILENO);
  else
    actions.null(STDOUT_FILENO, O_WRONLY);
  Run run;
  pid_t pid = 0;
  const double start = now_seconds();
  errno = ::posix_spawnp(&pid, arguments[0], actions.get(), nullptr, arguments.data(), environ);
  if (errno != 0) give_up_errno("starting " + argv[0]);
  Child child(pid);
  writing.reset();
  if (reading) run.lines = count_lines(reading.get());
  const int status = child.wait(&run.cpu_seconds);
  run.seconds = now_seconds() - start;
  if (!WIFEXITED(status)) give_up(argv[0] + " was ended by a signal");
  run.exit_code = WEXITSTATUS(status);
  return run;
}

} // namespace bindlens::bench
