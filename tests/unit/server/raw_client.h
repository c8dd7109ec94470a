#pragma once

#include <bindlens/util/fd.h>

#include <string>
#include <string_view>

namespace bindlens::test {

struct RawReply {
  unsigned status = 0; // 0: the connection ended before a whole head
  std::string head;
  std::string body;
  bool complete = false; // the body ended as it should
};

// Bytes on a Unix socket, without a library that would correct them. Every read
// gives up after ten seconds and then acts as if the connection had ended.
class RawClient {
 public:
  explicit RawClient(const std::string& path);

  // False when the server has closed its side.
  bool send(std::string_view bytes);
  void end_sending();
  // Whatever comes next; empty at the end.
  std::string receive();
  // The next whole answer; bytes after it stay for the call after. Without a
  // body after HEAD.
  RawReply reply(bool head_only = false);
  // GET with keep-alive.
  RawReply get(std::string_view target);
  // True when the server ends the connection, whatever it still sends.
  bool ends();
  void close() { fd_.reset(); }

 private:
  bool receive_until(std::string_view mark);
  bool receive_count(size_t count);

  Fd fd_;
  std::string buffer_;
};

} // namespace bindlens::test
