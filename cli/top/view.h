#pragma once

#include "keys.h"
#include "panels.h"

#include <array>
#include <optional>
#include <string>

namespace bindlens::cli::top {

// What the user looks at: keys in, a screen out. Knows no terminal.
class View {
 public:
  explicit View(Eyes eyes);

  // False when it is time to quit.
  bool press(Key key);
  // Of what is known now, unless it is paused.
  [[nodiscard]] Screen render(const Snapshot& live, Size size);
  [[nodiscard]] Mode mode() const { return mode_; }

 private:
  struct Table {
    Sort sort;
    std::string selected; // key of the row
    size_t index = 0;     // where it was
    bool sticks = false;  // the selection to its row, else to the first place
    size_t first = 0;     // row at the top
    // As last drawn, which is what the keys mean.
    std::vector<std::string> keys;
    std::vector<size_t> shown; // columns
    size_t page = 1;
  };

  // A page that stands in the place of the panels.
  struct Page {
    std::vector<Line> lines;
    size_t first = 0, page = 1;
  };

  [[nodiscard]] Table& table() { return tables_[static_cast<size_t>(focus_)]; }
  void act(Action action, Key key);
  void move(Action action);
  void scroll(Action action);
  void select(Table& t, size_t index);
  void focus(size_t panel);
  void change_sort(Action action);
  void leave();
  void type(char32_t character);
  void erase();

  static void settle(Table& t);
  void add_panels(std::vector<Line>& lines, const Snapshot& s, Size size);
  void add_panel(std::vector<Line>& lines, PanelId id, Panel& panel, size_t height, size_t width);
  void add_page(std::vector<Line>& lines, const Snapshot& s, Size size);
  [[nodiscard]] Line footer(size_t width) const;

  Eyes eyes_;
  Mode mode_ = Mode::table;
  PanelId focus_ = PanelId::failures;
  std::array<Table, panel_count> tables_;
  std::string filter_;
  Page page_;
  bool pausing_ = false;
  std::optional<Snapshot> paused_;
};

// How many rows each panel gets, its title not counted: the focused one what it
// needs, the others what is left. `needs` counts column titles, too.
[[nodiscard]] std::array<size_t, panel_count>
share_rows(const std::array<size_t, panel_count>& needs, size_t focus, size_t rows);

[[nodiscard]] std::vector<Line> help_lines(size_t width);

} // namespace bindlens::cli::top
