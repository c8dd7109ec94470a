#pragma once

// Runs the bindlens program as a process of its own.

#include <bindlens/util/fd.h>

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace bindlens::test {

struct Outcome {
  int exit_code = -1; // -1: ended by a signal
  std::string out, err;
};

struct Environment {
  std::optional<uid_t> user;          // run as this user, without other groups
  std::vector<std::string> variables; // "NAME=value", beside PATH, TZ=UTC
};

// Waits for the program and collects what it prints. One that runs for longer
// than twenty seconds is killed.
[[nodiscard]] Outcome run(const std::vector<std::string>& arguments,
                          const Environment& environment = {});

// A program that runs beside the test.
class Running {
 public:
  explicit Running(const std::vector<std::string>& arguments, const Environment& environment = {});
  // Kills it when it still runs.
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  // The next line of standard output; empty at its end.
  std::string next_line();
  // Closes the reading end, as `head` does.
  void stop_reading() { out_.reset(); }
  void interrupt() const;
  // Waits for the end; standard output is read to its end unless stopped.
  [[nodiscard]] Outcome finish();

 private:
  pid_t pid_ = -1;
  Fd out_, err_;
  std::string buffer_;
};

} // namespace bindlens::test
