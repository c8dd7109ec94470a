#include "view.h"

#include "meters.h"

#include "../text.h"

#include <algorithm>

namespace bindlens::cli::top {
namespace {

constexpr size_t least_open = 2; // column titles and one row: less tells nothing

std::string utf8(char32_t c) {
  std::string out;
  const auto byte = [&](char32_t b) { out += static_cast<char>(static_cast<unsigned char>(b)); };
  if (c < 0x80) {
    byte(c);
  } else if (c < 0x800) {
    byte(0xc0 | (c >> 6));
    byte(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    byte(0xe0 | (c >> 12));
    byte(0x80 | ((c >> 6) & 0x3f));
    byte(0x80 | (c & 0x3f));
  } else {
    byte(0xf0 | (c >> 18));
    byte(0x80 | ((c >> 12) & 0x3f));
    byte(0x80 | ((c >> 6) & 0x3f));
    byte(0x80 | (c & 0x3f));
  }
  return out;
}

} // namespace

View::View(Eyes eyes) : eyes_(eyes) {
  for (size_t p = 0; p < panel_count; ++p)
    tables_[p].sort = first_sort(static_cast<PanelId>(p));
}

// --- keys ---------------------------------------------------------------------

bool View::press(Key key) {
  const Action action = action_of(key, mode_);
  if (action == Action::quit) return false;
  if (mode_ == Mode::detail || mode_ == Mode::help)
    scroll(action);
  else
    act(action, key);
  return true;
}

void View::act(Action action, Key key) {
  switch (action) {
  case Action::up:
  case Action::down:
  case Action::page_up:
  case Action::page_down:
  case Action::home:
  case Action::end:
    return move(action);
  case Action::next_panel:
    return focus((static_cast<size_t>(focus_) + 1) % panel_count);
  case Action::previous_panel:
    return focus((static_cast<size_t>(focus_) + panel_count - 1) % panel_count);
  case Action::panel_1:
  case Action::panel_2:
  case Action::panel_3:
  case Action::panel_4:
    return focus(static_cast<size_t>(action) - static_cast<size_t>(Action::panel_1));
  case Action::next_sort:
  case Action::previous_sort:
  case Action::invert_sort:
    return change_sort(action);
  case Action::help:
    mode_ = Mode::help;
    page_ = {};
    return;
  case Action::detail:
    if (table().keys.empty()) return;
    mode_ = Mode::detail;
    page_ = {};
    return;
  case Action::filter:
    mode_ = Mode::filter;
    return;
  case Action::pause:
    pausing_ = !pausing_;
    return;
  case Action::type:
    return type(key.character);
  case Action::erase:
    return erase();
  case Action::accept:
    mode_ = Mode::table;
    return;
  case Action::back:
    return leave();
  default:
    return;
  }
}

void View::select(Table& t, size_t index) {
  if (t.keys.empty()) return;
  t.index = std::min(index, t.keys.size() - 1);
  t.selected = t.keys[t.index];
  t.sticks = t.index != 0;
}

void View::move(Action action) {
  Table& t = table();
  const size_t last = t.keys.empty() ? 0 : t.keys.size() - 1;
  switch (action) {
  case Action::up:
    return select(t, t.index - std::min<size_t>(t.index, 1));
  case Action::down:
    return select(t, t.index + 1);
  case Action::page_up:
    return select(t, t.index - std::min(t.index, t.page));
  case Action::page_down:
    return select(t, t.index + t.page);
  case Action::home:
    return select(t, 0);
  default:
    return select(t, last);
  }
}

void View::scroll(Action action) {
  const size_t most = page_.lines.size() - std::min(page_.lines.size(), page_.page);
  size_t& first = page_.first;
  switch (action) {
  case Action::back:
    mode_ = Mode::table;
    return;
  case Action::up:
    first -= std::min<size_t>(first, 1);
    return;
  case Action::down:
    first = std::min(first + 1, most);
    return;
  case Action::page_up:
    first -= std::min(first, page_.page);
    return;
  case Action::page_down:
    first = std::min(first + page_.page, most);
    return;
  case Action::home:
    first = 0;
    return;
  case Action::end:
    first = most;
    return;
  default:
    return;
  }
}

void View::focus(size_t panel) {
  if (panel < panel_count) focus_ = static_cast<PanelId>(panel);
}

void View::change_sort(Action action) {
  Sort& sort = table().sort;
  if (action == Action::invert_sort) {
    sort.descending = !sort.descending;
    return;
  }
  const auto columns = panel_columns(focus_);
  const auto& shown = table().shown;
  const size_t step = action == Action::next_sort ? 1 : columns.size() - 1;
  for (size_t i = 0; i < columns.size(); ++i) {
    sort.column = (sort.column + step) % columns.size();
    if (std::ranges::find(shown, sort.column) != shown.end()) break;
  }
  sort.descending = columns[sort.column].sorts_descending;
}

// The filter, while or after it is typed; there is nothing else to leave here.
void View::leave() {
  mode_ = Mode::table;
  filter_.clear();
}

void View::type(char32_t character) {
  constexpr size_t longest = 64;
  if (filter_.size() < longest) filter_ += utf8(character);
}

void View::erase() {
  while (!filter_.empty() && (static_cast<unsigned char>(filter_.back()) & 0xc0) == 0x80)
    filter_.pop_back();
  if (!filter_.empty()) filter_.pop_back();
}

// --- screen -------------------------------------------------------------------

std::array<size_t, panel_count> share_rows(const std::array<size_t, panel_count>& needs,
                                           size_t focus, size_t rows) {
  std::array<size_t, panel_count> shares{};
  // The others get a few rows each, if there are as many: enough to see that
  // something is there.
  constexpr size_t glimpse = 4;
  size_t kept = 0;
  for (size_t p = 0; p < panel_count; ++p)
    if (p != focus) kept += std::min(needs[p], glimpse);
  const size_t half = rows / 2;
  shares[focus] = std::min(needs[focus], std::max(half, rows - std::min(rows, kept)));
  size_t left = rows - shares[focus];
  for (size_t p = 0; p < panel_count; ++p) {
    if (p == focus) continue;
    size_t later = 0; // what those below it are to get at least
    for (size_t q = p + 1; q < panel_count; ++q)
      if (q != focus) later += std::min(needs[q], glimpse);
    const size_t room = left - std::min(left, later);
    shares[p] = std::min(needs[p], std::max(room, std::min(left, glimpse)));
    if (shares[p] < std::min(needs[p], least_open)) shares[p] = 0;
    left -= shares[p];
  }
  shares[focus] = std::min(needs[focus], shares[focus] + left);
  return shares;
}

// The selection stays with its row, wherever sorting has put it; but who has
// not gone anywhere wants to see what is on top.
void View::settle(Table& t) {
  const auto at = std::ranges::find(t.keys, t.selected);
  if (!t.sticks)
    t.index = 0;
  else if (at != t.keys.end())
    t.index = static_cast<size_t>(at - t.keys.begin());
  else
    t.index = t.keys.empty() ? 0 : std::min(t.index, t.keys.size() - 1);
  if (!t.keys.empty()) t.selected = t.keys[t.index];
  const size_t most = t.keys.size() - std::min(t.keys.size(), t.page);
  t.first = std::min(t.first, most);
  if (t.index < t.first) t.first = t.index;
  if (t.index >= t.first + t.page) t.first = t.index - t.page + 1;
}

void View::add_panel(std::vector<Line>& lines, PanelId id, Panel& panel, size_t height,
                     size_t width) {
  Table& t = tables_[static_cast<size_t>(id)];
  const bool focused = id == focus_;
  t.keys = std::move(panel.keys);
  t.page = height > 1 ? height - 1 : 1;
  settle(t);

  Line title("─ ", Look::faint);
  title.add(" " + std::to_string(static_cast<size_t>(id) + 1) + " " + panel.title + " ",
            focused ? Look::bar : Look::strong);
  title.add(" ");
  if (t.keys.empty())
    title.add(panel.empty);
  else
    title.add(panel.summary, panel.summary_look);
  std::string range;
  if (!t.keys.empty() && t.keys.size() > t.page && height > 1)
    range = std::to_string(t.first + 1) + "-" +
            std::to_string(std::min(t.first + t.page, t.keys.size())) + " of " +
            std::to_string(t.keys.size());
  const size_t right = range.empty() ? 0 : range.size() + 2;
  title.limit(width - std::min(width, right + 1)).add(" ");
  if (title.width() + right < width) title.fill(width - right, Look::faint, "─");
  if (!range.empty()) title.add(" " + range + " ", Look::faint);
  lines.push_back(std::move(title.limit(width)));
  if (height == 0 || t.keys.empty()) return;

  panel.grid.fit(width);
  t.shown.clear();
  for (size_t c = 0; c < panel_columns(id).size(); ++c)
    if (panel.grid.shows(c)) t.shown.push_back(c);
  lines.push_back(panel.grid.header(t.sort.column, t.sort.descending ? "▼" : "▲"));
  for (size_t i = 0; i + 1 < height && t.first + i < t.keys.size(); ++i) {
    Line line = panel.grid.line(t.first + i);
    if (focused && t.first + i == t.index) line.cover(width, Look::selected);
    lines.push_back(std::move(line));
  }
}

void View::add_panels(std::vector<Line>& lines, const Snapshot& s, Size size) {
  std::array<Panel, panel_count> panels;
  std::array<size_t, panel_count> needs{};
  for (size_t p = 0; p < panel_count; ++p) {
    panels[p] = make_panel(static_cast<PanelId>(p), s, tables_[p].sort, filter_, eyes_);
    needs[p] = panels[p].keys.empty() ? 0 : panels[p].keys.size() + 1;
  }
  const size_t rows = size.rows - std::min(size.rows, lines.size() + 1);
  const size_t focus = static_cast<size_t>(focus_);
  // In a very small window only the focused one is left.
  if (rows < panel_count + least_open)
    return add_panel(lines, focus_, panels[focus], rows - std::min<size_t>(rows, 1), size.columns);
  const auto shares = share_rows(needs, focus, rows - panel_count);
  for (size_t p = 0; p < panel_count; ++p)
    add_panel(lines, static_cast<PanelId>(p), panels[p], shares[p], size.columns);
}

void View::add_page(std::vector<Line>& lines, const Snapshot& s, Size size) {
  if (mode_ == Mode::help) {
    page_.lines = help_lines(size.columns);
  } else {
    auto detail = detail_of(focus_, s, table().selected, size.columns, eyes_);
    // A row that is gone is still what the user reads.
    if (!detail.empty()) page_.lines = std::move(detail);
  }
  page_.page = size.rows - std::min(size.rows, lines.size() + 2);
  page_.page = std::max<size_t>(page_.page, 1);
  const size_t most = page_.lines.size() - std::min(page_.lines.size(), page_.page);
  page_.first = std::min(page_.first, most);
  Line rule("─ ", Look::faint);
  rule.add(mode_ == Mode::help ? " Help " : " Detail ", Look::bar).add(" ");
  if (most != 0)
    rule.add(std::to_string(page_.first + 1) + "-" +
                 std::to_string(std::min(page_.first + page_.page, page_.lines.size())) + " of " +
                 std::to_string(page_.lines.size()) + " lines ",
             Look::faint);
  lines.push_back(std::move(rule.fill(size.columns, Look::faint, "─").limit(size.columns)));
  for (size_t i = 0; i < page_.page && page_.first + i < page_.lines.size(); ++i)
    lines.push_back(page_.lines[page_.first + i]);
}

Line View::footer(size_t width) const {
  struct Hint {
    std::string_view key, text;
  };
  static constexpr Hint in_table[] = {{"F1", "Help"},   {"F10", "Quit"}, {"Enter", "Detail"},
                                      {"F4", "Filter"}, {"F5", "Pause"}, {"F6", "Sort"},
                                      {"Tab", "Panel"}, {"I", "Invert"}};
  static constexpr Hint in_page[] = {{"Esc", "Back"}, {"F10", "Quit"}, {"PgUp PgDn", "Scroll"}};
  Line line;
  if (mode_ == Mode::filter) return line.add("Filter: ", Look::strong).add(plain(filter_));
  const auto add = [&](const auto& hints) {
    for (const Hint& h : hints) {
      if (line.width() + h.key.size() + h.text.size() + 3 > width) continue;
      line.add(line.width() == 0 ? "" : "  ").add(h.key, Look::strong).add(" ").add(h.text);
    }
  };
  if (mode_ != Mode::table) {
    add(in_page);
    return line;
  }
  if (!filter_.empty()) line.add("Filter: " + cut(plain(filter_), width / 3), Look::bar);
  add(in_table);
  return line;
}

Screen View::render(const Snapshot& live, Size size) {
  if (!pausing_) paused_.reset();
  if (pausing_ && !paused_) paused_ = live;
  const Snapshot& s = paused_ ? *paused_ : live;
  Screen screen;
  auto& lines = screen.lines;
  if (size.rows >= 4) lines = head_lines(s, size, pausing_);
  if (mode_ == Mode::detail || mode_ == Mode::help)
    add_page(lines, s, size);
  else
    add_panels(lines, s, size);
  lines.resize(size.rows - std::min<size_t>(size.rows, 1));
  lines.push_back(footer(size.columns));
  if (mode_ == Mode::filter)
    screen.cursor = static_cast<int>(std::min(lines.back().width(), size.columns - 1));
  for (Line& line : lines)
    line.limit(size.columns);
  return screen;
}

} // namespace bindlens::cli::top
