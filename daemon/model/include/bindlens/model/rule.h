#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace bindlens::model {

// Why the kernel refused. The names are part of the interface (bindlens(1),
// RULES); see daemon/rules for the decisions themselves.
enum class Rule : uint8_t {
  none, // not refused, or not known
  listener,
  holder_no_reuseaddr,
  requester_no_reuseaddr,
  holder_no_reuseport,
  requester_no_reuseport,
  reuseport_uid,
  time_wait,
  connected_child,
  bucket_connect_only,
  udp_no_reuse,
  udp_reuseport_uid,
  ephemeral_exhausted,
  tuple_in_use,
  privileged_port,
  address_not_local,
  already_bound,
  reserved_port,
  policy,
  invalid_argument,
};

// How the holder's address covers the requested one.
enum class Relation : uint8_t {
  none,
  same,
  holder_is_wildcard,
  requester_is_wildcard,
  v6_wildcard_covers_v4,
  v4_mapped,
};

[[nodiscard]] std::string_view to_string(Rule r);     // "holder-no-reuseaddr", "" for none
[[nodiscard]] std::string_view to_string(Relation r); // "holder-is-wildcard", "" for none
[[nodiscard]] std::optional<Rule> parse_rule(std::string_view text);

} // namespace bindlens::model
