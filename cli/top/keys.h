#pragma once

// What a key does. Those of htop, and the ones that people try first.

#include <cstdint>
#include <string_view>
#include <vector>

namespace bindlens::cli::top {

// A key as the terminal tells it: a character, or one of these.
enum class Special : uint8_t {
  none,
  up,
  down,
  left,
  right,
  page_up,
  page_down,
  home,
  end,
  enter,
  escape,
  backspace,
  tab,
  back_tab,
  f1,
  f2,
  f3,
  f4,
  f5,
  f6,
  f7,
  f8,
  f9,
  f10,
  redraw,
};

struct Key {
  Special special = Special::none;
  char32_t character = 0; // when special is none
  bool operator==(const Key&) const = default;
};

enum class Action : uint8_t {
  none,
  quit,
  help,
  up,
  down,
  page_up,
  page_down,
  home,
  end,
  next_panel,
  previous_panel,
  panel_1,
  panel_2,
  panel_3,
  panel_4,
  detail,
  back,   // out of what is open
  filter, // begin to type one
  next_sort,
  previous_sort,
  invert_sort,
  pause,
  redraw,
  erase,
  accept,
  type, // while a filter is typed
};

enum class Mode : uint8_t { table, detail, help, filter };

[[nodiscard]] Action action_of(Key key, Mode mode);

// The keys of the table, in the order of the help.
struct KeyHelp {
  std::string_view keys, text;
};
[[nodiscard]] const std::vector<KeyHelp>& key_help();

} // namespace bindlens::cli::top
