#pragma once

#include <bindlens/util/result.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bindlens::protocol {

// A query parameter, decoded, in the order of the URL.
using Parameter = std::pair<std::string, std::string>;

struct Target {
  std::string path; // as sent: the paths of the API need no escapes
  std::vector<Parameter> parameters;
};

// Takes the target of a request apart: "/v1/sockets?port=80", also in absolute
// form ("http://localhost/v1/…"). "+" stands for itself, so that times with an
// offset can be written as they are. Fails on a broken %-escape.
[[nodiscard]] Result<Target> parse_target(std::string_view target);

// "/v1/sockets" and {{"port", "80"}} to "/v1/sockets?port=80".
[[nodiscard]] std::string make_target(std::string_view path,
                                      const std::vector<Parameter>& parameters);

} // namespace bindlens::protocol
