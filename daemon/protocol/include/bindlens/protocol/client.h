#pragma once

// The client of the daemon's HTTP API on its Unix socket. Blocking.

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace bindlens::protocol {

inline constexpr std::string_view default_socket_path = "/run/bindlens/bindlens.sock";

struct ClientError {
  enum class Kind : uint8_t {
    unreachable, // no daemon there, or it went away
    forbidden,   // no permission on the socket
    refused,     // the daemon answered with an error
    malformed,   // the answer is no HTTP
  };
  Kind kind = Kind::unreachable;
  std::string text;    // whole sentence, with the remedy where there is one
  std::string field;   // refused: the parameter at fault, may be empty
  unsigned status = 0; // refused: HTTP status
};

class Client {
 public:
  // Fails with `unreachable` or `forbidden`.
  [[nodiscard]] static std::expected<Client, ClientError> connect(const std::string& path);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // Gets the body in pieces of any size as they arrive; returns false to stop
  // the transfer, which is no error and leaves the client unusable.
  using Sink = std::function<bool(std::string_view)>;

  // Sends one request and hands the body of a 200 to `sink`. Any other status
  // is `refused`, with the daemon's own words.
  [[nodiscard]] std::expected<void, ClientError> get(std::string_view target, const Sink& sink);
  [[nodiscard]] std::expected<void, ClientError> post(std::string_view target,
                                                      std::string_view json, const Sink& sink);

  // From another thread: a transfer under way fails with `unreachable`, and
  // nothing more can be asked.
  void abort();

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

} // namespace bindlens::protocol
