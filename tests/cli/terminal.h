#pragma once

#include "program.h"

namespace bindlens::test {

// Keys that are typed once this text is on the screen.
struct Typing {
  std::string after, keys;
};

// Runs the program on a terminal of 24 lines and 80 columns of its own, TERM
// being xterm, in a session of which it is the controlling one. What the terminal
// was sent is in `out`, standard error included, with "\n" for "\r\n". Killed
// after twenty seconds.
[[nodiscard]] Outcome run_on_terminal(const std::vector<std::string>& arguments,
                                      const Environment& environment = {},
                                      const Typing& typing = {});

} // namespace bindlens::test
