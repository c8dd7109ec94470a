#pragma once

// The tables of the screen: which columns they have, in which order the rows
// stand, and what Enter shows of a row.

#include "grid.h"
#include "snapshot.h"

#include <string>
#include <vector>

namespace bindlens::cli::top {

enum class PanelId : uint8_t { failures, findings, groups, processes };
inline constexpr size_t panel_count = 4;

struct Sort {
  size_t column = 0;
  bool descending = false;
};

struct PanelColumn {
  GridColumn grid;
  bool sorts_descending = false; // at first: numbers, the largest on top
};

struct Panel {
  std::string title;
  std::string summary; // after the title
  Look summary_look = Look::plain;
  std::string empty; // what to say when there is no row
  Grid grid{{}};
  std::vector<std::string> keys; // of the rows of the grid
};

// How the daemon is seen from here: only other namespaces are named.
struct Eyes {
  uint32_t own_netns = 0;
};

[[nodiscard]] std::vector<PanelColumn> panel_columns(PanelId id);
[[nodiscard]] Sort first_sort(PanelId id);
// With the rows that contain `filter`, be it in capitals or not.
[[nodiscard]] Panel make_panel(PanelId id, const Snapshot& s, const Sort& sort,
                               std::string_view filter, Eyes eyes);

// Everything about one row; empty when there is no such row.
[[nodiscard]] std::vector<Line> detail_of(PanelId id, const Snapshot& s, std::string_view key,
                                          size_t width, Eyes eyes);

// "0.4", "12", "1,204"; "-" for nothing.
[[nodiscard]] std::string rate_text(double per_second);

} // namespace bindlens::cli::top
