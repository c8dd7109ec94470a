#include "socket_json.h"

#include <bindlens/protocol/time_text.h>

#include <cstring>

namespace bindlens::protocol {
namespace {

using model::Call;
using model::SocketFlag;

struct FoundNames {
  std::string user, netns, dev;
  FoundNames(const Names& names, uint32_t uid, uint32_t ns, uint32_t index)
      : user(names.user(uid)), netns(names.netns(ns)) {
    if (index != 0) dev = names.dev(ns, index);
  }
  [[nodiscard]] SocketNames view() const { return {.user = user, .netns = netns, .dev = dev}; }
};

void write_errno(ObjectWriter& json, int error) {
  if (error != 0) json.word("errno", errno_name(error));
}

void write_request(ObjectWriter& json, const model::Failure& f, const Names& names) {
  json.word("call", to_string(f.call));
  write_errno(json, f.error);
  write_address(json, f.proto, f.asked);
  if (f.peer.port != 0) {
    std::string& out = json.value("peer");
    out += '"';
    append_endpoint(out, f.peer);
    out += '"';
  }
  json.flag("reuseaddr", f.flags.has(SocketFlag::reuseaddr));
  json.flag("reuseport", f.flags.has(SocketFlag::reuseport));
  if (f.asked.addr.family == model::Family::inet6)
    json.flag("v6only", f.flags.has(SocketFlag::v6only));
  const FoundNames found(names, f.uid, f.netns, f.dev);
  json.known_text("dev", found.dev);
  json.number("uid", f.uid);
  json.known_text("user", found.user);
  json.number("netns", f.netns);
  json.known_text("netns_name", found.netns);
  if (f.process) append_process(json.value("process"), *f.process, -1, f.tid);
}

void write_texts(ObjectWriter& json, std::string_view key, const std::vector<std::string>& texts) {
  append_array(json.value(key), texts,
               [](std::string& out, const std::string& text) { append_quoted(out, text); });
}

void write_blockers(ObjectWriter& json, const std::vector<model::Blocker>& blockers,
                    const Names& names, int64_t offset) {
  append_array(json.value("holders"), blockers, [&](std::string& out, const model::Blocker& b) {
    append_blocker(out, b, names, offset);
  });
}

bool is_about_socket(model::EventType t) {
  using enum model::EventType;
  return t != fail && t != audit && t != gap && t != start && t != stop;
}

void write_counted(ObjectWriter& json, const model::ShareCounters& c) {
  const auto known = [&](std::string_view name, const auto& figure) {
    if (figure) json.number(name, *figure);
  };
  known("selected", c.selected);
  known("accepted", c.accepted);
  known("datagrams", c.datagrams);
  known("drops", c.drops);
  known("migrated", c.migrated);
  known("lost_at_close", c.lost_at_close);
}

// Everything of a failure but its time.
void write_failure(ObjectWriter& json, const model::Failure& f, const Names& names,
                   int64_t offset) {
  write_request(json, f, names);
  if (f.rule != model::Rule::none) json.word("rule", to_string(f.rule));
  json.known_text("explanation", f.explanation);
  write_blockers(json, f.blockers, names, offset);
  if (f.blockers_left_out != 0) json.number("holders_left_out", f.blockers_left_out);
  write_texts(json, "advice", f.advice);
  if (f.bucket) append_bucket(json.value("bucket"), *f.bucket);
  json.number("count", f.count);
  write_time(json, "first_time", f.first_time, offset);
  json.word("evidence", to_string(f.evidence));
  json.flag("complete", f.complete);
}

} // namespace

std::string errno_name(int error) {
  const char* name = ::strerrorname_np(error);
  return name != nullptr ? name : "errno " + std::to_string(error);
}

void append_failure(std::string& out, const model::Failure& f, const Names& names, int64_t offset) {
  ObjectWriter json(out);
  json.number("id", f.id);
  write_time(json, "time", f.time, offset);
  write_failure(json, f, names, offset);
  json.end();
  out += '\n';
}

void append_event(std::string& out, const model::Event& e, const Names& names, int64_t offset) {
  ObjectWriter json(out);
  json.number("id", e.id);
  write_time(json, "time", e.time, offset);
  json.word("type", to_string(e.type));
  if (e.type == model::EventType::gap) {
    json.number("lost", e.lost);
  } else if (e.type == model::EventType::fail) {
    if (e.failure) write_failure(json, *e.failure, names, offset);
  } else if (e.type == model::EventType::audit) {
    json.flag("resolved", e.resolved);
    if (e.finding) write_finding(json.value("finding"), *e.finding, names);
  } else if (is_about_socket(e.type)) {
    if (e.reuse) write_reuse_facts(json, *e.reuse);
    const FoundNames found(names, e.socket.uid, e.socket.netns, e.socket.dev);
    write_socket(json, e.socket, found.view());
    if (e.bound_by != model::BoundBy::unknown) json.word("bound_by", to_string(e.bound_by));
    if (e.process) append_process(json.value("process"), *e.process);
    if (e.counted) write_counted(json, *e.counted);
  }
  json.end();
  out += '\n';
}

void append_missing(std::string& out, const model::Missing& m) {
  ObjectWriter json(out);
  write_time(json, "time", static_cast<MonoNs>(m.from), 0);
  json.word("type", to_string(model::EventType::gap));
  write_time(json, "until", static_cast<MonoNs>(m.until), 0);
  json.word("missing", to_string(m.why));
  if (m.why == model::Missing::Why::lost) json.number("lost", m.count);
  if (m.why == model::Missing::Why::counted) json.number("counted", m.count);
  json.text("reason", m.reason);
  json.end();
  out += '\n';
}

void append_reader_gap(std::string& out, uint64_t lost) {
  ObjectWriter json(out);
  write_time(json, "time", monotonic_now(), wall_offset());
  json.word("type", to_string(model::EventType::gap));
  json.number("lost", lost);
  json.text("reason", "this client read too slowly");
  json.end();
  out += '\n';
}

std::string to_json(const CheckReply& r, const Names& names) {
  std::string out;
  ObjectWriter json(out);
  json.flag("would_succeed", r.would_succeed);
  write_errno(json, r.error);
  if (r.rule != model::Rule::none) json.word("rule", to_string(r.rule));
  json.known_text("explanation", r.explanation);
  write_blockers(json, r.holders, names, wall_offset());
  write_texts(json, "advice", r.advice);
  write_texts(json, "minimal_change", r.minimal_change);
  write_texts(json, "unknown", r.unknown);
  if (r.bucket) append_bucket(json.value("bucket"), *r.bucket);
  json.end();
  out += '\n';
  return out;
}

} // namespace bindlens::protocol
