#include "members.h"

namespace bindlens::protocol {
namespace {

void take_known_time(const Members& m, const char* key, std::optional<WallNs>& to) {
  if (const json* v = m.find(key)) to = time_of(*v, key);
}

MemberView member_of(const json& object) {
  const Members m(object);
  MemberView v;
  v.socket = socket_of(object);
  m.take("incoming_cpu", v.incoming_cpu);
  m.take("receive_queue", v.receive_queue);
  m.take("receive_buffer", v.receive_buffer);
  m.take("counted_from_start", v.counted_from_start);
  take_known_time(m, "since", v.since);
  m.take("selected", v.selected);
  m.take("queued", v.queued);
  m.take("accepted", v.accepted);
  m.take("datagrams", v.datagrams);
  m.take("drops", v.drops);
  m.take("migrated", v.migrated);
  m.take("lost_at_close", v.lost_at_close);
  m.take("backlog_peak", v.backlog_peak);
  take_known_time(m, "last_accept", v.last_accept);
  take_known_time(m, "queue_full_since", v.queue_full_since);
  m.take("per_second", v.per_second);
  m.take("counted", v.counted);
  m.take("share", v.share);
  m.take("expected_share", v.expected_share);
  m.take("stalled", v.stalled);
  take_known_time(m, "stalled_since", v.stalled_since);
  return v;
}

GroupView group_of(const json& object) {
  const Members m(object);
  GroupView g;
  g.at = socket_of(object);
  m.take("kind", g.kind);
  m.take("steering", g.steering);
  m.take("program", g.program);
  m.take("program_id", g.program_id);
  m.take("migrates", g.migrates);
  m.take("closed", g.closed);
  m.take_list("members", g.members, member_of);
  m.take("counted_by", g.counted_by);
  m.take("total", g.total);
  take_known_time(m, "since", g.since);
  m.take("skew", g.skew);
  m.take("p_value", g.p_value);
  m.take("verdict", g.verdict);
  m.take("cause", g.cause);
  m.take("explanation", g.explanation);
  m.take_texts("advice", g.advice);
  return g;
}

} // namespace

Result<GroupView> read_group(std::string_view text) {
  return read_document(text, group_of);
}

} // namespace bindlens::protocol
