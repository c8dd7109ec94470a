#pragma once

// Lines of text with a look, as the screen is made of.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::cli::top {

// Colour tells how severe something is and nothing else.
enum class Look : uint8_t { plain, strong, faint, critical, warning, good, selected, bar };

struct Span {
  std::string text; // UTF-8 without control characters
  Look look = Look::plain;
  bool operator==(const Span&) const = default;
};

class Line {
 public:
  Line() = default;
  explicit Line(std::string_view text, Look look = Look::plain) { add(text, look); }

  Line& add(std::string_view text, Look look = Look::plain);
  // Spaces, or something else, until the line is `width` columns wide.
  Line& fill(size_t width, Look look = Look::plain, std::string_view with = " ");
  // Cut to `width` columns, the end marked.
  Line& limit(size_t width);
  // One look for everything, up to `width` columns.
  Line& cover(size_t width, Look look);

  [[nodiscard]] size_t width() const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] const std::vector<Span>& spans() const { return spans_; }
  bool operator==(const Line&) const = default;

 private:
  std::vector<Span> spans_;
};

struct Size {
  size_t columns = 80, rows = 24;
  bool operator==(const Size&) const = default;
};

struct Screen {
  std::vector<Line> lines; // as many as the terminal has rows
  // Where text is typed: its column in the last line; -1 = nowhere.
  int cursor = -1;
  bool operator==(const Screen&) const = default;
};

// For terminals without UTF-8: what this program draws gets a likeness, other
// characters a question mark.
[[nodiscard]] std::string to_ascii(std::string_view text);

} // namespace bindlens::cli::top
