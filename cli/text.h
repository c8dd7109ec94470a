#pragma once

// Text for a terminal: width, wrapping, numbers and times for people.

#include <bindlens/protocol/time_text.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::cli {

// Without control characters, which become "?": a process may call itself
// anything, escape sequences included.
[[nodiscard]] std::string plain(std::string_view text);

// Columns that valid UTF-8 takes, counting every character as one.
[[nodiscard]] size_t display_width(std::string_view text);

// At most `width` columns; what was cut is marked with "…" at the end, or at
// the beginning when the end matters more.
[[nodiscard]] std::string cut(std::string_view text, size_t width);
[[nodiscard]] std::string cut_front(std::string_view text, size_t width);

// The words of `text` in lines of at most `width` columns, control characters
// replaced. A longer word gets a line of its own. Never empty.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, size_t width);

// "██████░░░░": `share` of 1, in so many columns; full only when all of it is.
[[nodiscard]] std::string bar(double share, size_t width);

[[nodiscard]] std::string thousands(uint64_t n);                      // "1,204"
[[nodiscard]] std::string count_of(uint64_t n, std::string_view one); // "1 socket", "2 sockets"

// How long ago: "12s", "4m", "2h", "3d".
[[nodiscard]] std::string short_age(int64_t nanoseconds);
// "0.4 ms", "41 s", "4 h 12 min", "3 d 2 h"
[[nodiscard]] std::string duration(int64_t nanoseconds);

// Local time. "03:11:07.482", with the date in front when it is not today's.
[[nodiscard]] std::string clock_time(protocol::WallNs t, protocol::WallNs now);
// "Oct 04 03:11:07.482113", as journalctl -o short-precise
[[nodiscard]] std::string log_time(protocol::WallNs t);

} // namespace bindlens::cli
