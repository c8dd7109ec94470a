#pragma once

// A terminal to look at: tmux with a shell in it, on a server of its own.

#include "../kernel/daemon.h"

#include <string>
#include <vector>

namespace bindlens::test {

// Why there can be none; empty when there can.
[[nodiscard]] std::string no_tmux();

class Tmux {
 public:
  // The shell has `variables` ("NAME=value") and no others but PATH and HOME.
  explicit Tmux(int columns = 80, int rows = 24, std::vector<std::string> variables = {});
  ~Tmux();
  Tmux(const Tmux&) = delete;
  Tmux& operator=(const Tmux&) = delete;

  // A line for the shell.
  void enter(const std::string& line);
  // Keys by their names in tmux(1): "F1", "Escape", "C-z", "q".
  void press(const std::vector<std::string>& keys);
  void resize(int columns, int rows);
  // As it is seen; with `colours` the sequences that set them.
  [[nodiscard]] std::string screen(bool colours = false) const;
  // Waits until the screen has all of these.
  [[nodiscard]] bool shows_all(const std::vector<std::string>& parts) const;
  [[nodiscard]] bool shows(const std::string& part) const {
    return shows_all(std::vector<std::string>{part});
  }
  // #{format} of tmux: "alternate_on", "cursor_flag".
  [[nodiscard]] std::string ask(const std::string& format) const;
  // The process that the shell has started last; 0 = none.
  [[nodiscard]] pid_t child() const;
  // The terminal goes away, and with it everything in it.
  void close();

 private:
  [[nodiscard]] std::string run(const std::vector<std::string>& arguments) const;

  TempDir dir_;
};

} // namespace bindlens::test
