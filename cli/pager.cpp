#include "pager.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

namespace bindlens::cli {
namespace {

// As journalctl(1): F leaves when all fits one screen, R keeps colours, S does
// not fold lines, X leaves the text on the screen, M tells where one is, K lets
// Ctrl-C end it.
constexpr const char* less_options = "FRSXMK";
// What a shell would do something with.
constexpr std::string_view special = "|&;<>()$`\\\"'*?[#~=%";

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    if (space != 0) words.emplace_back(text.substr(0, space));
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return words;
}

std::vector<std::string> arguments_of(const std::string& command) {
  if (command.find_first_of(special) != std::string::npos) return {"/bin/sh", "-c", command};
  return words_of(command);
}

std::vector<std::pair<std::string, std::string>> variables_of(const Getenv& getenv) {
  const char* wanted = getenv("BINDLENS_LESS");
  std::vector<std::pair<std::string, std::string>> variables = {
      {"LESS", wanted != nullptr ? wanted : less_options}};
  // All that is written is UTF-8, whatever the locale.
  if (getenv("LESSCHARSET") == nullptr) variables.emplace_back("LESSCHARSET", "utf-8");
  return variables;
}

// In the child, before it becomes the pager.
[[noreturn]] void become(const PagerCommand& command, int input, int report) {
  ::dup2(input, STDIN_FILENO);
  std::signal(SIGPIPE, SIG_DFL); // main() ignores it
  for (const auto& [name, value] : command.variables)
    ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& a : command.arguments)
    argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  const int error = errno;
  [[maybe_unused]] const auto told = ::write(report, &error, sizeof error);
  ::_exit(127);
}

void wait_for(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// The pid once the program runs; -1 when it cannot be run.
pid_t run(const PagerCommand& command, int input) {
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return -1;
  const pid_t pid = ::fork();
  if (pid == 0) become(command, input, report[1]);
  ::close(report[1]);
  int error = 0;
  // A program that runs has closed its end, and nothing comes.
  const bool failed = pid < 0 || ::read(report[0], &error, sizeof error) > 0;
  ::close(report[0]);
  if (!failed) return pid;
  if (pid > 0) wait_for(pid);
  return -1;
}

} // namespace

std::vector<PagerCommand> pager_commands(const Getenv& getenv) {
  const char* term = getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return {};
  const bool by_sudo = getenv("SUDO_UID") != nullptr;
  const char* wanted = getenv("BINDLENS_PAGER");
  if (wanted == nullptr) wanted = getenv("PAGER");
  const auto given = wanted == nullptr ? std::vector<std::string>{} : arguments_of(wanted);
  if (wanted != nullptr && (given.empty() || given[0] == "cat")) return {};
  auto variables = variables_of(getenv);
  if (by_sudo) {
    variables.emplace_back("LESSSECURE", "1");
    return {{{"less"}, variables}};
  }
  std::vector<PagerCommand> commands;
  if (!given.empty()) commands.push_back({given, variables});
  commands.push_back({{"less"}, variables});
  return commands;
}

std::optional<Pager> Pager::start(const std::vector<PagerCommand>& commands) {
  if (commands.empty()) return std::nullopt;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  for (const PagerCommand& command : commands) {
    const pid_t pid = run(command, ends[0]);
    if (pid < 0) continue;
    ::close(ends[0]);
    ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
    return Pager(pid, ends[1]);
  }
  ::close(ends[0]);
  ::close(ends[1]);
  return std::nullopt;
}

Pager::Pager(Pager&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), fd_(std::exchange(other.fd_, -1)) {}

Pager::~Pager() {
  if (pid_ < 0) return;
  ::close(fd_);
  wait_for(pid_);
}

} // namespace bindlens::cli
