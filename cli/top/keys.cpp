#include "keys.h"

#include <algorithm>
#include <initializer_list>

namespace bindlens::cli::top {
namespace {

struct Binding {
  Key key;
  Action action;
};

constexpr Binding on(Special special, Action action) {
  return {{.special = special, .character = 0}, action};
}
constexpr Binding on(char32_t character, Action action) {
  return {{.special = Special::none, .character = character}, action};
}

// In every mode but while a filter is typed.
constexpr Binding everywhere[] = {
    on(Special::up, Action::up),           on(U'k', Action::up),
    on(Special::down, Action::down),       on(U'j', Action::down),
    on(Special::page_up, Action::page_up), on(Special::page_down, Action::page_down),
    on(Special::home, Action::home),       on(U'g', Action::home),
    on(Special::end, Action::end),         on(U'G', Action::end),
    on(Special::f10, Action::quit),        on(Special::redraw, Action::redraw),
};

constexpr Binding table[] = {
    on(U'q', Action::quit),
    on(Special::f1, Action::help),
    on(U'?', Action::help),
    on(U'h', Action::help),
    on(Special::f3, Action::filter),
    on(U'/', Action::filter),
    on(Special::f4, Action::filter),
    on(U'\\', Action::filter),
    on(Special::f5, Action::pause),
    on(U'p', Action::pause),
    on(U' ', Action::pause),
    on(U'Z', Action::pause),
    on(Special::f6, Action::next_sort),
    on(U's', Action::next_sort),
    on(U'>', Action::next_sort),
    on(U'.', Action::next_sort),
    on(U'<', Action::previous_sort),
    on(U',', Action::previous_sort),
    on(U'I', Action::invert_sort),
    on(U'r', Action::invert_sort),
    on(Special::enter, Action::detail),
    on(Special::right, Action::next_panel),
    on(Special::tab, Action::next_panel),
    on(Special::left, Action::previous_panel),
    on(Special::back_tab, Action::previous_panel),
    on(U'1', Action::panel_1),
    on(U'2', Action::panel_2),
    on(U'3', Action::panel_3),
    on(U'4', Action::panel_4),
    on(Special::escape, Action::back),
};

constexpr Binding page[] = {
    on(U'q', Action::back),
    on(Special::escape, Action::back),
    on(Special::enter, Action::back),
    on(Special::left, Action::back),
    on(Special::backspace, Action::back),
    on(U' ', Action::page_down),
    on(Special::f1, Action::back),
    on(U'?', Action::back),
    on(U'h', Action::back),
};

constexpr Binding typing[] = {
    on(Special::escape, Action::back),     on(Special::enter, Action::accept),
    on(Special::backspace, Action::erase), on(Special::f10, Action::quit),
    on(Special::up, Action::up),           on(Special::down, Action::down),
    on(Special::redraw, Action::redraw),
};

template <typename Bindings>
Action find(const Bindings& bindings, Key key) {
  const auto* const found = std::ranges::find(bindings, key, &Binding::key);
  return found == std::end(bindings) ? Action::none : found->action;
}

} // namespace

Action action_of(Key key, Mode mode) {
  if (mode == Mode::filter) {
    const bool printable =
        key.special == Special::none && key.character >= 0x20 && key.character != 0x7f;
    return printable ? Action::type : find(typing, key);
  }
  const Action own = mode == Mode::table ? find(table, key) : find(page, key);
  return own != Action::none ? own : find(everywhere, key);
}

const std::vector<KeyHelp>& key_help() {
  static const std::vector<KeyHelp> help = {
      {"Up Down  k j", "select a row"},
      {"PgUp PgDn", "a page up, a page down"},
      {"Home End  g G", "the first row, the last row"},
      {"Tab  Left Right", "the next panel, the previous one; also 1 2 3 4"},
      {"Enter", "everything about the selected row; Esc leads back"},
      {"F4  / \\", "show only rows that contain a text; Esc ends it"},
      {"F6  < >  s", "sort by the next column, or the previous one"},
      {"I  r", "sort the other way round"},
      {"F5  p Space", "pause: the screen stays as it is, counting goes on"},
      {"Ctrl-L", "draw the screen anew"},
      {"F1  ? h", "this help"},
      {"F10  q", "quit"},
  };
  return help;
}

} // namespace bindlens::cli::top
