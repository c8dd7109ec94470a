#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace bindlens {

// What went wrong, for a person: `text` is a whole sentence without a final
// dot; `code` is the errno behind it or 0; `field` names the part of a request
// that is wrong, where there is one.
struct Error {
  std::string text;
  int code = 0;
  std::string field{};
};

// The result of anything that can fail:
//
//   Result<Fd> fd = open_netns(path);
//   if (!fd) return fail(fd.error(), "namespace web-1");
//   use(*fd);
template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(std::string text, int code = 0) {
  return std::unexpected(Error{std::move(text), code});
}

// "context: error"
[[nodiscard]] inline std::unexpected<Error> fail(const Error& cause, std::string_view context) {
  return std::unexpected(Error{std::string(context) + ": " + cause.text, cause.code, cause.field});
}

// "context: strerror(code)"
[[nodiscard]] inline std::unexpected<Error> fail_errno(std::string_view context, int code = errno) {
  return std::unexpected(
      Error{std::string(context) + ": " + std::generic_category().message(code), code});
}

} // namespace bindlens
