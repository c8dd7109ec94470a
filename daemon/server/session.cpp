#include "session.h"

#include "handlers.h"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>

#include <sys/socket.h>

#include <charconv>

namespace bindlens::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

Peer peer_of(int fd) {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return {};
  return {.pid = static_cast<uint32_t>(who.pid), .uid = who.uid};
}

// The length in front of a chunk has a fixed width, so that the chunk can be
// written behind it before its length is known.
constexpr size_t chunk_digits = 8;
constexpr std::string_view chunk_head = "00000000\r\n";
constexpr std::string_view last_chunk = "0\r\n\r\n";

void patch_chunk_length(std::string& frame, size_t head_at) {
  size_t length = frame.size() - head_at - chunk_head.size();
  for (size_t i = chunk_digits; i-- > 0; length /= 16)
    frame[head_at + i] = "0123456789abcdef"[length % 16];
}

} // namespace

Session::Session(Socket socket, std::shared_ptr<Context> context)
    : stream_(std::move(socket)), context_(std::move(context)),
      peer_(peer_of(stream_.socket().native_handle())) {
  context_->sessions.insert(this);
}

Session::~Session() {
  context_->sessions.erase(this);
}

void Session::start() {
  read_request();
}

void Session::close() {
  idle_since_.reset();
  reply_.source.reset();
  stream_.close();
}

void Session::read_request() {
  idle_since_ = std::chrono::steady_clock::now();
  const Limits& limits = context_->options.limits;
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(limits.header));
  parser_->body_limit(limits.body);
  stream_.expires_after(limits.request_timeout);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](ErrorCode ec, size_t) { self->on_request(ec); });
}

void Session::on_request(ErrorCode ec) {
  idle_since_.reset();
  if (ec) return refuse(ec);
  const auto& request = parser_->get();
  framing_ = {};
  framing_.keep_alive = request.keep_alive();
  head_only_ = request.method() == http::verb::head;
  chunked_allowed_ = request.version() >= 11;
  const auto method = request.method_string();
  const auto target = request.target();
  // The backend may answer from inside the call: the stack must not grow with
  // every request that a client has sent ahead.
  auto later = [self = shared_from_this()](Reply reply) {
    auto held = std::make_shared<Reply>(std::move(reply));
    asio::post(self->stream_.get_executor(), [self, held] { self->answer(std::move(*held)); });
  };
  dispatch({.method = {method.data(), method.size()},
            .target = {target.data(), target.size()},
            .body = request.body(),
            .peer = peer_},
           context_, std::move(later));
}

// A request that could not be read. A client that has gone, or has sent nothing
// in time, gets no answer.
void Session::refuse(ErrorCode ec) {
  static const auto& http_errors = http::make_error_code(http::error::bad_version).category();
  if (ec.category() != http_errors || ec == http::error::end_of_stream ||
      ec == http::error::partial_message)
    return close();
  framing_ = {};
  framing_.keep_alive = false;
  head_only_ = false;
  const Limits& limits = context_->options.limits;
  if (ec == http::error::body_limit)
    return answer(
        error_reply(413, "the body is longer than " + std::to_string(limits.body) + " bytes"));
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
    return answer(
        error_reply(413, "the header is longer than " + std::to_string(limits.header) + " bytes"));
  answer(error_reply(400, "this is no HTTP request: " + ec.message()));
}

void Session::answer(Reply reply) {
  if (!stream_.socket().is_open()) return; // closed meanwhile
  reply_ = std::move(reply);
  framing_.has_length = reply_.source == nullptr;
  framing_.chunked = !framing_.has_length && chunked_allowed_;
  if (!framing_.has_length && !framing_.chunked) framing_.keep_alive = false;
  frame_ = head_of(reply_, framing_);
  send_body();
}

template <typename Handler>
void Session::write_frame(Handler handler) {
  asio::async_write(stream_, asio::buffer(frame_),
                    [self = shared_from_this(), handler](ErrorCode ec, size_t) { handler(ec); });
}

void Session::send_body() {
  if (reply_.source && !head_only_) return send_slice();
  if (!head_only_) frame_ += reply_.body;
  stream_.expires_after(context_->options.limits.write_timeout);
  write_frame([this](ErrorCode ec) { ec ? close() : finish(); });
}

// Writes what stands in `frame_` (the head, at first) and the next piece.
void Session::send_slice() {
  const size_t head_at = frame_.size();
  if (framing_.chunked) frame_ += chunk_head;
  const size_t body_at = frame_.size();
  const Source::State state = reply_.source->fill(frame_, context_->options.limits.slice);
  if (framing_.chunked) {
    if (frame_.size() == body_at) {
      frame_.resize(head_at); // an empty chunk would end the body
    } else {
      patch_chunk_length(frame_, head_at);
      frame_ += "\r\n";
    }
    if (state == Source::State::done) frame_ += last_chunk;
  }
  if (frame_.empty()) return on_slice({}, state);
  // A follower may stop reading for as long as it likes: what waits for it is
  // limited by its source.
  if (watching_ || state == Source::State::waiting)
    stream_.expires_never();
  else
    stream_.expires_after(context_->options.limits.write_timeout);
  write_frame([this, state](ErrorCode ec) { on_slice(ec, state); });
}

void Session::on_slice(ErrorCode ec, Source::State state) {
  if (ec == boost::beast::error::timeout)
    context_->warn("a client did not read its answer in time and was disconnected, ignoring");
  if (ec || !reply_.source) return close();
  frame_.clear();
  switch (state) {
  case Source::State::more:
    return send_slice();
  case Source::State::waiting:
    return wait_for_source();
  case Source::State::done:
    return finish();
  }
}

void Session::wait_for_source() {
  watch_for_close();
  // Posted: the source calls in the middle of what the daemon does with an
  // event, and several events may come at once.
  reply_.source->on_ready([weak = weak_from_this()] {
    if (const auto self = weak.lock())
      asio::post(self->stream_.get_executor(), [self] {
        if (self->reply_.source) self->send_slice();
      });
  });
}

// While nothing happens nothing is written, and only reading tells that the
// client has gone. Keeps the session alive while the source waits.
void Session::watch_for_close() {
  if (watching_) return;
  watching_ = true;
  stream_.socket().async_wait(Socket::wait_read, [self = shared_from_this()](ErrorCode ec) {
    if (ec) return;
    char byte = 0;
    const auto n = ::recv(self->stream_.socket().native_handle(), &byte, 1, MSG_DONTWAIT);
    // A follower has nothing more to say: what it sends ends the stream, too.
    if (n >= 0 || errno != EAGAIN) return self->close();
    self->watching_ = false;
    self->watch_for_close();
  });
}

void Session::finish() {
  reply_ = {};
  std::string().swap(frame_);
  if (framing_.keep_alive) return read_request();
  ErrorCode ignored;
  stream_.socket().shutdown(Socket::shutdown_send, ignored);
  stream_.expires_after(context_->options.limits.request_timeout);
  linger();
}

// Reads away what a refused client is still sending: closing before that would
// break its write, and many clients then never look at the answer.
void Session::linger() {
  constexpr size_t most = 1024 * 1024;
  constexpr size_t piece = 16 * 1024;
  if (lingered_ > most) return close();
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(piece),
                          [self = shared_from_this()](ErrorCode ec, size_t n) {
                            self->lingered_ += n;
                            ec ? self->close() : self->linger();
                          });
}

} // namespace bindlens::server
