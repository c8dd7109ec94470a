#pragma once

#include "context.h"
#include "reply.h"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace bindlens::server {

// One connection: request, answer, next request, in this order (a client may
// send several requests ahead). Lives as long as something is under way on it.
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Socket = boost::asio::local::stream_protocol::socket;

  Session(Socket socket, std::shared_ptr<Context> context);
  ~Session();

  void start();
  // Ends the connection at once. Safe to call at any time.
  void close();
  // When it began to wait for a request; nullopt while it works on one.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> idle_since() const {
    return idle_since_;
  }

 private:
  using ErrorCode = boost::system::error_code;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void read_request();
  void on_request(ErrorCode ec);
  void refuse(ErrorCode ec);
  void answer(Reply reply);
  void send_body();
  void send_slice();
  void on_slice(ErrorCode ec, Source::State state);
  void wait_for_source();
  void watch_for_close();
  void finish();
  void linger();
  template <typename Handler>
  void write_frame(Handler handler);

  boost::beast::basic_stream<boost::asio::local::stream_protocol> stream_;
  std::shared_ptr<Context> context_;
  Peer peer_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_; // of the current request
  Reply reply_;
  Framing framing_;
  bool head_only_ = false;
  bool chunked_allowed_ = true; // HTTP/1.1
  bool watching_ = false;
  size_t lingered_ = 0; // bytes thrown away after a refusal
  std::string frame_;   // what is being written
  std::optional<std::chrono::steady_clock::time_point> idle_since_;
};

} // namespace bindlens::server
