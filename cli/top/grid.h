#pragma once

// A table in a window: columns fitted to its width, one row as one line.

#include "line.h"

namespace bindlens::cli::top {

struct GridColumn {
  std::string title;
  size_t least = 0;       // narrowest it may become; 0 = as wide as its widest cell
  bool right = false;     // numbers
  bool keeps_pid = false; // "name[pid]" is cut in the name
  int drop_turn = 0;      // 1 is left out first; 0 = never
};

struct Cell {
  std::string text;
  Look look = Look::plain;
};

class Grid {
 public:
  explicit Grid(std::vector<GridColumn> columns) : columns_(std::move(columns)) {}

  // As many cells as columns. Control characters are replaced.
  void add(std::vector<Cell> cells);
  [[nodiscard]] size_t size() const { return rows_.size(); }
  [[nodiscard]] std::string_view text(size_t row, size_t column) const {
    return rows_[row][column].text;
  }

  // The widths come from all rows, so that scrolling does not move columns.
  // A column without anything in it is left out; the last one takes what is left.
  void fit(size_t width);
  [[nodiscard]] bool shows(size_t column) const;
  // Titles; `sorted` is marked with `mark`.
  [[nodiscard]] Line header(size_t sorted, std::string_view mark) const;
  [[nodiscard]] Line line(size_t row) const;

 private:
  [[nodiscard]] size_t total() const;
  void append(Line& to, size_t column, const Cell& cell, std::string_view mark) const;

  std::vector<GridColumn> columns_;
  std::vector<std::vector<Cell>> rows_;
  std::vector<size_t> shown_, widths_, begins_; // the latter by column
  size_t width_ = 0;
};

} // namespace bindlens::cli::top
