#include "members.h"

namespace bindlens::protocol {
namespace {

ReuseView reuse_of(const json& object) {
  const Members m(object);
  ReuseView r;
  take_time(m, "time", r.time);
  m.take("kind", r.kind);
  m.take("evidence", r.evidence);
  m.take("sockets", r.sockets);
  m.take("harmless", r.harmless);
  m.take("left_out", r.left_out);
  m.take_object("process", r.process, process_of);
  r.socket = socket_of(object);
  return r;
}

TimeWaitView::Owner owner_of(const json& object) {
  TimeWaitView::Owner o;
  o.process = process_of(object);
  Members(object).take("count", o.count);
  return o;
}

TimeWaitView timewait_of(const json& object) {
  const Members m(object);
  TimeWaitView t;
  m.take("proto", t.local.proto);
  m.take("family", t.local.family);
  m.take("addr", t.local.addr);
  m.take("port", t.local.port);
  m.take("netns", t.local.netns);
  m.take("netns_name", t.local.netns_name);
  m.take("count", t.count);
  m.take("fin_wait2", t.fin_wait2);
  if (const json* v = m.find("oldest")) t.oldest = time_of(*v, "oldest");
  m.take("next_left_ms", t.next_left_ms);
  m.take("last_left_ms", t.last_left_ms);
  m.take("reuseaddr", t.reuseaddr);
  m.take("reuseport", t.reuseport);
  m.take_list("owners", t.owners, owner_of);
  if (const json* v = m.find("reuse_counts")) {
    const Members counts(*v);
    counts.take("bind", t.bind_reuses);
    counts.take("connect", t.connect_reuses);
    counts.take("syn", t.syn_reuses);
  }
  m.take_list("reuses", t.reuses, reuse_of);
  m.take("linger_zero", t.linger_zero);
  m.take("complete", t.complete);
  return t;
}

} // namespace

Result<TimeWaitView> read_timewait(std::string_view text) {
  return read_document(text, timewait_of);
}

} // namespace bindlens::protocol
