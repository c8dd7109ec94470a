#include "socket_json.h"

#include <bindlens/protocol/time_text.h>

namespace bindlens::protocol {
namespace {

void append_owner(std::string& out, const model::TimeWaitOwner& o) {
  ObjectWriter json(out);
  json.number("count", o.count);
  json.number("pid", o.binder->pid);
  append_process_facts(out, *o.binder);
  json.end();
}

void append_counts(std::string& out, const model::ReuseCounts& c) {
  ObjectWriter json(out);
  for (const auto kind : {model::ReuseKind::bind, model::ReuseKind::connect, model::ReuseKind::syn})
    json.number(to_string(kind), c[kind]);
  json.end();
}

void append_reuse(std::string& out, const model::TimeWaitReuse& r, int64_t offset) {
  ObjectWriter json(out);
  write_time(json, "time", r.time, offset);
  write_reuse_facts(json, r);
  if (r.process) append_process(json.value("process"), *r.process);
  write_address(json, r.socket.proto, r.socket.local);
  if (r.socket.peer.port != 0) {
    std::string& to = json.value("peer");
    to += '"';
    append_endpoint(to, r.socket.peer);
    to += '"';
  }
  json.end();
}

} // namespace

void write_reuse_facts(ObjectWriter& json, const model::TimeWaitReuse& r) {
  json.word("kind", to_string(r.kind));
  json.word("evidence", to_string(r.evidence));
  json.number("sockets", r.sockets);
  json.flag("harmless", r.harmless);
  if (r.left_out != 0) json.number("left_out", r.left_out);
}

void append_timewait(std::string& out, const model::TimeWaitPort& p, bool complete,
                     const Names& names) {
  const int64_t offset = wall_offset();
  ObjectWriter json(out);
  write_address(json, p.proto, p.local);
  json.number("netns", p.netns);
  json.known_text("netns_name", names.netns(p.netns));
  json.number("count", p.count);
  json.number("fin_wait2", p.fin_wait2);
  if (p.oldest) write_time(json, "oldest", *p.oldest, offset);
  if (p.next_left_ms) json.number("next_left_ms", *p.next_left_ms);
  if (p.last_left_ms) json.number("last_left_ms", *p.last_left_ms);
  json.number("reuseaddr", p.reuseaddr);
  json.number("reuseport", p.reuseport);
  append_array(json.value("owners"), p.owners, append_owner);
  append_counts(json.value("reuse_counts"), p.reuses);
  append_array(json.value("reuses"), p.recent,
               [&](std::string& to, const auto& r) { append_reuse(to, r, offset); });
  json.number("linger_zero", p.linger_zero);
  if (!complete) json.flag("complete", false);
  json.end();
  out += '\n';
}

} // namespace bindlens::protocol
