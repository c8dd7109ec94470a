#include "members.h"

namespace bindlens::protocol {

WallNs time_of(const json& value, const char* key) {
  const auto t = parse_time(converted<std::string>(value, key), 0);
  if (!t) throw WrongType{key};
  return *t;
}

void take_time(const Members& m, const char* key, WallNs& to) {
  if (const json* v = m.find(key)) to = time_of(*v, key);
}

ProcessView process_of(const json& object) {
  const Members m(object);
  ProcessView p;
  m.take("pid", p.pid);
  m.take("fd", p.fd);
  m.take("tid", p.tid);
  m.take("comm", p.comm);
  m.take("exe", p.exe);
  m.take("uid", p.uid);
  m.take("user", p.user);
  m.take("cgroup", p.cgroup);
  m.take("unit", p.unit);
  m.take("container", p.container);
  m.take("ppid", p.ppid);
  return p;
}

namespace {

std::vector<ProcessView> processes_of(const json& list) {
  if (!list.is_array()) throw WrongType{"holders"};
  std::vector<ProcessView> out;
  out.reserve(list.size());
  for (const json& item : list)
    out.push_back(process_of(item));
  return out;
}

SocketView::Backlog backlog_of(const json& object) {
  const Members m(object);
  SocketView::Backlog b;
  m.take("current", b.current);
  m.take("max", b.max);
  return b;
}

BucketView bucket_of(const json& object) {
  const Members m(object);
  BucketView b;
  m.take("fastreuse", b.fastreuse);
  m.take("fastreuseport", b.fastreuseport);
  m.take("fastuid", b.fastuid);
  m.take("open_to", b.open_to);
  m.take("open_uid", b.open_uid);
  m.take("because", b.because);
  return b;
}

// What a socket and a request have in common.
void take_address_and_flags(const Members& m, SocketView& s) {
  m.take("proto", s.proto);
  m.take("family", s.family);
  m.take("addr", s.addr);
  m.take("port", s.port);
  m.take("v6only", s.v6only);
  m.take("dev", s.dev);
  m.take("peer", s.peer);
  m.take("reuseaddr", s.reuseaddr);
  m.take("reuseport", s.reuseport);
  m.take("uid", s.uid);
  m.take("user", s.user);
  m.take("netns", s.netns);
  m.take("netns_name", s.netns_name);
}

} // namespace

SocketView socket_of(const json& object) {
  const Members m(object);
  SocketView s;
  take_address_and_flags(m, s);
  m.take("state", s.state);
  m.take("linger", s.linger);
  m.take("timewait_left_ms", s.timewait_left_ms);
  m.take("cookie", s.cookie);
  m.take("kernel", s.kernel);
  m.take("orphan", s.orphan);
  m.take("bound_by", s.bound_by);
  if (const json* v = m.find("bound_at")) s.bound_at = time_of(*v, "bound_at");
  if (const json* v = m.find("released_at")) s.released_at = time_of(*v, "released_at");
  m.take_object("binder", s.binder, process_of);
  m.take("binder_exited", s.binder_exited);
  m.take_object("holders", s.holders, processes_of);
  m.take_object("backlog", s.backlog, backlog_of);
  m.take_object("bucket", s.bucket, bucket_of);
  m.take("relation", s.relation);
  m.take("rule", s.rule);
  m.take("necessary", s.necessary);
  m.take("uncertain", s.uncertain);
  return s;
}

namespace {

FailureView failure_of(const json& object) {
  const Members m(object);
  FailureView f;
  m.take("id", f.id);
  take_time(m, "time", f.time);
  take_time(m, "first_time", f.first_time);
  m.take("count", f.count);
  m.take("call", f.call);
  m.take("errno", f.error);
  take_address_and_flags(m, f.asked);
  m.take_object("process", f.process, process_of);
  m.take("rule", f.rule);
  m.take("explanation", f.explanation);
  m.take_list("holders", f.holders, socket_of);
  m.take_texts("advice", f.advice);
  m.take_object("bucket", f.bucket, bucket_of);
  m.take("evidence", f.evidence);
  m.take("complete", f.complete);
  return f;
}

FindingView finding_of(const json& object) {
  const Members m(object);
  FindingView f;
  m.take("id", f.id);
  m.take("severity", f.severity);
  m.take("summary", f.summary);
  m.take("detail", f.detail);
  m.take("proto", f.proto);
  m.take("port", f.port);
  m.take("netns", f.netns);
  m.take("netns_name", f.netns_name);
  m.take("key", f.key);
  m.take_list("delivery", f.delivery, [](const json& item) {
    FindingView::Delivery d;
    const Members members(item);
    members.take("destination", d.destination);
    members.take("receiver", d.receiver);
    return d;
  });
  m.take_list("sockets", f.sockets, socket_of);
  m.take("sockets_left_out", f.sockets_left_out);
  m.take_texts("advice", f.advice);
  return f;
}

EventView::Reuse reuse_of(const Members& m) {
  EventView::Reuse r;
  m.take("kind", r.kind);
  m.take("evidence", r.evidence);
  m.take("sockets", r.sockets);
  m.take("harmless", r.harmless);
  m.take("left_out", r.left_out);
  return r;
}

EventView event_of(const json& object) {
  const Members m(object);
  EventView e;
  m.take("id", e.id);
  take_time(m, "time", e.time);
  m.take("type", e.type);
  m.take("lost", e.lost);
  m.take("reason", e.reason);
  m.take("missing", e.missing);
  m.take("counted", e.counted);
  take_time(m, "until", e.until);
  if (e.type == "fail") {
    e.failure = failure_of(object);
    e.process = e.failure->process;
  } else if (e.type == "audit") {
    m.take("resolved", e.resolved);
    m.take_object("finding", e.finding, finding_of);
  } else if (e.type != "gap") {
    e.socket = socket_of(object);
    m.take_object("process", e.process, process_of);
    if (e.type == "timewait-reuse") e.reuse = reuse_of(m);
  }
  return e;
}

StatusView::Hook hook_of(const json& object) {
  const Members m(object);
  StatusView::Hook h;
  m.take("name", h.name);
  m.take("tier", h.tier);
  m.take("state", h.state);
  m.take("detail", h.detail);
  m.take("effect", h.effect);
  return h;
}

StatusView::Variant variant_of(const json& object) {
  const Members m(object);
  StatusView::Variant v;
  m.take("name", v.name);
  m.take("value", v.value);
  m.take("decided_by", v.decided_by);
  m.take("assumed", v.assumed);
  return v;
}

StatusView::Audit audit_of(const json& object) {
  const Members m(object);
  StatusView::Audit a;
  m.take("interval_s", a.interval_s);
  m.take("runs", a.runs);
  m.take("cpu_ns", a.cpu_ns);
  m.take("findings", a.findings);
  return a;
}

StatusView::HistoryFile history_of(const json& object) {
  const Members m(object);
  StatusView::HistoryFile h;
  m.take("state", h.state);
  m.take("path", h.path);
  m.take("problem", h.problem);
  m.take("set_aside", h.set_aside);
  m.take("bytes", h.bytes);
  m.take("max_bytes", h.max_bytes);
  m.take("events", h.events);
  m.take("pending_bytes", h.pending_bytes);
  m.take("written", h.written);
  m.take("lost", h.lost);
  if (const json* v = m.find("oldest")) h.oldest = time_of(*v, "oldest");
  return h;
}

StatusView status_of(const json& object) {
  const Members m(object);
  StatusView s;
  m.take("version", s.version);
  m.take("tier", s.tier);
  m.take("tier_reason", s.tier_reason);
  m.take("uptime_ns", s.uptime_ns);
  if (const json* v = m.find("table")) {
    const Members table(*v);
    table.take("sockets", s.sockets);
    table.take("namespaces", s.namespaces);
    table.take("complete", s.complete);
    table.take("source", s.source);
    table.take("snapshot_ns", s.snapshot_ns);
    table.take("verified_ago_ns", s.verified_ago_ns);
    table.take("differences", s.differences);
  }
  if (const json* v = m.find("events")) {
    const Members events(*v);
    events.take("seen", s.events_seen);
    events.take("lost", s.events_lost);
    events.take("skipped_runs", s.skipped_runs);
    events.take("uncounted", s.uncounted);
    events.take("resyncs", s.resyncs);
    events.take("kept", s.events_kept);
  }
  if (const json* v = m.find("failures")) {
    const Members failures(*v);
    failures.take("seen", s.failures_seen);
    failures.take("kept", s.failures_kept);
  }
  m.take_object("audit", s.audit, audit_of);
  m.take("history", s.history);
  m.take_object("history_file", s.history_file, history_of);
  m.take_list("hooks", s.hooks, hook_of);
  m.take_texts("observed", s.observed);
  m.take_texts("reconstructed", s.reconstructed);
  m.take_list("rules", s.rules, variant_of);
  m.take("calibration_ns", s.calibration_ns);
  return s;
}

VerifyView verify_of(const json& object) {
  const Members m(object);
  VerifyView v;
  m.take("differences", v.differences);
  m.take("sockets", v.sockets);
  m.take("duration_ns", v.duration_ns);
  m.take("source", v.source);
  m.take_list("list", v.list, [](const json& item) {
    DifferenceView d;
    const Members members(item);
    members.take("kind", d.kind);
    members.take("detail", d.detail);
    d.socket = socket_of(item);
    return d;
  });
  return v;
}

CheckView check_of(const json& object) {
  const Members m(object);
  CheckView c;
  m.take("would_succeed", c.would_succeed);
  m.take("errno", c.error);
  m.take("rule", c.rule);
  m.take("explanation", c.explanation);
  m.take_list("holders", c.holders, socket_of);
  m.take_texts("advice", c.advice);
  m.take_texts("minimal_change", c.minimal_change);
  m.take_texts("unknown", c.unknown);
  m.take_object("bucket", c.bucket, bucket_of);
  return c;
}

} // namespace

Result<SocketView> read_socket(std::string_view text) {
  return read_document(text, socket_of);
}
Result<FailureView> read_failure(std::string_view text) {
  return read_document(text, failure_of);
}
Result<EventView> read_event(std::string_view text) {
  return read_document(text, event_of);
}
std::optional<EventView> read_missing(std::string_view text) {
  // Most lines are something else, and are told from it without being taken apart.
  if (text.find("\"type\":\"gap\"") == std::string_view::npos) return std::nullopt;
  auto event = read_event(text);
  if (!event || event->type != "gap" || event->missing.empty()) return std::nullopt;
  return *std::move(event);
}
Result<StatusView> read_status(std::string_view text) {
  return read_document(text, status_of);
}
Result<VerifyView> read_verify(std::string_view text) {
  return read_document(text, verify_of);
}
Result<CheckView> read_check(std::string_view text) {
  return read_document(text, check_of);
}
Result<FindingView> read_finding(std::string_view text) {
  return read_document(text, finding_of);
}

} // namespace bindlens::protocol
