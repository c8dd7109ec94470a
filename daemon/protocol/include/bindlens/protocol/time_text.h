#pragma once

#include <bindlens/util/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace bindlens::protocol {

// Nanoseconds since 1970 (CLOCK_REALTIME).
using WallNs = int64_t;

// "2026-03-01T03:11:07.482113905Z": RFC 3339, UTC, always nine digits.
void append_rfc3339(std::string& out, WallNs t);
[[nodiscard]] std::string to_rfc3339(WallNs t);

// A point in time as journalctl takes it, seen from `now`:
//   2026-03-01T03:11:07.5Z    RFC 3339, with Z or +02:00
//   2026-03-01 [03:11[:07]]   local time
//   03:11[:07]                today, local time
//   10m, 2h, 1h30m, -3d       that long ago (s, m, h, d, w, or min, hours, …)
//   now, today, yesterday     the latter two at 00:00 local time
// The error names the text and what is accepted.
[[nodiscard]] Result<WallNs> parse_time(std::string_view text, WallNs now);

} // namespace bindlens::protocol
