#include "reply.h"

#include <bindlens/protocol/json.h>

#include <cerrno>

namespace bindlens::server {
namespace {

std::string_view reason_phrase(unsigned status) {
  switch (status) {
  case 200:
    return "OK";
  case 400:
    return "Bad Request";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 413:
    return "Content Too Large";
  default:
    return "Service Unavailable";
  }
}

unsigned status_of(int code) {
  switch (code) {
  case EINVAL:
    return 400;
  case ENOENT:
  case ENOSYS:
  case EOPNOTSUPP:
    return 404;
  default:
    return 503;
  }
}

} // namespace

Reply json_reply(std::string body) {
  Reply r;
  r.body = std::move(body);
  return r;
}

Reply list_reply(std::unique_ptr<Source> source) {
  Reply r;
  r.content_type = "application/x-ndjson";
  r.source = std::move(source);
  return r;
}

Reply error_reply(unsigned status, std::string_view text, std::string_view field) {
  Reply r;
  r.status = status;
  r.body = protocol::error_json(text, field);
  return r;
}

Reply error_reply(const protocol::FieldError& e) {
  return error_reply(400, e.field.empty() ? e.text : e.field + " " + e.text, e.field);
}

Reply error_reply(const Error& e) {
  return error_reply(status_of(e.code), e.field.empty() ? e.text : e.field + ": " + e.text,
                     e.field);
}

std::string head_of(const Reply& r, const Framing& f) {
  std::string head = "HTTP/1.1 " + std::to_string(r.status) + " ";
  head += reason_phrase(r.status);
  head += "\r\nServer: bindlensd/" BINDLENS_VERSION "\r\nContent-Type: ";
  head += r.content_type;
  if (f.has_length) head += "\r\nContent-Length: " + std::to_string(r.body.size());
  if (f.chunked) head += "\r\nTransfer-Encoding: chunked";
  if (!r.allow.empty()) {
    head += "\r\nAllow: ";
    head += r.allow;
  }
  if (!f.keep_alive) head += "\r\nConnection: close";
  head += "\r\n\r\n";
  return head;
}

} // namespace bindlens::server
