#pragma once

#include <bindlens/util/fd.h>

#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace bindlens::bench {

// Anything that keeps a benchmark from going on ends in an exception of type
// std::runtime_error; destructors take processes and sockets away.
[[noreturn]] void give_up(const std::string& what);       // "what"
[[noreturn]] void give_up_errno(const std::string& what); // "what: strerror(errno)"

// A child of this program, ended by its pid when this object goes.
class Child {
 public:
  Child() = default;
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() { stop(); }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Child& operator=(Child&& other) noexcept;

  // Forks; the child runs `body` and exits with what it returns, and it dies
  // with its parent.
  [[nodiscard]] static Child fork(const std::function<int()>& body);

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Sends SIGTERM, after ten seconds SIGKILL, and waits. Returns the wait status.
  int stop();
  // Waits for it to end by itself. Returns the wait status, and its processor
  // time in seconds when asked.
  int wait(double* cpu_seconds = nullptr);
  [[nodiscard]] bool has_ended();

 private:
  pid_t pid_ = 0;
};

// How a program run from start to end went.
struct Run {
  double seconds = 0;     // from before its start to after its end was known
  double cpu_seconds = 0; // its own, user and system
  int exit_code = 0;
  size_t lines = 0; // of its output, when it was read
};
enum class Output { discard, count_lines };
// argv[0] is looked up in PATH. A program that cannot be started, or dies by a
// signal, is a reason to give up.
[[nodiscard]] Run run_program(const std::vector<std::string>& argv, Output output);

// Processor time that a running process has had, user and system.
[[nodiscard]] double cpu_seconds_of(pid_t pid);

[[nodiscard]] double now_seconds();

} // namespace bindlens::bench
