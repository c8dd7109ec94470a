#pragma once

#include <bindlens/rules/engine.h>

#include <optional>
#include <string_view>

namespace bindlens::rules {

// Whose rules to apply. `linux_now` is the running kernel; the others are the
// well-known account of what these systems do, and look at nothing but
// addresses, options, states and, for linux_pre_3_9, at listeners.
enum class Profile : uint8_t {
  linux_now,
  linux_pre_3_9,
  bsd,
  freebsd,
  openbsd,
  netbsd,
  macos,
  ios,
};

[[nodiscard]] std::string_view to_string(Profile p); // "linux", "linux-pre-3.9", …
[[nodiscard]] std::optional<Profile> parse_profile(std::string_view text);
// "linux, linux-pre-3.9, bsd, …" for messages.
[[nodiscard]] std::string_view profile_names();

// SO_REUSEPORT came to Linux with 3.9.
[[nodiscard]] bool has_reuseport(Profile p);

// decide() under the rules of `p`. Addresses, privileges and port searches are
// those of Linux; what differs is which holders refuse.
[[nodiscard]] Verdict decide(Profile p, const Request& request, const model::PortView& view,
                             const HostFacts& facts, const Variants& variants);

} // namespace bindlens::rules
