#include "meters.h"

#include "panels.h"

#include "../text.h"

#include <algorithm>

namespace bindlens::cli::top {
namespace {

constexpr std::string_view names[counted_kinds] = {"binds", "listens", "connects", "releases",
                                                   "failures"};
constexpr size_t tall_rows = 18; // from here on there is room for graphs
constexpr size_t two_columns = 72;

std::string per_second_text(double rate) {
  return rate > 0 ? rate_text(rate) + "/s" : "0/s";
}

Look look_of(size_t kind, const Snapshot& s) {
  const bool failing = static_cast<Kind>(kind) == Kind::fail && s.meters[kind].per_second > 0;
  return failing ? Look::critical : Look::plain;
}

uint64_t peak_of(const Meter& meter, size_t width) {
  const size_t n = std::min(width, meter.history.size());
  uint64_t peak = 0;
  for (size_t i = meter.history.size() - n; i < meter.history.size(); ++i)
    peak = std::max(peak, meter.history[i]);
  return peak;
}

void add_right(Line& line, std::string_view text, size_t width, Look look) {
  const size_t own = display_width(text);
  line.add(std::string(width - std::min(width, own), ' ')).add(text, look);
}

// "binds      1,204/s ▁▂▃▅▇ peak 2,000"
Line meter_line(size_t kind, const Snapshot& s, size_t width) {
  constexpr size_t name_width = 9, rate_width = 9, peak_width = 13, least_graph = 8;
  const Meter& meter = s.meters[kind];
  Line line;
  line.add(names[kind], Look::strong).fill(name_width);
  add_right(line, per_second_text(meter.per_second), rate_width, look_of(kind, s));
  line.add(" ");
  const size_t room = width - std::min(width, line.width());
  if (room < least_graph) return line;
  const bool with_peak = room >= 2 * peak_width;
  const size_t graph = with_peak ? room - peak_width : room;
  line.add(sparkline(meter.history, graph));
  if (!with_peak) return line;
  const double seconds = static_cast<double>(s.sample_ns) / 1e9;
  if (const uint64_t peak = peak_of(meter, graph); peak != 0)
    line.add(" peak " + rate_text(static_cast<double>(peak) / seconds), Look::faint);
  return line;
}

std::string lost_text(const Snapshot& s) {
  const uint64_t all = s.lost + s.lost_by_us;
  if (all == 0) return "none";
  std::string text = thousands(all);
  if (s.lost_by_us != 0)
    text += s.lost == 0 ? " by this view" : " (" + thousands(s.lost_by_us) + " by this view)";
  return text;
}

Line lost_line(const Snapshot& s, size_t width) {
  constexpr std::string_view meaning = ": figures are too low";
  Line line;
  line.add("lost", Look::strong).fill(9);
  if (s.lost + s.lost_by_us == 0) {
    add_right(line, "none", 9, Look::plain);
    return line;
  }
  std::string text = lost_text(s);
  if (line.width() + 2 + text.size() + meaning.size() <= width) text += meaning;
  return line.add("  ").add(text, Look::critical);
}

std::string daemon_text(const protocol::StatusView& status) {
  if (status.version.empty()) return "";
  return "bindlensd " + plain(status.version) + ", " + plain(status.tier) + ", " +
         count_of(status.sockets, "socket") + " in " + count_of(status.namespaces, "namespace");
}

std::string trouble_text(const Snapshot& s) {
  const std::string since = "since " + clock_time(s.link.down_since, s.now).substr(0, 8);
  if (!s.link.trouble.empty()) return since + ": " + plain(s.link.trouble);
  return "daemon gone " + since + ", trying again";
}

Line title_line(const Snapshot& s, size_t width, bool paused) {
  Line line;
  line.add("bindlens top", Look::strong).add("  ");
  const std::string right = paused ? " PAUSED " : "";
  if (!s.link.up)
    line.add(trouble_text(s), Look::critical);
  else
    line.add(daemon_text(s.status));
  const size_t room = width - std::min(width, right.size());
  line.limit(room);
  if (paused) line.fill(room).add(right, Look::bar);
  return line;
}

// Whole items only, what matters most first.
Line compact_line(const Snapshot& s, size_t width) {
  constexpr Kind order[] = {Kind::fail, Kind::bind, Kind::connect, Kind::listen, Kind::release};
  Line line;
  if (s.lost + s.lost_by_us != 0) line.add("lost " + lost_text(s), Look::critical);
  for (const Kind kind : order) {
    const auto k = static_cast<size_t>(kind);
    const std::string rate = per_second_text(s.meters[k].per_second);
    const std::string separator = line.width() == 0 ? "" : "  ";
    if (line.width() + separator.size() + names[k].size() + 1 + rate.size() > width) continue;
    line.add(separator + std::string(names[k]) + " ").add(rate, look_of(k, s));
  }
  return line;
}

} // namespace

std::string sparkline(const std::vector<uint64_t>& history, size_t width) {
  constexpr std::string_view levels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const size_t n = std::min(width, history.size());
  uint64_t peak = 1;
  for (size_t i = history.size() - n; i < history.size(); ++i)
    peak = std::max(peak, history[i]);
  std::string out(width - n, ' ');
  for (size_t i = history.size() - n; i < history.size(); ++i) {
    // Rounded up: one bind among thousands is still not nothing.
    const auto level =
        static_cast<size_t>((static_cast<double>(history[i]) * 7 + static_cast<double>(peak) - 1) /
                            static_cast<double>(peak));
    out += levels[std::min<size_t>(level, 7)];
  }
  return out;
}

std::vector<Line> head_lines(const Snapshot& s, Size size, bool paused) {
  std::vector<Line> lines = {title_line(s, size.columns, paused)};
  if (size.rows < tall_rows) {
    lines.push_back(compact_line(s, size.columns));
    return lines;
  }
  if (size.columns < two_columns) {
    for (size_t kind = 0; kind < counted_kinds; ++kind)
      lines.push_back(meter_line(kind, s, size.columns));
    lines.push_back(lost_line(s, size.columns));
    return lines;
  }
  constexpr Kind left[] = {Kind::bind, Kind::listen, Kind::fail};
  constexpr Kind right[] = {Kind::connect, Kind::release};
  const size_t half = size.columns / 2;
  for (size_t row = 0; row < 3; ++row) {
    Line line = meter_line(static_cast<size_t>(left[row]), s, half - 1);
    line.fill(half);
    const Line other = row < 2 ? meter_line(static_cast<size_t>(right[row]), s, size.columns - half)
                               : lost_line(s, size.columns - half);
    for (const Span& span : other.spans())
      line.add(span.text, span.look);
    lines.push_back(std::move(line));
  }
  return lines;
}

} // namespace bindlens::cli::top
