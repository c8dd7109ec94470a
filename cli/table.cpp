#include "table.h"

#include "text.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace bindlens::cli {
namespace {

constexpr size_t gap = 2;

} // namespace

size_t Table::Layout::total() const {
  size_t sum = 0;
  for (const size_t c : shown)
    sum += widths[c] + gap;
  return sum == 0 ? 0 : sum - gap;
}

void Table::add(std::vector<std::string> cells) {
  for (std::string& cell : cells)
    cell = plain(cell);
  rows_.push_back(std::move(cells));
}

Table::Layout Table::natural() const {
  Layout layout;
  layout.shown.resize(columns_.size());
  std::iota(layout.shown.begin(), layout.shown.end(), size_t{0});
  for (const Column& c : columns_)
    layout.widths.push_back(display_width(c.title));
  for (const auto& row : rows_)
    for (size_t c = 0; c < row.size(); ++c)
      layout.widths[c] = std::max(layout.widths[c], display_width(row[c]));
  return layout;
}

void Table::shrink(Layout& layout, size_t width) const {
  while (layout.total() > width) {
    size_t* widest = nullptr;
    for (const size_t c : layout.shown) {
      const bool can_give = columns_[c].least != 0 && layout.widths[c] > columns_[c].least;
      if (can_give && (widest == nullptr || layout.widths[c] > *widest)) widest = &layout.widths[c];
    }
    if (widest == nullptr) return;
    --*widest;
  }
}

bool Table::drop_one(Layout& layout) const {
  const auto turn = [&](size_t c) {
    return columns_[c].drop_turn == 0 ? std::numeric_limits<int>::max() : columns_[c].drop_turn;
  };
  const auto next = std::ranges::min_element(layout.shown, {}, turn);
  if (next == layout.shown.end() || columns_[*next].drop_turn == 0) return false;
  layout.shown.erase(next);
  return true;
}

Table::Layout Table::fitted(size_t width) const {
  const Layout all = natural();
  Layout layout = all;
  if (width == 0) return layout;
  shrink(layout, width);
  while (layout.total() > width && drop_one(layout)) {
    layout.widths = all.widths; // what was left out makes room for the others
    shrink(layout, width);
  }
  return layout;
}

void Table::append_line(std::string& out, const Layout& layout, size_t width,
                        const std::vector<std::string>& cells) const {
  std::string line;
  for (const size_t c : layout.shown) {
    const size_t room = layout.widths[c];
    const std::string text = columns_[c].keep_end ? cut_front(cells[c], room) : cut(cells[c], room);
    const size_t padding = room - display_width(text);
    if (c != layout.shown.front()) line.append(gap, ' ');
    line += text;
    line.append(padding, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += width == 0 ? line : cut(line, width);
  out += '\n';
}

std::string Table::render(size_t width) const {
  const Layout layout = fitted(width);
  std::string out;
  std::vector<std::string> titles;
  for (const Column& c : columns_)
    titles.push_back(c.title);
  append_line(out, layout, width, titles);
  for (const auto& row : rows_)
    append_line(out, layout, width, row);
  return out;
}

} // namespace bindlens::cli
