#include "repaint.h"

#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace bindlens::cli {
namespace {

size_t terminal_rows() {
  constexpr size_t usual = 24;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1) return size.ws_row;
  return usual;
}

size_t count_lines(std::string_view text) {
  return static_cast<size_t>(std::ranges::count(text, '\n'));
}

// Each line clears the rest of what was there before.
std::string cleared(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += "\033[K";
    out += c;
  }
  return out + "\033[J";
}

} // namespace

std::string first_lines(const std::string& text, size_t rows) {
  const size_t all = count_lines(text);
  if (all <= rows || rows == 0) return text;
  size_t end = 0;
  for (size_t i = 1; i < rows; ++i)
    end = text.find('\n', end) + 1;
  return text.substr(0, end) + "and " + std::to_string(all - rows + 1) + " lines more\n";
}

const Style& Repaint::style() {
  if (style_.width != 0) style_.width = style_of(STDOUT_FILENO, ColorMode::never).width;
  return style_;
}

bool Repaint::show(const std::string& text) {
  if (style_.width == 0) return out_.write(lines_++ == 0 ? text : "\n" + text) && out_.flush();
  const std::string fitted = first_lines(text, terminal_rows() - 1);
  std::string begin;
  if (lines_ != 0)
    // After a change of width, lines are broken elsewhere and their number is not known.
    begin =
        shown_width_ != style_.width ? "\033[H\033[2J" : "\033[" + std::to_string(lines_) + "A\r";
  lines_ = count_lines(fitted);
  shown_width_ = style_.width;
  return out_.write(begin + cleared(fitted)) && out_.flush();
}

bool has_utf8() {
  static const bool utf8 = [] {
    const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
    if (locale == nullptr) return false;
    const bool is = std::string_view(::nl_langinfo_l(CODESET, locale)) == "UTF-8";
    ::freelocale(locale);
    return is;
  }();
  return utf8;
}

} // namespace bindlens::cli
