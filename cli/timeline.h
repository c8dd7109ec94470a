#pragma once

#include "output.h"

#include <bindlens/protocol/view.h>

#include <optional>
#include <string>

namespace bindlens::cli {

// What the history does not tell of a span of time, in a line without its newline:
// "the daemon did not run, from 03:05:00.000 to 03:07:12.250".
[[nodiscard]] std::string missing_text(const protocol::EventView& e);

// bindlens events about one port: who took it, who was refused, who gave it back,
// with the time between one line and the next.
class Timeline {
 public:
  explicit Timeline(const Style& style) : style_(style) {}
  // Lines with newlines: the event, after the date when it is another one's.
  [[nodiscard]] std::string lines(const protocol::EventView& e);

 private:
  [[nodiscard]] std::string since_last(protocol::WallNs t);

  Style style_;
  std::string date_;
  std::optional<protocol::WallNs> last_;
};

// The time between two lines: "+12.4 ms", "+3.2 s", "+4 min", "-1.0 s" when the clock
// was set back.
[[nodiscard]] std::string difference_text(int64_t nanoseconds);

} // namespace bindlens::cli
