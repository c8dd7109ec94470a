#include "phrases.h"
#include "screens.h"
#include "text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace bindlens::cli {
namespace {

using protocol::DestinationView;
using protocol::PortRangeView;
using protocol::PortUseView;
using protocol::ProcessPortsView;

constexpr size_t indent = 2;
constexpr size_t detail_indent = 7; // below the bars
constexpr size_t wide_enough = 72;
constexpr size_t most_holes = 4;

std::string percent(double share) {
  char text[16];
  // 100.0 % is for what is full.
  const double tenths = std::floor(share * 1000) / 10;
  return {text, static_cast<size_t>(std::snprintf(text, sizeof text, "%.1f %%", tenths))};
}

std::string aligned(std::string text, size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
  return text;
}

std::string colored(std::string_view text, const std::string& severity, const Style& style) {
  if (severity == "critical") return style.critical(text);
  if (severity == "warning") return style.warning(text);
  return std::string(text);
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& p : parts) {
    if (!out.empty()) out += ", ";
    out += p;
  }
  return out;
}

std::string place(const PortUseView& n) {
  return n.netns_name.empty() ? std::to_string(n.netns) : plain(n.netns_name);
}

std::string range_text(const PortRangeView& r) {
  std::string text = std::to_string(r.first);
  if (r.last != r.first) text += "-" + std::to_string(r.last);
  return text;
}

// "32768-60999 without 40000-40010 and 41000"
std::string ports_text(const PortUseView& n) {
  std::string text = range_text(n.range);
  if (n.reserved.empty()) return text;
  std::vector<std::string> holes;
  for (const PortRangeView& r : n.reserved)
    holes.push_back(range_text(r));
  if (holes.size() > most_holes) {
    const size_t more = holes.size() - most_holes;
    holes.resize(most_holes);
    holes.push_back(std::to_string(more) + " more");
  }
  return text + " without the reserved " + joined(holes);
}

std::string counts(std::initializer_list<std::pair<uint64_t, std::string_view>> all) {
  std::vector<std::string> parts;
  for (const auto& [count, name] : all)
    if (count != 0) parts.push_back(thousands(count) + " " + std::string(name));
  return joined(parts);
}

std::string processes_text(const std::vector<ProcessPortsView>& all) {
  std::vector<std::string> parts;
  for (const ProcessPortsView& p : all)
    parts.push_back(process_text(p.process) + " " + thousands(p.ports));
  return joined(parts);
}

// "████████░░░░  66.7 %  warning  4 left", after `head`.
std::string bar_line(const std::string& head, double share, const std::string& severity,
                     const std::string& rest, const Style& style) {
  const size_t width = style.text_width() >= wide_enough ? 24 : 10;
  std::string measured = bar(share, width) + " " + aligned(percent(share), 7);
  if (!severity.empty()) measured += "  " + severity;
  std::string line = head;
  line.append(detail_indent - std::min(detail_indent, head.size()), ' ');
  const size_t used = line.size() + display_width(measured) + 2;
  std::string out = line + colored(measured, severity, style);
  // What does not fit beside the bar goes below it.
  if (used + display_width(rest) <= style.text_width()) return out + "  " + rest + "\n";
  return out + "\n" + paragraph(rest, detail_indent, 0, style);
}

std::string detail(const std::string& text, const Style& style) {
  return text.empty() ? "" : paragraph(text, detail_indent, 0, style);
}

std::string in_use(uint64_t used, uint64_t free) {
  return thousands(used) + " in use, " + (free == 0 ? "none" : thousands(free)) + " free";
}

std::string pace_text(const DestinationView& d) {
  if (!d.rate_per_s) return "";
  const bool full = d.left == 0;
  const bool idle = *d.rate_per_s < 0.05;
  std::string text;
  if (!idle) {
    const auto rate = static_cast<uint64_t>(std::llround(*d.rate_per_s));
    text = ", " + (rate == 0 ? "less than 1" : thousands(rate)) + " new/s";
  }
  if (full) return text;
  if (d.exhausted_in_s)
    return text + ", full in " + duration(static_cast<int64_t>(*d.exhausted_in_s * 1e9));
  return idle ? "" : text + ", as many come back";
}

std::string destination_text(const DestinationView& d, const PortUseView& n, const Style& style) {
  std::string out = paragraph("to " + plain(d.to) + "  from " + plain(d.from), indent, 2, style);
  out += bar_line("", d.share, d.severity,
                  (d.left == 0 ? "none left" : thousands(d.left) + " left") + pace_text(d), style);
  std::string what = counts({{d.connections, "connected"},
                             {d.time_wait, "TIME_WAIT"},
                             {n.tcp.closed, "closed to connect"}});
  if (d.time_wait_reusable != 0)
    what += "; connect may take over " + thousands(d.time_wait_reusable) + " of TIME_WAIT";
  out += detail(what, style);
  if (d.processes) out += detail(processes_text(*d.processes), style);
  return out;
}

// What will fail, once for each kind.
std::string warnings(const PortUseView& n, const Style& style) {
  std::string out;
  const auto add = [&](const std::string& severity, const std::string& text) {
    if (severity.empty()) return;
    std::string lines = paragraph(severity + ": " + text, indent, 2, style);
    const size_t at = lines.find(severity);
    out += lines.replace(at, severity.size(), colored(severity, severity, style));
  };
  const auto& t = n.tcp;
  if (!t.closed_severity.empty())
    add(t.closed_severity,
        "binds have closed " +
            percent(static_cast<double>(t.closed) / static_cast<double>(n.ports)) +
            " of the ports to connect; when none is left, every connect fails "
            "with EADDRNOTAVAIL");
  const auto loaded = std::ranges::find_if(
      n.destinations, [](const DestinationView& d) { return !d.severity.empty(); });
  if (loaded != n.destinations.end() && t.closed_severity.empty())
    add(loaded->severity, "when no port is left to " + plain(loaded->to) +
                              ", connect to there fails with EADDRNOTAVAIL");
  if (!t.severity.empty())
    add(t.severity, "when no TCP port is free, bind to port 0 fails with EADDRINUSE; connect "
                    "goes on with ports that other destinations use");
  if (!n.udp.severity.empty())
    add(n.udp.severity, "when no UDP port is free, sending from a new socket fails with EAGAIN");
  return out;
}

bool is_unused(const PortUseView& n) {
  return n.tcp.used == 0 && n.udp.used == 0;
}

std::string namespace_text(const PortUseView& n, const Style& style) {
  const std::string head = "namespace " + place(n) + ": ";
  if (is_unused(n))
    return paragraph(head + "none of " + thousands(n.ports) + " ports (" + ports_text(n) +
                         ") in use",
                     0, 2, style);
  std::string out = paragraph(head + thousands(n.ports) + " ports, " + ports_text(n), 0, 2, style);
  out += warnings(n, style);
  const auto& t = n.tcp;
  out += bar_line("  tcp", t.share, t.severity, in_use(t.used, t.free), style);
  out += detail(counts({{t.listening, "listening"},
                        {t.bound, "bound"},
                        {t.connected, "connected"},
                        {t.time_wait, "TIME_WAIT"}}),
                style);
  if (t.closed != 0) {
    std::string closed = thousands(t.closed) + " closed to connect by a bind or listen";
    if (t.closers && !t.closers->empty()) closed += ": " + processes_text(*t.closers);
    out += detail(closed, style);
  }
  out += bar_line("  udp", n.udp.share, n.udp.severity, in_use(n.udp.used, n.udp.free), style);
  for (const DestinationView& d : n.destinations)
    out += destination_text(d, n, style);
  if (n.destinations_left_out != 0)
    out += paragraph("and " + count_of(n.destinations_left_out, "destination") +
                         " with fewer ports in use",
                     indent, 0, style);
  return out;
}

bool warns(const PortUseView& n) {
  return !n.tcp.severity.empty() || !n.tcp.closed_severity.empty() || !n.udp.severity.empty() ||
         std::ranges::any_of(n.destinations,
                             [](const DestinationView& d) { return !d.severity.empty(); });
}

bool shows_pace(const protocol::PortReportView& r) {
  for (const PortUseView& n : r.namespaces)
    for (const DestinationView& d : n.destinations)
      if (d.rate_per_s && *d.rate_per_s > 0) return true;
  return false;
}

std::string remarks(const protocol::PortReportView& r, const Style& style) {
  std::string out;
  if (shows_pace(r))
    out += paragraph("New connections and how long it lasts: from the last " +
                         std::to_string(std::llround(r.window_s.value_or(0))) + " s.",
                     0, 0, style);
  if (!r.complete)
    out += paragraph("Incomplete: records were lost, or the tables changed faster than they could "
                     "be read.",
                     0, 0, style);
  if (!r.unknown.empty())
    out += paragraph(count_of(r.unknown.size(), "more namespace") +
                         " could not be looked into: the sysctls there cannot be read.",
                     0, 0, style);
  if (std::ranges::any_of(r.namespaces, warns))
    out += paragraph("'bindlens audit --explain ephemeral-near-exhaustion' tells what helps.", 0, 0,
                     style);
  return out;
}

} // namespace

std::string ports_screen(const protocol::PortReportView& r, const Style& style) {
  std::string out;
  if (r.namespaces.empty()) out = "no TCP or UDP port is held in any network namespace\n";
  for (const PortUseView& n : r.namespaces) {
    if (!out.empty() && !is_unused(n)) out += "\n";
    out += namespace_text(n, style);
  }
  const std::string last = remarks(r, style);
  return last.empty() ? out : out + "\n" + last;
}

} // namespace bindlens::cli
