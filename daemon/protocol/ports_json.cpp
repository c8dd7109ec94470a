#include "socket_json.h"

#include <cmath>

namespace bindlens::protocol {
namespace {

using model::DestinationUse;
using model::PortUse;

double share(uint32_t used, uint32_t of) {
  return of == 0 ? 0 : std::round(1e4 * used / of) / 1e4;
}

// Tenths: a pace is no more exact.
double rounded(double value) {
  return std::round(value * 10) / 10;
}

void write_severity(ObjectWriter& json, std::optional<model::Severity> severity) {
  if (severity) json.word("severity", to_string(*severity));
}

void append_range(std::string& out, const model::PortRange& r) {
  ObjectWriter json(out);
  json.number("first", r.first);
  json.number("last", r.last);
  json.end();
}

void append_process_ports(std::string& out, const model::ProcessPorts& p) {
  ObjectWriter json(out);
  json.number("ports", p.ports);
  json.number("pid", p.process->pid);
  append_process_facts(out, *p.process);
  json.end();
}

void append_destination(std::string& out, const DestinationUse& d, const PortUse& n) {
  ObjectWriter json(out);
  json.text("from", to_string(d.from));
  json.text("to", to_string(d.to));
  json.number("connections", d.connections);
  json.number("time_wait", d.time_wait);
  if (d.reusable != 0) json.number("time_wait_reusable", d.reusable);
  json.number("used", n.ports - d.left);
  json.number("left", d.left);
  json.number("share", share(n.ports - d.left, n.ports));
  write_severity(json, d.severity);
  if (d.pace) {
    json.number("rate_per_s", rounded(d.pace->opened_per_s));
    json.number("growth_per_s", rounded(d.pace->grows_per_s));
    if (d.pace->exhausted_in_s) json.number("exhausted_in_s", rounded(*d.pace->exhausted_in_s));
  }
  if (d.processes_known) append_array(json.value("processes"), d.processes, append_process_ports);
  json.end();
}

void append_tcp(std::string& out, const PortUse& n) {
  ObjectWriter json(out);
  json.number("listening", n.listening);
  json.number("bound", n.bound);
  json.number("connected", n.connected);
  json.number("time_wait", n.time_wait);
  json.number("used", n.tcp_used());
  json.number("free", n.ports - n.tcp_used());
  json.number("share", share(n.tcp_used(), n.ports));
  write_severity(json, n.tcp_severity);
  std::string& closed = json.value("closed_to_connect");
  ObjectWriter inner(closed);
  inner.number("ports", n.closed_to_connect);
  write_severity(inner, n.closed_severity);
  if (n.closers_known) append_array(inner.value("processes"), n.closers, append_process_ports);
  inner.end();
  json.end();
}

void append_udp(std::string& out, const PortUse& n) {
  ObjectWriter json(out);
  json.number("used", n.udp);
  json.number("free", n.ports - n.udp);
  json.number("share", share(n.udp, n.ports));
  write_severity(json, n.udp_severity);
  json.end();
}

void append_use(std::string& out, const PortUse& n, const Names& names) {
  ObjectWriter json(out);
  json.number("netns", n.netns);
  json.known_text("netns_name", names.netns(n.netns));
  append_range(json.value("range"), n.range);
  append_array(json.value("reserved"), n.reserved, append_range);
  json.number("ports", n.ports);
  append_tcp(json.value("tcp"), n);
  append_udp(json.value("udp"), n);
  append_array(json.value("destinations"), n.destinations,
               [&](std::string& to, const DestinationUse& d) { append_destination(to, d, n); });
  if (n.destinations_left_out != 0) json.number("destinations_left_out", n.destinations_left_out);
  json.end();
}

} // namespace

std::string to_json(const model::PortReport& r, const Names& names) {
  std::string out;
  ObjectWriter json(out);
  write_time(json, "time", r.time, wall_offset());
  if (r.window_s > 0) json.number("window_s", rounded(r.window_s));
  json.flag("complete", r.complete);
  append_array(json.value("namespaces"), r.namespaces,
               [&](std::string& to, const PortUse& n) { append_use(to, n, names); });
  if (!r.unknown.empty())
    append_array(json.value("unknown"), r.unknown,
                 [](std::string& to, uint32_t netns) { append_number(to, netns); });
  json.end();
  out += '\n';
  return out;
}

} // namespace bindlens::protocol
