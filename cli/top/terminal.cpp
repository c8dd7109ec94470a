#include "terminal.h"

#include <clocale>
#include <cstdlib>
#include <cwchar>
#include <langinfo.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

// After everything else, and without its macros with everyday names.
#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1
#include <curses.h>

namespace bindlens::cli::top {
namespace {

enum Pair : short { red = 1, yellow, green };

// Every character in one column: what takes two, or none, would push the rest
// of the line out of place.
std::wstring one_column_each(const std::string& text) {
  std::wstring out;
  std::mbstate_t state{};
  for (size_t i = 0; i < text.size();) {
    wchar_t c = 0;
    const size_t n = std::mbrtowc(&c, text.data() + i, text.size() - i, &state);
    if (n == 0 || n > text.size() - i) { // no UTF-8
      out += L'?';
      state = {};
      ++i;
      continue;
    }
    out += ::wcwidth(c) == 1 ? c : L'?';
    i += n;
  }
  return out;
}

Special special_of(int code) {
  switch (code) {
  case KEY_UP:
    return Special::up;
  case KEY_DOWN:
    return Special::down;
  case KEY_LEFT:
    return Special::left;
  case KEY_RIGHT:
    return Special::right;
  case KEY_PPAGE:
    return Special::page_up;
  case KEY_NPAGE:
    return Special::page_down;
  case KEY_HOME:
  case KEY_FIND:
    return Special::home;
  case KEY_END:
  case KEY_SELECT:
    return Special::end;
  case KEY_ENTER:
    return Special::enter;
  case KEY_BACKSPACE:
    return Special::backspace;
  case KEY_BTAB:
    return Special::back_tab;
  default:
    break;
  }
  if (code >= KEY_F(1) && code <= KEY_F(10))
    return static_cast<Special>(static_cast<int>(Special::f1) + code - KEY_F(1));
  return Special::none;
}

Special control_of(wint_t c) {
  switch (c) {
  case L'\n':
  case L'\r':
    return Special::enter;
  case L'\t':
    return Special::tab;
  case 0x1b:
    return Special::escape;
  case 0x7f:
  case 0x08:
    return Special::backspace;
  case 0x0c:
    return Special::redraw;
  default:
    return Special::none;
  }
}

} // namespace

Result<std::unique_ptr<Terminal>> Terminal::open(bool color) {
  std::setlocale(LC_CTYPE, "");
  if (const auto usable = check_terminal_type(std::getenv("TERM")); !usable)
    return std::unexpected(usable.error());
  return std::unique_ptr<Terminal>(new Terminal(color));
}

Terminal::Terminal(bool color) : utf8_(std::string_view(::nl_langinfo(CODESET)) == "UTF-8") {
  ::initscr();
  ::cbreak();
  ::noecho();
  ::nonl();
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::set_escdelay(50); // the parts of a key may come apart on a slow line
  ::curs_set(0);
  if (color && ::has_colors() && ::start_color() == OK && ::use_default_colors() == OK) {
    ::init_pair(red, COLOR_RED, -1);
    ::init_pair(yellow, COLOR_YELLOW, -1);
    ::init_pair(green, COLOR_GREEN, -1);
    color_ = true;
  }
}

Terminal::~Terminal() {
  leave();
}

void Terminal::leave() {
  if (away_) return;
  ::curs_set(1);
  ::endwin();
  away_ = true;
}

Size Terminal::size() const {
  return {static_cast<size_t>(::getmaxx(stdscr)), static_cast<size_t>(::getmaxy(stdscr))};
}

void Terminal::resize() {
  winsize now{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &now) == 0 && now.ws_row > 0 && now.ws_col > 0)
    ::resizeterm(now.ws_row, now.ws_col);
  ::clearok(stdscr, TRUE);
}

void Terminal::resume() {
  ::reset_prog_mode();
  away_ = false;
  resize(); // nobody tells a stopped program of that
}

unsigned Terminal::attributes(Look look) const {
  const auto colored = [&](Pair pair, unsigned plain) {
    return color_ ? static_cast<unsigned>(COLOR_PAIR(pair)) : plain;
  };
  switch (look) {
  case Look::plain:
    return A_NORMAL;
  case Look::strong:
    return A_BOLD;
  case Look::faint:
    return A_DIM;
  case Look::critical:
    return colored(red, A_NORMAL) | A_BOLD;
  case Look::warning:
    return colored(yellow, A_NORMAL);
  case Look::good:
    return colored(green, A_NORMAL);
  case Look::selected:
  case Look::bar:
    return A_REVERSE;
  }
  return A_NORMAL;
}

void Terminal::put(int row, const Line& line) const {
  ::move(row, 0);
  for (const Span& span : line.spans()) {
    ::attrset(static_cast<int>(attributes(span.look)));
    const std::wstring text = one_column_each(utf8_ ? span.text : to_ascii(span.text));
    ::addnwstr(text.data(), static_cast<int>(text.size()));
  }
  ::attrset(A_NORMAL);
}

void Terminal::draw(const Screen& screen) {
  ::erase();
  for (size_t row = 0; row < screen.lines.size(); ++row)
    put(static_cast<int>(row), screen.lines[row]);
  if (screen.cursor >= 0) ::move(::getmaxy(stdscr) - 1, screen.cursor);
  ::curs_set(screen.cursor >= 0 ? 1 : 0);
  ::refresh();
}

std::optional<Key> Terminal::next_key() {
  wint_t code = 0;
  const int kind = ::get_wch(&code);
  if (kind == ERR) return std::nullopt;
  if (kind == KEY_CODE_YES)
    return Key{.special = special_of(static_cast<int>(code)), .character = 0};
  const Special control = control_of(code);
  if (control != Special::none) return Key{.special = control, .character = 0};
  return Key{.special = Special::none, .character = static_cast<char32_t>(code)};
}

} // namespace bindlens::cli::top
