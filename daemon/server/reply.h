#pragma once

#include <bindlens/protocol/query.h>
#include <bindlens/util/result.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace bindlens::server {

// Produces a long body piece by piece, so that a long answer never holds up the
// event loop. Belongs to one response.
class Source {
 public:
  enum class State : uint8_t {
    more,    // call again
    waiting, // nothing now: `ready` is called when there is
    done,
  };
  virtual ~Source() = default;
  // Appends about `slice` bytes, in whole lines.
  virtual State fill(std::string& out, size_t slice) = 0;
  // Sets what to call, once, when a waiting source has something again; calls
  // it at once when it has already.
  virtual void on_ready(std::function<void()>) {}
};

// An answer before it becomes HTTP: either `body` or `source`.
struct Reply {
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::unique_ptr<Source> source;
  std::string_view allow; // 405: the methods that exist
};

[[nodiscard]] Reply json_reply(std::string body);
[[nodiscard]] Reply list_reply(std::unique_ptr<Source> source);
[[nodiscard]] Reply error_reply(unsigned status, std::string_view text,
                                std::string_view field = {});
[[nodiscard]] Reply error_reply(const protocol::FieldError& e); // 400
// What the daemon could not do: 400 for EINVAL, 404 for ENOENT and for what this
// version has not (ENOSYS, EOPNOTSUPP), else 503.
[[nodiscard]] Reply error_reply(const Error& e);

// Status line and headers, with the empty line at the end. A body without a
// length is chunked, or ends with the connection for HTTP/1.0.
struct Framing {
  bool chunked = false;
  bool keep_alive = true;
  bool has_length = true;
};
[[nodiscard]] std::string head_of(const Reply& r, const Framing& f);

} // namespace bindlens::server
