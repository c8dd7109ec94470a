#include <bindlens/protocol/client.h>
#include <bindlens/util/result.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <optional>
#include <vector>

namespace bindlens::protocol {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Kind = ClientError::Kind;

constexpr size_t read_size = 256 * 1024;
constexpr size_t error_body_limit = 64 * 1024;

std::unexpected<ClientError> error(Kind kind, std::string text) {
  return std::unexpected(ClientError{kind, std::move(text), {}, 0});
}

bool is_socket(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISSOCK(st.st_mode);
}

// Why connect() failed and what to do about it.
std::unexpected<ClientError> connect_error(const std::string& path, const error_code& ec) {
  const std::string at = " at " + path;
  switch (ec.value()) {
  case ENOENT:
  case ENOTDIR:
    return error(Kind::unreachable, "no daemon" + at +
                                        ": there is no such socket. Start it with 'systemctl start "
                                        "bindlensd', or name another socket with --socket");
  case ECONNREFUSED:
    if (!is_socket(path))
      return error(Kind::unreachable, "no daemon" + at + ": that file is not a socket");
    return error(Kind::unreachable,
                 "no daemon" + at +
                     ": the socket was left behind by one that has ended. Start it "
                     "again with 'systemctl start bindlensd'");
  case EACCES:
  case EPERM:
    return error(Kind::forbidden, "permission denied" + at +
                                      ": join the group 'bindlens' (usermod -aG bindlens USER, "
                                      "then log in again) or use sudo");
  default:
    return error(Kind::unreachable, "cannot connect to the daemon" + at + ": " + ec.message());
  }
}

std::unexpected<ClientError> transfer_error(const error_code& ec) {
  static const auto& http_errors = http::make_error_code(http::error::bad_version).category();
  if (ec.category() == http_errors && ec != http::error::partial_message)
    return error(Kind::malformed, "the answer is no HTTP: " + ec.message());
  return error(Kind::unreachable, "the daemon went away in the middle of the answer");
}

// The daemon's {"error":…,"field":…}, or the bare status.
std::unexpected<ClientError> refusal(unsigned status, const std::string& body) {
  ClientError e{
      Kind::refused, "the daemon answered with HTTP status " + std::to_string(status), {}, status};
  const auto document = nlohmann::json::parse(body, nullptr, false);
  if (document.is_object()) {
    e.text = document.value("error", e.text);
    e.field = document.value("field", std::string());
  }
  return std::unexpected(std::move(e));
}

} // namespace

struct Client::Impl {
  asio::io_context io;
  asio::local::stream_protocol::socket socket{io};
  beast::flat_buffer buffer;

  std::expected<void, ClientError> exchange(const http::request<http::string_body>& request,
                                            const Sink& sink);
  // False when the sink wants no more.
  std::expected<bool, ClientError> transfer(http::response_parser<http::buffer_body>& parser,
                                            const Sink& sink);
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

std::expected<Client, ClientError> Client::connect(const std::string& path) {
  constexpr size_t longest = sizeof(sockaddr_un::sun_path) - 1;
  if (path.empty()) return error(Kind::unreachable, "the path of the socket is empty");
  if (path.size() > longest)
    return error(Kind::unreachable, "the path of the socket has " + std::to_string(path.size()) +
                                        " bytes, the kernel takes " + std::to_string(longest) +
                                        ": choose a shorter one");
  auto impl = std::make_unique<Impl>();
  error_code ec;
  impl->socket.connect(asio::local::stream_protocol::endpoint(path), ec);
  if (ec) return connect_error(path, ec);
  return Client(std::move(impl));
}

void Client::abort() {
  // Not close(): the other thread still uses the number.
  ::shutdown(impl_->socket.native_handle(), SHUT_RDWR);
}

std::expected<bool, ClientError>
Client::Impl::transfer(http::response_parser<http::buffer_body>& parser, const Sink& sink) {
  std::vector<char> piece(read_size);
  auto& body = parser.get().body();
  while (!parser.is_done()) {
    body.data = piece.data();
    body.size = piece.size();
    error_code ec;
    http::read_some(socket, buffer, parser, ec);
    if (ec == http::error::need_buffer) ec = {};
    if (ec) return transfer_error(ec);
    const size_t filled = piece.size() - body.size;
    if (filled != 0 && !sink({piece.data(), filled})) return false;
  }
  return true;
}

std::expected<void, ClientError>
Client::Impl::exchange(const http::request<http::string_body>& request, const Sink& sink) {
  error_code ec;
  http::write(socket, request, ec);
  // A daemon that refuses the request may answer and close before it has read
  // everything: the answer is worth more than the write error.
  const bool sent = !ec;
  buffer.reserve(read_size);
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  http::read_header(socket, buffer, parser, ec);
  if (ec) {
    if (!sent || ec == http::error::end_of_stream)
      return error(Kind::unreachable, "the daemon closed the connection without an answer");
    return transfer_error(ec);
  }
  const unsigned status = parser.get().result_int();
  if (status == 200) {
    const auto done = transfer(parser, sink);
    if (!done) return std::unexpected(done.error());
    return {};
  }
  std::string text;
  const auto done = transfer(parser, [&](std::string_view piece) {
    text += piece;
    return text.size() <= error_body_limit;
  });
  if (!done) return std::unexpected(done.error());
  return refusal(status, text);
}

namespace {

http::request<http::string_body> make_request(http::verb method, std::string_view target) {
  http::request<http::string_body> r(method, {target.data(), target.size()}, 11);
  r.set(http::field::host, "localhost");
  r.set(http::field::user_agent, "bindlens/" BINDLENS_VERSION);
  return r;
}

} // namespace

std::expected<void, ClientError> Client::get(std::string_view target, const Sink& sink) {
  return impl_->exchange(make_request(http::verb::get, target), sink);
}

std::expected<void, ClientError> Client::post(std::string_view target, std::string_view json,
                                              const Sink& sink) {
  auto request = make_request(http::verb::post, target);
  request.set(http::field::content_type, "application/json");
  request.body() = json;
  request.prepare_payload();
  return impl_->exchange(request, sink);
}

} // namespace bindlens::protocol
