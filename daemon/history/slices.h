#pragma once

#include "reading.h"

#include <utility>

namespace bindlens::history {

// A place in the order of wall time; rows of one time are in the order of writing.
struct Place {
  int64_t wall = INT64_MIN;
  int64_t id = 0;
  auto operator<=>(const Place&) const = default;
};
inline constexpr Place before_all{INT64_MIN, 0};
inline constexpr Place after_all{INT64_MAX, INT64_MAX};

// So many rows are looked at, and so many items handed out, at once.
inline constexpr int rows_at_once = 8192;
inline constexpr size_t items_at_once = 512;

// A column that must lie in one of the ranges of ports, as SQL.
[[nodiscard]] std::string in_ports(const std::string& column,
                                   const std::vector<model::PortRange>& ports);

} // namespace bindlens::history
