#include "raw_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstring>
#include <stdexcept>

namespace bindlens::test {

RawClient::RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
  sockaddr_un addr{};
  addr.sun_family = AF_UNIX;
  std::memcpy(addr.sun_path, path.data(), path.size());
  if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&addr), sizeof addr) != 0)
    throw std::runtime_error("connect");
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void RawClient::end_sending() {
  ::shutdown(fd_.get(), SHUT_WR);
}

std::string RawClient::receive() {
  std::string piece(256 * 1024, '\0');
  const ssize_t n = ::recv(fd_.get(), piece.data(), piece.size(), 0);
  piece.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return piece;
}

bool RawClient::receive_until(std::string_view mark) {
  while (buffer_.find(mark) == std::string::npos) {
    const std::string piece = receive();
    if (piece.empty()) return false;
    buffer_ += piece;
  }
  return true;
}

bool RawClient::receive_count(size_t count) {
  while (buffer_.size() < count) {
    const std::string piece = receive();
    if (piece.empty()) return false;
    buffer_ += piece;
  }
  return true;
}

RawReply RawClient::reply(bool head_only) {
  RawReply r;
  if (!receive_until("\r\n\r\n")) return r;
  const size_t end = buffer_.find("\r\n\r\n") + 4;
  r.head = buffer_.substr(0, end);
  buffer_.erase(0, end);
  r.status = static_cast<unsigned>(std::stoul(r.head.substr(r.head.find(' ') + 1, 3)));
  constexpr std::string_view length_name = "Content-Length: ";
  const size_t length_at = r.head.find(length_name);
  if (head_only) {
    r.complete = true;
  } else if (length_at != std::string::npos) {
    const size_t length = std::stoul(r.head.substr(length_at + length_name.size()));
    r.complete = receive_count(length);
    r.body = buffer_.substr(0, length);
    buffer_.erase(0, r.body.size());
  } else if (r.head.find("chunked") != std::string::npos) {
    while (receive_until("\r\n")) {
      const size_t line = buffer_.find("\r\n") + 2;
      const size_t length = std::stoul(buffer_, nullptr, 16);
      if (!receive_count(line + length + 2)) break;
      r.body += buffer_.substr(line, length);
      buffer_.erase(0, line + length + 2);
      if (length == 0) {
        r.complete = true;
        break;
      }
    }
  } else {
    while (true) {
      const std::string piece = receive();
      if (piece.empty()) break;
      buffer_ += piece;
    }
    r.body = std::exchange(buffer_, {});
    r.complete = true;
  }
  return r;
}

RawReply RawClient::get(std::string_view target) {
  send("GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  return reply();
}

bool RawClient::ends() {
  char byte = 0;
  while (true) {
    const ssize_t n = ::recv(fd_.get(), &byte, 1, 0);
    if (n == 0) return true;
    if (n < 0) return errno == ECONNRESET;
  }
}

} // namespace bindlens::test
