#include "terminal.h"

#include <unistd.h>

// Apart from the rest: they define macros such as "tab" and "lines".
#include <curses.h>
#include <term.h>

namespace bindlens::cli::top {

Result<void> check_terminal_type(const char* term) {
  const std::string name = term == nullptr ? "" : term;
  if (name.empty())
    return fail("TERM is not set: say what your terminal is, e.g. TERM=xterm-256color");
  int status = 0;
  if (::setupterm(name.c_str(), STDOUT_FILENO, &status) != OK)
    return fail("nothing is known about the terminal type TERM='" + name +
                "': set one that is, e.g. TERM=xterm-256color");
  const char* move_cursor = ::tigetstr("cup");
  if (move_cursor == nullptr || move_cursor == reinterpret_cast<const char*>(-1))
    return fail("a terminal of the type TERM='" + name +
                "' has no screen to draw on; use 'bindlens events --follow'");
  return {};
}

} // namespace bindlens::cli::top
