#pragma once

#include "commands.h"

#include <bindlens/protocol/client.h>

#include <expected>
#include <functional>
#include <string>
#include <string_view>

namespace bindlens::cli {

// Each of these sends one request. On failure the reason has been written to
// standard error and the exit code is the error.
using Fetched = std::expected<void, int>;

// The body goes straight to the output, as it arrives.
[[nodiscard]] Fetched copy_answer(const Common& common, std::string_view target);
// Calls `line` for each line without its newline, until it returns false, and
// `pause`, if given, whenever all that has arrived has been handed over.
[[nodiscard]] Fetched for_each_line(const Common& common, std::string_view target,
                                    const std::function<bool(std::string_view)>& line,
                                    const std::function<void()>& pause = {});
[[nodiscard]] std::expected<std::string, int> fetch_document(const Common& common,
                                                             std::string_view target);
[[nodiscard]] std::expected<std::string, int>
post_document(const Common& common, std::string_view target, std::string_view body);

// "bindlens: text" on standard error; returns `code`.
int complain(int code, std::string_view text);
// Writes out what is buffered. `code`, unless the output failed.
int finish(const Common& common, int code);

} // namespace bindlens::cli
