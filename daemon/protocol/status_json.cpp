#include "socket_json.h"

namespace bindlens::protocol {
namespace {

std::string_view to_string(HookState s) {
  switch (s) {
  case HookState::attached:
    return "attached";
  case HookState::disabled:
    return "disabled";
  case HookState::unavailable:
    return "unavailable";
  case HookState::failed:
    return "failed";
  }
  return "";
}

void append_hook(std::string& out, const HookStatus& h) {
  ObjectWriter json(out);
  json.text("name", h.name);
  json.known_text("tier", h.tier);
  json.word("state", to_string(h.state));
  json.known_text("detail", h.detail);
  json.known_text("effect", h.effect);
  json.end();
}

void append_variant(std::string& out, const Status::Variant& v) {
  ObjectWriter json(out);
  json.text("name", v.name);
  json.text("value", v.value);
  json.known_text("decided_by", v.decided_by);
  json.flag("assumed", v.assumed);
  json.end();
}

void append_program(std::string& out, const Status::Program& p) {
  ObjectWriter json(out);
  json.text("name", p.name);
  json.number("run_count", p.run_count);
  json.number("run_ns", p.run_ns);
  json.number("verified_insns", p.verified_insns);
  json.end();
}

void append_table(std::string& out, const Status& s) {
  ObjectWriter json(out);
  json.number("sockets", s.sockets);
  json.number("namespaces", s.namespaces);
  json.flag("complete", s.complete);
  json.known_text("source", s.snapshot_source);
  json.number("snapshot_ns", s.snapshot_ns);
  if (s.verified_ago_ns != 0) {
    json.number("verified_ago_ns", s.verified_ago_ns);
    json.number("differences", s.verify_differences);
  }
  json.end();
}

void append_events(std::string& out, const Status& s) {
  ObjectWriter json(out);
  json.number("seen", s.events_seen);
  json.number("lost", s.events_lost);
  json.number("skipped_runs", s.skipped_runs);
  json.number("uncounted", s.uncounted);
  json.number("resyncs", s.resyncs);
  json.number("kept", s.events_kept);
  json.end();
}

void append_failures(std::string& out, const Status& s) {
  ObjectWriter json(out);
  json.number("seen", s.failures);
  json.number("kept", s.failures_kept);
  json.end();
}

void append_audit(std::string& out, const Status::Audit& a) {
  ObjectWriter json(out);
  json.number("interval_s", a.interval_s);
  json.number("runs", a.runs);
  json.number("cpu_ns", a.cpu_ns);
  json.number("findings", a.findings);
  json.end();
}

void append_history(std::string& out, const Status::HistoryFile& h) {
  ObjectWriter json(out);
  json.text("state", h.state);
  json.text("path", h.path);
  json.known_text("problem", h.problem);
  json.known_text("set_aside", h.set_aside);
  json.number("bytes", h.bytes);
  json.number("max_bytes", h.max_bytes);
  json.number("events", h.events);
  if (h.oldest > 0) write_time(json, "oldest", static_cast<MonoNs>(h.oldest), 0);
  json.number("pending_bytes", h.pending_bytes);
  json.number("written", h.written);
  json.number("lost", h.lost);
  json.end();
}

void append_text(std::string& out, const std::string& text) {
  append_quoted(out, text);
}

void append_difference(std::string& out, const Difference& d, const Names& names) {
  const std::string user = names.user(d.socket.uid);
  const std::string netns = names.netns(d.socket.netns);
  ObjectWriter json(out);
  json.text("kind", d.kind);
  json.known_text("detail", d.detail);
  write_socket(json, d.socket, {.user = user, .netns = netns, .dev = {}});
  json.end();
}

} // namespace

std::string to_json(const Status& s) {
  std::string out;
  ObjectWriter json(out);
  json.text("version", s.version);
  json.text("tier", s.tier);
  json.known_text("tier_reason", s.tier_reason);
  json.number("uptime_ns", s.uptime_ns);
  append_table(json.value("table"), s);
  append_events(json.value("events"), s);
  append_failures(json.value("failures"), s);
  append_audit(json.value("audit"), s.audit);
  json.known_text("history", s.history);
  if (s.history_file) append_history(json.value("history_file"), *s.history_file);
  append_array(json.value("hooks"), s.hooks, append_hook);
  append_array(json.value("observed"), s.observed, append_text);
  append_array(json.value("reconstructed"), s.reconstructed, append_text);
  append_array(json.value("rules"), s.rules, append_variant);
  if (s.calibration_ns != 0) json.number("calibration_ns", s.calibration_ns);
  append_array(json.value("programs"), s.programs, append_program);
  json.end();
  out += '\n';
  return out;
}

std::string to_json(const VerifyReport& r, const Names& names) {
  std::string out;
  ObjectWriter json(out);
  json.number("differences", r.differences);
  json.number("sockets", r.sockets);
  json.number("duration_ns", r.duration_ns);
  json.known_text("source", r.source);
  append_array(json.value("list"), r.list,
               [&](std::string& to, const Difference& d) { append_difference(to, d, names); });
  json.end();
  out += '\n';
  return out;
}

std::string error_json(std::string_view text, std::string_view field) {
  std::string out;
  ObjectWriter json(out);
  json.text("error", text);
  json.known_text("field", field);
  json.end();
  out += '\n';
  return out;
}

} // namespace bindlens::protocol
