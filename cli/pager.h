#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::cli {

// What is to be run as a pager: a program with its arguments, and the variables
// that it gets beside those of the environment.
struct PagerCommand {
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> variables;
};

// Looks a variable up in the environment; nullptr when it is not set.
using Getenv = std::function<const char*(const char*)>;

// The pagers to try, in this order, as journalctl(1) chooses: $BINDLENS_PAGER,
// else $PAGER, else less. Empty when there is to be none: an empty value or
// "cat" in the first of them that is set, or a terminal that cannot page.
//
// Through sudo(8) it is less in its secure mode alone: whoever may run only this
// program as root must not get a shell out of its pager.
[[nodiscard]] std::vector<PagerCommand> pager_commands(const Getenv& getenv);

// A running pager. What is written to fd(), which does not block, is shown by it.
class Pager {
 public:
  // The first of `commands` that can be run; nullopt when none can.
  [[nodiscard]] static std::optional<Pager> start(const std::vector<PagerCommand>& commands);
  Pager(Pager&& other) noexcept;
  Pager& operator=(Pager&& other) = delete;
  // Ends what it shows, and waits until the reader has quit it.
  ~Pager();

  [[nodiscard]] int fd() const { return fd_; }

 private:
  Pager(pid_t pid, int fd) : pid_(pid), fd_(fd) {}

  pid_t pid_ = -1;
  int fd_ = -1;
};

} // namespace bindlens::cli
