#include "socket_json.h"

#include <bindlens/protocol/time_text.h>

namespace bindlens::protocol {
namespace {

using model::SocketFlag;

void write_backlog(ObjectWriter& json, const model::Socket& s) {
  if (s.state != model::State::listen) return;
  std::string& out = json.value("backlog");
  ObjectWriter backlog(out);
  backlog.number("current", s.backlog);
  backlog.number("max", s.max_backlog);
  backlog.end();
}

void append_hex(std::string& out, uint64_t value) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

} // namespace

void append_bucket(std::string& out, const model::BucketState& b) {
  ObjectWriter json(out);
  json.number("fastreuse", int{b.fastreuse});
  json.number("fastreuseport", int{b.fastreuseport});
  json.number("fastuid", b.fastuid);
  json.word("open_to", to_string(b.open_to));
  if (b.open_uid) json.number("open_uid", *b.open_uid);
  json.known_text("because", b.because);
  json.end();
}

void write_time(ObjectWriter& json, std::string_view key, MonoNs t, int64_t offset) {
  std::string& out = json.value(key);
  out += '"';
  append_rfc3339(out, static_cast<int64_t>(t) + offset);
  out += '"';
}

std::string_view family_name(model::Family f) {
  return f == model::Family::inet ? "inet" : "inet6";
}

void append_address(std::string& out, const model::Address& a) {
  if (a.family == model::Family::inet6) {
    model::append_to(out, a);
    return;
  }
  append_number(out, unsigned{a.bytes[0]});
  for (size_t i = 1; i < 4; ++i) {
    out += '.';
    append_number(out, unsigned{a.bytes[i]});
  }
}

void append_endpoint(std::string& out, const model::Endpoint& e) {
  const bool v6 = e.addr.family == model::Family::inet6;
  if (v6) out += '[';
  append_address(out, e.addr);
  if (v6) out += ']';
  out += ':';
  append_number(out, e.port);
}

void write_address(ObjectWriter& json, model::Proto proto, const model::Endpoint& e) {
  json.word("proto", to_string(proto));
  json.word("family", family_name(e.addr.family));
  std::string& out = json.value("addr");
  out += '"';
  append_address(out, e.addr);
  out += '"';
  json.number("port", e.port);
}

void write_socket(ObjectWriter& json, const model::Socket& s, const SocketNames& names) {
  write_address(json, s.proto, s.local);
  if (s.local.addr.family == model::Family::inet6) json.flag("v6only", s.is(SocketFlag::v6only));
  json.known_text("dev", names.dev);
  json.word("state", to_string(s.state));
  if (s.peer.port != 0) {
    std::string& out = json.value("peer");
    out += '"';
    append_endpoint(out, s.peer);
    out += '"';
  }
  json.flag("reuseaddr", s.is(SocketFlag::reuseaddr));
  json.flag("reuseport", s.is(SocketFlag::reuseport));
  if (s.is(SocketFlag::linger)) json.number("linger", s.linger);
  if (s.is(SocketFlag::timewait)) {
    // A mini-socket has no owner any more.
    if (s.tw_left_ms != 0) json.number("timewait_left_ms", s.tw_left_ms);
  } else {
    json.number("uid", s.uid);
    json.known_text("user", names.user);
  }
  json.number("netns", s.netns);
  json.known_text("netns_name", names.netns);
  if (s.cookie != 0) {
    std::string& out = json.value("cookie");
    out += '"';
    append_hex(out, s.cookie);
    out += '"';
  }
  json.remark("kernel", s.is(SocketFlag::kernel));
  json.remark("orphan", s.is(SocketFlag::orphan));
}

void append_process_facts(std::string& out, const model::Process& p) {
  ObjectWriter json(out, ObjectWriter::Inside{});
  json.known_text("comm", p.comm);
  json.known_text("exe", p.exe);
  json.number("uid", p.uid);
  json.known_text("user", p.user);
  json.known_text("cgroup", p.cgroup);
  json.known_text("unit", p.unit);
  json.known_text("container", p.container);
  if (p.ppid != 0) json.number("ppid", p.ppid);
}

void append_process(std::string& out, const model::Process& p, int fd, uint32_t tid) {
  ObjectWriter json(out);
  json.number("pid", p.pid);
  if (tid != 0) json.number("tid", tid);
  if (fd >= 0) json.number("fd", fd);
  append_process_facts(out, p);
  json.end();
}

namespace {

void write_owned(ObjectWriter& json, const model::Blocker& b, const Names& names, int64_t offset) {
  const std::string user = names.user(b.socket.uid);
  const std::string netns = names.netns(b.socket.netns);
  const std::string dev =
      b.socket.dev == 0 ? std::string() : names.dev(b.socket.netns, b.socket.dev);
  write_socket(json, b.socket, {.user = user, .netns = netns, .dev = dev});
  if (b.bound_by != model::BoundBy::unknown) json.word("bound_by", to_string(b.bound_by));
  if (b.bound_at != 0) write_time(json, "bound_at", b.bound_at, offset);
  if (b.released_at != 0) write_time(json, "released_at", b.released_at, offset);
  if (b.binder) {
    append_process(json.value("binder"), *b.binder);
    json.flag("binder_exited", b.binder_exited);
  }
  if (b.holders_known)
    append_array(json.value("holders"), b.holders, [](std::string& to, const model::Holder& h) {
      append_process(to, *h.process, h.fd);
    });
  write_backlog(json, b.socket);
}

} // namespace

void append_owned(std::string& out, const model::Blocker& b, const Names& names, int64_t offset) {
  ObjectWriter json(out);
  write_owned(json, b, names, offset);
  json.end();
}

void append_blocker(std::string& out, const model::Blocker& b, const Names& names, int64_t offset) {
  ObjectWriter json(out);
  write_owned(json, b, names, offset);
  if (b.relation != model::Relation::none) json.word("relation", to_string(b.relation));
  if (b.rule != model::Rule::none) json.word("rule", to_string(b.rule));
  json.flag("necessary", b.necessary);
  json.end();
}

RowWriter::RowWriter(int64_t offset) : wall_offset_(offset) {}

const RowWriter::Rendered& RowWriter::rendered(const model::ProcessRef& process) {
  if (last_ != nullptr && last_->process == process) return *last_;
  Rendered& r = processes_[process.get()]; // references into the map stay valid
  if (!r.process) {
    r.process = process;
    r.identity = "{\"pid\":";
    append_number(r.identity, process->pid);
    append_process_facts(r.facts, *process);
    r.facts += '}';
  }
  last_ = &r;
  return r;
}

void RowWriter::append(std::string& out, const SocketRow& row) {
  ObjectWriter json(out);
  write_socket(json, row.socket, {.user = row.user, .netns = row.netns_name, .dev = row.dev});
  if (row.bound_by != model::BoundBy::unknown) json.word("bound_by", to_string(row.bound_by));
  if (row.bound_at != 0) write_time(json, "bound_at", row.bound_at, wall_offset_);
  if (row.binder) {
    const Rendered& r = rendered(row.binder);
    json.value("binder") += r.identity;
    out += r.facts;
  }
  if (row.holders_known)
    append_array(json.value("holders"), row.holders,
                 [this](std::string& to, const model::Holder& h) {
                   const Rendered& r = rendered(h.process);
                   to += r.identity;
                   if (h.fd >= 0) {
                     to += ",\"fd\":";
                     append_number(to, h.fd);
                   }
                   to += r.facts;
                 });
  write_backlog(json, row.socket);
  if (row.bucket != nullptr) append_bucket(json.value("bucket"), *row.bucket);
  json.known_text("uncertain", row.uncertain);
  json.end();
  out += '\n';
}

} // namespace bindlens::protocol
