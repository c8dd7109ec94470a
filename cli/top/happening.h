#pragma once

// What the event stream says, as far as this view counts it.

#include <bindlens/protocol/view.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace bindlens::cli::top {

enum class Kind : uint8_t { bind, listen, connect, release, fail, gap, audit, other };
inline constexpr size_t counted_kinds = 5; // bind to fail

struct Happening {
  Kind kind = Kind::other; // bind: also automatic ones
  protocol::WallNs time = 0;
  uint32_t pid = 0; // who called; 0 = not known
  std::string comm;
  std::shared_ptr<const protocol::FailureView> failure; // fail
  uint64_t lost = 0;                                    // gap
  bool by_reader = false; // gap: lost on the way to this program, not in the daemon
};

// One line of /v1/events.
[[nodiscard]] Result<Happening> read_happening(std::string_view line);

// The same for the events that come by the ten thousand, out of a line in
// exactly the shape in which the daemon writes it; nullopt for any other.
[[nodiscard]] std::optional<Happening> scan_happening(std::string_view line);

} // namespace bindlens::cli::top
