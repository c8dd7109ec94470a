#include "members.h"

namespace bindlens::protocol {
namespace {

PortRangeView range_of(const json& object) {
  const Members m(object);
  PortRangeView r;
  m.take("first", r.first);
  m.take("last", r.last);
  return r;
}

std::vector<ProcessPortsView> holders_of(const json& list) {
  if (!list.is_array()) throw WrongType{"processes"};
  std::vector<ProcessPortsView> out;
  for (const json& item : list) {
    ProcessPortsView p;
    p.process = process_of(item);
    Members(item).take("ports", p.ports);
    out.push_back(std::move(p));
  }
  return out;
}

DestinationView destination_of(const json& object) {
  const Members m(object);
  DestinationView d;
  m.take("from", d.from);
  m.take("to", d.to);
  m.take("connections", d.connections);
  m.take("time_wait", d.time_wait);
  m.take("time_wait_reusable", d.time_wait_reusable);
  m.take("used", d.used);
  m.take("left", d.left);
  m.take("share", d.share);
  m.take("severity", d.severity);
  m.take("rate_per_s", d.rate_per_s);
  m.take("growth_per_s", d.growth_per_s);
  m.take("exhausted_in_s", d.exhausted_in_s);
  m.take_object("processes", d.processes, holders_of);
  return d;
}

PortUseView::Tcp tcp_of(const json& object) {
  const Members m(object);
  PortUseView::Tcp t;
  m.take("listening", t.listening);
  m.take("bound", t.bound);
  m.take("connected", t.connected);
  m.take("time_wait", t.time_wait);
  m.take("used", t.used);
  m.take("free", t.free);
  m.take("share", t.share);
  m.take("severity", t.severity);
  if (const json* v = m.find("closed_to_connect")) {
    const Members closed(*v);
    closed.take("ports", t.closed);
    closed.take("severity", t.closed_severity);
    closed.take_object("processes", t.closers, holders_of);
  }
  return t;
}

PortUseView::Udp udp_of(const json& object) {
  const Members m(object);
  PortUseView::Udp u;
  m.take("used", u.used);
  m.take("free", u.free);
  m.take("share", u.share);
  m.take("severity", u.severity);
  return u;
}

PortUseView use_of(const json& object) {
  const Members m(object);
  PortUseView n;
  m.take("netns", n.netns);
  m.take("netns_name", n.netns_name);
  m.take_object("range", n.range, range_of);
  m.take_list("reserved", n.reserved, range_of);
  m.take("ports", n.ports);
  m.take_object("tcp", n.tcp, tcp_of);
  m.take_object("udp", n.udp, udp_of);
  m.take_list("destinations", n.destinations, destination_of);
  m.take("destinations_left_out", n.destinations_left_out);
  return n;
}

PortReportView report_of(const json& object) {
  const Members m(object);
  PortReportView r;
  take_time(m, "time", r.time);
  m.take("window_s", r.window_s);
  m.take("complete", r.complete);
  m.take_list("namespaces", r.namespaces, use_of);
  m.take_list("unknown", r.unknown,
              [](const json& item) { return converted<uint32_t>(item, "unknown"); });
  return r;
}

} // namespace

Result<PortReportView> read_ports(std::string_view text) {
  return read_document(text, report_of);
}

} // namespace bindlens::protocol
