#include "socket_json.h"

#include <bindlens/protocol/time_text.h>

namespace bindlens::protocol {
namespace {

// The same finding in another audit: number and process ids change when a
// program is started again, these words do not.
std::string key_of(const model::Finding& f, std::string_view netns) {
  std::string key(to_string(f.id));
  key += ' ';
  key += netns.empty() ? "-" : netns;
  return key + " " + f.subject;
}

void append_delivery(std::string& out, const model::Delivery& d) {
  ObjectWriter json(out);
  json.text("destination", d.destination);
  json.text("receiver", d.receiver);
  json.end();
}

} // namespace

void write_finding(std::string& out, const model::Finding& f, const Names& names) {
  const std::string netns = names.netns(f.netns);
  const int64_t offset = wall_offset();
  ObjectWriter json(out);
  json.word("id", to_string(f.id));
  json.word("severity", to_string(f.severity));
  json.text("summary", f.summary);
  json.text("detail", f.detail);
  json.word("proto", to_string(f.proto));
  if (f.port != 0) json.number("port", f.port);
  json.number("netns", f.netns);
  json.known_text("netns_name", netns);
  json.text("key", key_of(f, netns));
  if (!f.deliveries.empty()) append_array(json.value("delivery"), f.deliveries, append_delivery);
  append_array(json.value("sockets"), f.sockets, [&](std::string& to, const model::Blocker& b) {
    append_owned(to, b, names, offset);
  });
  if (f.sockets_left_out != 0) json.number("sockets_left_out", f.sockets_left_out);
  append_array(json.value("advice"), f.advice,
               [](std::string& to, const std::string& text) { append_quoted(to, text); });
  json.end();
}

void append_finding(std::string& out, const model::Finding& f, const Names& names) {
  write_finding(out, f, names);
  out += '\n';
}

} // namespace bindlens::protocol
