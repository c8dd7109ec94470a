#pragma once

// The head of the screen: the daemon, and what happens per second.

#include "line.h"
#include "snapshot.h"

namespace bindlens::cli::top {

// As many columns as `width`, the newest value on the right; the largest value
// shown is the full height, and nothing but 0 is the lowest.
[[nodiscard]] std::string sparkline(const std::vector<uint64_t>& history, size_t width);

[[nodiscard]] std::vector<Line> head_lines(const Snapshot& s, Size size, bool paused);

} // namespace bindlens::cli::top
