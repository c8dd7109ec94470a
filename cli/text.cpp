#include "text.h"

#include <algorithm>
#include <ctime>

namespace bindlens::cli {
namespace {

constexpr int64_t second = 1'000'000'000;
constexpr int64_t minute = 60 * second;
constexpr int64_t hour = 60 * minute;
constexpr int64_t day = 24 * hour;
constexpr std::string_view ellipsis = "…";

bool starts_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

// Bytes of the first `count` characters.
size_t prefix_bytes(std::string_view text, size_t count) {
  size_t i = 0;
  for (; i < text.size(); ++i)
    if (starts_character(text[i]) && count-- == 0) break;
  return i;
}

std::tm local(protocol::WallNs t) {
  const std::time_t seconds = t / second;
  std::tm out{};
  ::localtime_r(&seconds, &out);
  return out;
}

std::string formatted(const std::tm& t, const char* format) {
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &t)};
}

std::string padded(int64_t value, size_t digits) {
  std::string text = std::to_string(value);
  if (text.size() < digits) text.insert(0, digits - text.size(), '0');
  return text;
}

std::string two_units(int64_t t, int64_t unit, std::string_view name, int64_t smaller,
                      std::string_view smaller_name) {
  std::string text = std::to_string(t / unit) + " " + std::string(name);
  if (const int64_t rest = t % unit / smaller; rest != 0)
    text += " " + std::to_string(rest) + " " + std::string(smaller_name);
  return text;
}

} // namespace

std::string plain(std::string_view text) {
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    const auto c = static_cast<unsigned char>(out[i]);
    if (c < 0x20 || c == 0x7f) out[i] = '?';
    // U+0080 to U+009F: terminals take some of them as escape sequences, too.
    if (c == 0xc2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xa0)
      out.replace(i, 2, "?");
  }
  return out;
}

size_t display_width(std::string_view text) {
  size_t n = 0;
  for (const char c : text)
    n += starts_character(c) ? 1 : 0;
  return n;
}

std::string cut(std::string_view text, size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  return std::string(text.substr(0, prefix_bytes(text, width - 1))) + std::string(ellipsis);
}

std::string cut_front(std::string_view text, size_t width) {
  const size_t full = display_width(text);
  if (full <= width) return std::string(text);
  if (width == 0) return {};
  return std::string(ellipsis) + std::string(text.substr(prefix_bytes(text, full - width + 1)));
}

std::vector<std::string> wrap(std::string_view text, size_t width) {
  const std::string clean = plain(text);
  std::string_view rest = clean;
  std::vector<std::string> lines(1);
  while (!rest.empty()) {
    const size_t space = rest.find(' ');
    const std::string_view word = rest.substr(0, space);
    rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
    if (word.empty()) continue;
    std::string& line = lines.back();
    if (line.empty())
      line = word;
    else if (display_width(line) + 1 + display_width(word) <= width)
      line.append(" ").append(word);
    else
      lines.emplace_back(word);
  }
  return lines;
}

std::string bar(double share, size_t width) {
  const double filled = std::clamp(share, 0.0, 1.0) * static_cast<double>(width);
  std::string out;
  for (size_t i = 0; i < width; ++i)
    out += static_cast<double>(i + 1) <= filled ? "█" : "░";
  return out;
}

std::string thousands(uint64_t n) {
  std::string text = std::to_string(n);
  for (size_t i = text.size(); i > 3; i -= 3)
    text.insert(i - 3, ",");
  return text;
}

std::string count_of(uint64_t n, std::string_view one) {
  return thousands(n) + " " + std::string(one) + (n == 1 ? "" : "s");
}

std::string short_age(int64_t t) {
  if (t < 0) t = 0;
  if (t < minute) return std::to_string(t / second) + "s";
  if (t < hour) return std::to_string(t / minute) + "m";
  if (t < day) return std::to_string(t / hour) + "h";
  return std::to_string(t / day) + "d";
}

std::string duration(int64_t t) {
  constexpr int64_t millisecond = second / 1000;
  if (t < 0) t = 0;
  if (t < 10 * millisecond) {
    const int64_t tenths = t * 10 / millisecond;
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " ms";
  }
  if (t < second) return std::to_string(t / millisecond) + " ms";
  if (t < minute) return std::to_string(t / second) + " s";
  if (t < hour) return two_units(t, minute, "min", second, "s");
  if (t < day) return two_units(t, hour, "h", minute, "min");
  return two_units(t, day, "d", hour, "h");
}

std::string clock_time(protocol::WallNs t, protocol::WallNs now) {
  const std::tm then = local(t);
  const std::tm today = local(now);
  const bool same_day = then.tm_yday == today.tm_yday && then.tm_year == today.tm_year;
  return formatted(then, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S") + "." +
         padded(t % second / (second / 1000), 3);
}

std::string log_time(protocol::WallNs t) {
  return formatted(local(t), "%b %d %H:%M:%S") + "." + padded(t % second / 1000, 6);
}

} // namespace bindlens::cli
