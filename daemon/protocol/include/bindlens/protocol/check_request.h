#pragma once

#include <bindlens/protocol/query.h>
#include <bindlens/protocol/types.h>

#include <expected>
#include <string_view>

namespace bindlens::protocol {

// Reads the body of POST /v1/check. A user given by name goes through
// `resolve_user`. The error's field is the member that is wrong, or empty when
// the body is no JSON object.
[[nodiscard]] std::expected<CheckRequest, FieldError>
parse_check_request(std::string_view json,
                    const std::function<Result<uint32_t>(std::string_view)>& resolve_user);

// What `bindlens check` was asked, before it is sent. `addr_port` is
// "192.0.2.1:80", "[::1]:80" or "*:80". Errors name "PROTO" or "ADDR:PORT".
struct CheckArguments {
  std::string proto, addr_port;
  bool reuseaddr = false, reuseport = false, listen = false, freebind = false, transparent = false;
  std::optional<bool> v6only;
  std::string uid, dev, netns, os; // empty: not given
};
// The body that parse_check_request() reads.
[[nodiscard]] std::expected<std::string, FieldError> check_body(const CheckArguments& a);

// Operating systems whose rules `os` selects.
inline constexpr std::string_view os_profiles[] = {"linux",   "linux-pre-3.9", "bsd",   "freebsd",
                                                   "openbsd", "netbsd",        "macos", "ios"};

} // namespace bindlens::protocol
