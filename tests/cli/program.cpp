#include "program.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace bindlens::test {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  Fd read_end, write_end;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& t : texts)
    out.push_back(t.data());
  out.push_back(nullptr);
  return out;
}

// Between fork() and exec(): nothing that allocates.
[[noreturn]] void become_program(const Environment& environment, char* const* arguments,
                                 char* const* variables, int out, int err) {
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (environment.user) {
    const uid_t user = *environment.user;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(user, user, user) != 0 ||
        ::setresuid(user, user, user) != 0)
      ::_exit(125);
  }
  ::execve(BINDLENS_PROGRAM, arguments, variables);
  ::_exit(126);
}

// What is there, up to 64 KiB; empty at the end and after twenty seconds.
std::string read_some(const Fd& fd) {
  constexpr int patience_ms = 20'000;
  pollfd wait{.fd = fd.get(), .events = POLLIN, .revents = 0};
  if (!fd || ::poll(&wait, 1, patience_ms) <= 0) return {};
  std::string piece(64 * 1024, '\0');
  const ssize_t n = ::read(fd.get(), piece.data(), piece.size());
  piece.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return piece;
}

std::string read_all(const Fd& fd) {
  std::string text;
  for (std::string piece = read_some(fd); !piece.empty(); piece = read_some(fd))
    text += piece;
  return text;
}

} // namespace

Running::Running(const std::vector<std::string>& arguments, const Environment& environment) {
  std::vector<std::string> argv = {"bindlens"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  std::vector<std::string> envp = {"PATH=/usr/bin:/bin", "TZ=UTC"};
  envp.insert(envp.end(), environment.variables.begin(), environment.variables.end());
  const auto argument_pointers = pointers(argv);
  const auto variable_pointers = pointers(envp);
  Pipe out;
  Pipe err;
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0)
    become_program(environment, argument_pointers.data(), variable_pointers.data(),
                   out.write_end.get(), err.write_end.get());
  out_ = std::move(out.read_end);
  err_ = std::move(err.read_end);
}

Running::~Running() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::string Running::next_line() {
  size_t end = 0;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    const std::string piece = read_some(out_);
    if (piece.empty()) return {};
    buffer_ += piece;
  }
  const std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

void Running::interrupt() const {
  ::kill(pid_, SIGINT);
}

Outcome Running::finish() {
  Outcome outcome;
  outcome.out = buffer_ + read_all(out_);
  outcome.err = read_all(err_);
  int status = 0;
  // Both pipes are at their end, or it is stuck: then it is time to end it.
  for (int i = 0; i < 200 && ::waitpid(pid_, &status, WNOHANG) == 0; ++i) {
    ::usleep(10'000);
    if (i == 199) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status, 0);
    }
  }
  pid_ = -1;
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  return outcome;
}

Outcome run(const std::vector<std::string>& arguments, const Environment& environment) {
  return Running(arguments, environment).finish();
}

} // namespace bindlens::test
