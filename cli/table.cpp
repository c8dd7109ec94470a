#include "table.h"

#include "text.h"

#include <algorithm>
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

// Takes what is too much from the columns that can give, in their turn.
void Table::shrink(Layout& layout, size_t width) const {
  std::vector<size_t> order = layout.shown;
  std::ranges::stable_sort(order, {}, [&](size_t c) { return columns_[c].shrink_turn; });
  for (const size_t c : order) {
    const size_t total = layout.total();
    if (total <= width) return;
    const size_t least = columns_[c].least;
    if (least == 0 || layout.widths[c] <= least) continue;
    layout.widths[c] -= std::min(total - width, layout.widths[c] - least);
  }
}

void Table::drop(Layout& layout, size_t width) const {
  std::vector<size_t> order;
  for (const size_t c : layout.shown)
    if (columns_[c].drop_turn != 0) order.push_back(c);
  std::ranges::stable_sort(order, {}, [&](size_t c) { return columns_[c].drop_turn; });
  for (const size_t c : order) {
    if (layout.total() <= width) return;
    std::erase(layout.shown, c);
  }
}

void Table::append_line(std::string& out, const Layout& layout, size_t width,
                        const std::vector<std::string>& cells) const {
  std::string line;
  for (const size_t c : layout.shown) {
    const size_t room = layout.widths[c];
    const std::string text = columns_[c].keep_end ? cut_front(cells[c], room) : cut(cells[c], room);
    const size_t padding = room - display_width(text);
    if (c != layout.shown.front()) line.append(gap, ' ');
    if (columns_[c].right) line.append(padding, ' ');
    line += text;
    if (!columns_[c].right) line.append(padding, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += width == 0 ? line : cut(line, width);
  out += '\n';
}

std::string Table::render(size_t width) const {
  Layout layout = natural();
  if (width != 0) {
    shrink(layout, width);
    drop(layout, width);
    // What was left out may have made room for what was cut before.
    if (layout.shown.size() != columns_.size()) {
      layout.widths = natural().widths;
      shrink(layout, width);
    }
  }
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
