#pragma once

#include "output.h"

namespace bindlens::cli {

// Shows text again and again in the same place of a terminal, without taking the screen:
// whatever ends the program leaves what was shown last, and the cursor below it. To what
// is no terminal it writes one after another.
class Repaint {
 public:
  Repaint(Output& out, const Style& style) : out_(out), style_(style) {}

  // False when there is no use in going on.
  bool show(const std::string& text);
  // As the terminal is now.
  [[nodiscard]] const Style& style();

 private:
  Output& out_;
  Style style_;
  size_t lines_ = 0; // shown, the cursor below the last
  size_t shown_width_ = 0;
};

// At most `rows` lines; the last one says how many were left out.
[[nodiscard]] std::string first_lines(const std::string& text, size_t rows);

// Whether the locale's characters are those of UTF-8.
[[nodiscard]] bool has_utf8();

} // namespace bindlens::cli
