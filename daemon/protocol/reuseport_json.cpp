#include "socket_json.h"

#include <cmath>

namespace bindlens::protocol {
namespace {

using model::Distribution;
using model::MemberShare;
using model::ReuseportGroup;
using model::ReuseportMember;

bool is_datagram(const ReuseportGroup& g) {
  return g.proto == model::Proto::udp || g.proto == model::Proto::udplite;
}

// A share to a millionth, other figures to a thousandth.
void write_rounded(ObjectWriter& json, std::string_view key, std::optional<double> value,
                   double digits) {
  if (value) json.number(key, std::round(*value * digits) / digits);
}

template <typename Int>
void write_known(ObjectWriter& json, std::string_view key, std::optional<Int> value) {
  if (value) json.number(key, *value);
}

// Times that may be 0 for "never".
void write_known_time(ObjectWriter& json, std::string_view key, std::optional<MonoNs> t,
                      int64_t offset) {
  if (t.value_or(0) != 0) write_time(json, key, *t, offset);
}

void write_counters(ObjectWriter& json, const model::ShareCounters& c, int64_t offset) {
  write_known_time(json, "since", c.since, offset);
  write_known(json, "selected", c.selected);
  write_known(json, "queued", c.queued);
  write_known(json, "accepted", c.accepted);
  write_known(json, "datagrams", c.datagrams);
  write_known(json, "drops", c.drops);
  write_known(json, "migrated", c.migrated);
  write_known(json, "lost_at_close", c.lost_at_close);
  write_known(json, "backlog_peak", c.backlog_peak);
  write_known_time(json, "last_accept", c.last_accept, offset);
  write_known_time(json, "queue_full_since", c.queue_full_since, offset);
}

void write_share(ObjectWriter& json, const MemberShare& s, int64_t offset) {
  write_known(json, "counted", s.counted);
  write_rounded(json, "share", s.share, 1e6);
  write_rounded(json, "expected_share", s.expected, 1e6);
  json.remark("stalled", s.stalled);
  if (s.stalled) write_known_time(json, "stalled_since", s.stalled_since, offset);
}

// A member is a socket with more to it.
void append_member(std::string& out, const ReuseportMember& m, const MemberShare& share,
                   bool datagrams, const Names& names, int64_t offset) {
  model::Blocker socket;
  socket.socket = m.socket;
  socket.binder = m.binder;
  socket.holders = m.holders;
  socket.holders_known = m.holders_known;
  append_owned(out, socket, names, offset);
  out.pop_back(); // carries on inside
  ObjectWriter json(out, ObjectWriter::Inside{});
  if (m.incoming_cpu >= 0) json.number("incoming_cpu", m.incoming_cpu);
  if (datagrams) {
    json.number("receive_queue", m.receive_queue);
    json.number("receive_buffer", m.receive_buffer);
  }
  json.flag("counted_from_start", m.counted_from_start);
  write_counters(json, m.counters, offset);
  write_rounded(json, "per_second", m.per_second, 1e3);
  write_share(json, share, offset);
  json.end();
}

// Processes that clients wait for.
void write_stalled(ObjectWriter& json, const ReuseportGroup& g, const Distribution& d) {
  std::vector<uint32_t> pids;
  bool any = false;
  for (size_t i = 0; i < d.members.size(); ++i) {
    if (!d.members[i].stalled) continue;
    any = true;
    const ReuseportMember& m = g.members[i];
    if (m.holders.empty() && m.binder) pids.push_back(m.binder->pid);
    for (const model::Holder& h : m.holders)
      pids.push_back(h.process->pid);
  }
  if (any)
    append_array(json.value("stalled"), pids,
                 [](std::string& to, uint32_t pid) { append_number(to, pid); });
}

void write_judgement(ObjectWriter& json, const ReuseportGroup& g, const Distribution& d,
                     int64_t offset) {
  if (d.measure != model::Measure::none) {
    json.word("counted_by", to_string(d.measure));
    json.number("total", d.total);
    write_known_time(json, "since", d.since, offset);
  }
  write_rounded(json, "skew", d.skew, 1e6);
  if (d.p_value) json.number("p_value", *d.p_value);
  if (d.verdict != model::Verdict::unknown) json.word("verdict", to_string(d.verdict));
  write_stalled(json, g, d);
  if (d.cause != model::Cause::none) json.word("cause", to_string(d.cause));
  json.text("explanation", d.explanation);
  append_array(json.value("advice"), d.advice,
               [](std::string& to, const std::string& text) { append_quoted(to, text); });
}

} // namespace

void append_group(std::string& out, const model::JudgedGroup& judged, const Names& names) {
  const ReuseportGroup& g = judged.group;
  const Distribution& d = judged.distribution;
  const int64_t offset = wall_offset();
  ObjectWriter json(out);
  write_address(json, g.proto, g.local);
  if (g.local.addr.family == model::Family::inet6) json.flag("v6only", g.v6only);
  if (g.dev != 0) json.known_text("dev", names.dev(g.netns, g.dev));
  json.number("netns", g.netns);
  json.known_text("netns_name", names.netns(g.netns));
  json.number("uid", g.uid);
  json.known_text("user", names.user(g.uid));
  json.word("kind", is_datagram(g) ? "datagram" : "listener");
  json.word("steering", to_string(g.steering));
  json.known_text("program", g.program);
  if (g.program_id != 0) json.number("program_id", g.program_id);
  json.flag("migrates", g.migrates);
  if (g.closed != 0) json.number("closed", g.closed);
  size_t at = 0;
  append_array(json.value("members"), g.members, [&](std::string& to, const ReuseportMember& m) {
    append_member(to, m, d.members[at++], is_datagram(g), names, offset);
  });
  write_judgement(json, g, d, offset);
  json.end();
  out += '\n';
}

} // namespace bindlens::protocol
