#pragma once

#include "keys.h"
#include "line.h"

#include <bindlens/util/result.h>

#include <memory>
#include <optional>

namespace bindlens::cli::top {

// Whether a terminal of this type (TERM) can show a screen; null = not set.
[[nodiscard]] Result<void> check_terminal_type(const char* term);

// The terminal, by ncurses. One at a time.
class Terminal {
 public:
  // Takes the whole screen. Fails when TERM names no terminal that can do this.
  [[nodiscard]] static Result<std::unique_ptr<Terminal>> open(bool color);
  // Gives the terminal back as it was.
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] Size size() const;
  void draw(const Screen& screen);
  // The next key that has been pressed, without waiting.
  [[nodiscard]] std::optional<Key> next_key();

  // The window has another size: the next draw() draws everything.
  void resize();
  // Gives the terminal back for a while; resume() takes it again. That also puts
  // right whatever others have done to it meanwhile.
  void leave();
  void resume();

 private:
  explicit Terminal(bool color);
  void put(int row, const Line& line) const;
  [[nodiscard]] unsigned attributes(Look look) const;

  bool color_ = false;
  bool utf8_ = false;
  bool away_ = false;
};

} // namespace bindlens::cli::top
