#include "terminal.h"

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace bindlens::test {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& t : texts)
    out.push_back(t.data());
  out.push_back(nullptr);
  return out;
}

void type(int fd, const std::string& keys) {
  if (::write(fd, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
    throw std::runtime_error("write to the terminal");
}

// Until the other end is closed: then reading fails with EIO.
std::string read_all(int fd, const Typing& typing) {
  constexpr int patience_ms = 20'000;
  std::string text;
  bool typed = typing.keys.empty();
  char piece[4096];
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  while (::poll(&wait, 1, patience_ms) > 0) {
    const ssize_t n = ::read(fd, piece, sizeof piece);
    if (n <= 0) break;
    for (ssize_t i = 0; i < n; ++i)
      if (piece[i] != '\r') text += piece[i];
    if (typed || text.find(typing.after) == std::string::npos) continue;
    type(fd, typing.keys);
    typed = true;
  }
  return text;
}

} // namespace

Outcome run_on_terminal(const std::vector<std::string>& arguments, const Environment& environment,
                        const Typing& typing) {
  std::vector<std::string> argv = {"bindlens"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  std::vector<std::string> envp = environment.variables; // of two with one name the first counts
  envp.insert(envp.end(), {"PATH=/usr/bin:/bin", "TZ=UTC", "TERM=xterm"});
  const auto argument_pointers = pointers(argv);
  const auto variable_pointers = pointers(envp);
  const winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  int screen = -1;
  const pid_t pid = ::forkpty(&screen, nullptr, nullptr, &size);
  if (pid < 0) throw std::runtime_error("forkpty");
  if (pid == 0) {
    ::execve(BINDLENS_PROGRAM, argument_pointers.data(), variable_pointers.data());
    ::_exit(126);
  }
  const Fd terminal(screen);
  Outcome outcome;
  outcome.out = read_all(screen, typing);
  int status = 0;
  for (int i = 0; i < 200 && ::waitpid(pid, &status, WNOHANG) == 0; ++i) {
    ::usleep(10'000);
    if (i < 199) continue;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &status, 0);
  }
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  return outcome;
}

} // namespace bindlens::test
