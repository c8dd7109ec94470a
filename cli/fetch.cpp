#include "fetch.h"

#include <iostream>

namespace bindlens::cli {
namespace {

using protocol::Client;
using protocol::ClientError;

int complain(const ClientError& e) {
  switch (e.kind) {
  case ClientError::Kind::unreachable:
  case ClientError::Kind::forbidden:
    return complain(exit_unreachable, e.text);
  case ClientError::Kind::refused:
  case ClientError::Kind::malformed:
    break;
  }
  return complain(exit_error, e.text);
}

Fetched get(const Common& common, std::string_view target, const Client::Sink& sink) {
  auto client = Client::connect(common.socket);
  if (!client) return std::unexpected(complain(client.error()));
  const auto done = client->get(target, sink);
  if (!done) {
    common.out->flush(); // what came before the error belongs to the answer
    return std::unexpected(complain(done.error()));
  }
  return {};
}

} // namespace

int complain(int code, std::string_view text) {
  std::cerr << "bindlens: " << text << '\n';
  return code;
}

int finish(const Common& common, int code) {
  common.out->finish();
  if (common.out->gone()) return exit_done;
  if (!common.out->result()) return complain(exit_error, common.out->result().error().text);
  return code;
}

Fetched copy_answer(const Common& common, std::string_view target) {
  // Flushed at once: a piece may be all that a stream says for a long time.
  return get(common, target, [&](std::string_view piece) {
    return common.out->write(piece) && common.out->flush();
  });
}

Fetched for_each_line(const Common& common, std::string_view target,
                      const std::function<bool(std::string_view)>& line,
                      const std::function<void()>& pause) {
  std::string rest; // the beginning of a line that has not arrived whole
  return get(common, target, [&](std::string_view piece) {
    size_t end = 0;
    while ((end = piece.find('\n')) != std::string_view::npos) {
      bool more = false;
      if (rest.empty()) {
        more = line(piece.substr(0, end));
      } else {
        rest.append(piece, 0, end);
        more = line(rest);
        rest.clear();
      }
      if (!more) return false;
      piece.remove_prefix(end + 1);
    }
    rest += piece;
    if (pause) pause();
    return !common.out->gone();
  });
}

std::expected<std::string, int> fetch_document(const Common& common, std::string_view target) {
  std::string body;
  const auto done = get(common, target, [&](std::string_view piece) {
    body += piece;
    return true;
  });
  if (!done) return std::unexpected(done.error());
  return body;
}

std::expected<std::string, int> post_document(const Common& common, std::string_view target,
                                              std::string_view json) {
  auto client = Client::connect(common.socket);
  if (!client) return std::unexpected(complain(client.error()));
  std::string body;
  const auto done = client->post(target, json, [&](std::string_view piece) {
    body += piece;
    return true;
  });
  if (!done) return std::unexpected(complain(done.error()));
  return body;
}

} // namespace bindlens::cli
