#include "grid.h"

#include "../text.h"

#include <algorithm>

namespace bindlens::cli::top {
namespace {

constexpr size_t gap = 2;    // between columns
constexpr size_t margin = 1; // on the left

// Shortened to `width`; the pid at the end of "name[pid]" stays.
std::string cut_name(std::string_view text, size_t width) {
  const size_t bracket = text.ends_with(']') ? text.rfind('[') : std::string_view::npos;
  if (bracket == std::string_view::npos || display_width(text) <= width) return cut(text, width);
  const std::string_view pid = text.substr(bracket);
  if (pid.size() + 2 > width) return cut(text, width);
  return cut(text.substr(0, bracket), width - pid.size()) + std::string(pid);
}

} // namespace

void Grid::add(std::vector<Cell> cells) {
  for (Cell& c : cells)
    c.text = plain(c.text);
  rows_.push_back(std::move(cells));
}

size_t Grid::total() const {
  size_t sum = margin;
  for (const size_t c : shown_)
    sum += widths_[c] + gap;
  return shown_.empty() ? sum : sum - gap;
}

void Grid::fit(size_t width) {
  width_ = width;
  widths_.assign(columns_.size(), 0);
  shown_.clear();
  for (size_t c = 0; c < columns_.size(); ++c) {
    for (const auto& row : rows_)
      widths_[c] = std::max(widths_[c], display_width(row[c].text));
    if (widths_[c] == 0) continue; // nothing in it
    widths_[c] = std::max(widths_[c], display_width(columns_[c].title));
    shown_.push_back(c);
  }
  while (total() > width) {
    size_t widest = columns_.size(); // among those that can still shrink
    for (const size_t c : shown_)
      if (columns_[c].least != 0 && widths_[c] > columns_[c].least &&
          (widest == columns_.size() || widths_[c] > widths_[widest]))
        widest = c;
    if (widest != columns_.size()) {
      --widths_[widest];
      continue;
    }
    const auto first = std::ranges::min_element(shown_, {}, [&](size_t c) {
      return columns_[c].drop_turn == 0 ? 1000 : columns_[c].drop_turn;
    });
    if (first == shown_.end() || columns_[*first].drop_turn == 0) break;
    shown_.erase(first);
    for (const size_t c : shown_) // what was taken from them is given back
      for (const auto& row : rows_)
        widths_[c] = std::max(widths_[c], display_width(row[c].text));
  }
  begins_.assign(columns_.size(), 0);
  size_t at = margin;
  for (const size_t c : shown_) {
    begins_[c] = at;
    at += widths_[c] + gap;
  }
}

bool Grid::shows(size_t column) const {
  return std::ranges::find(shown_, column) != shown_.end();
}

// Each column begins at its place, whatever stands before it.
void Grid::append(Line& to, size_t column, const Cell& cell, std::string_view mark) const {
  const size_t begin = begins_[column];
  const bool last = column == shown_.back();
  const size_t room = last && width_ > begin ? width_ - begin : widths_[column];
  const std::string text =
      columns_[column].keeps_pid ? cut_name(cell.text, room) : cut(cell.text, room);
  const size_t pad =
      columns_[column].right ? widths_[column] - std::min(widths_[column], display_width(text)) : 0;
  // The mark stands in the gap between columns, for which none has to be wider.
  if (columns_[column].right)
    to.fill(begin + pad - display_width(mark)).add(mark, cell.look).add(text, cell.look);
  else
    to.fill(begin).add(text, cell.look).add(mark, cell.look);
}

Line Grid::header(size_t sorted, std::string_view mark) const {
  Line line;
  for (const size_t c : shown_)
    append(line, c, {columns_[c].title, c == sorted ? Look::strong : Look::faint},
           c == sorted ? mark : "");
  return line;
}

Line Grid::line(size_t row) const {
  Line line;
  for (const size_t c : shown_)
    append(line, c, rows_[row][c], "");
  return line;
}

} // namespace bindlens::cli::top
