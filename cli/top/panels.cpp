#include "panels.h"

#include "meters.h"

#include "../phrases.h"
#include "../screens.h"
#include "../text.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace bindlens::cli::top {
namespace {

using protocol::FindingView;
using Finding = std::shared_ptr<const FindingView>;

constexpr double ongoing = 0; // a rate above this is one that hurts now

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// `rows` in the order of `less`, turned round for `descending`; what is equal is
// in the order of its key, so that nothing moves without a reason.
template <typename Row, typename Less, typename KeyOf>
void order(std::vector<const Row*>& rows, bool descending, Less less, KeyOf key) {
  std::ranges::sort(rows, [&](const Row* a, const Row* b) {
    if (less(*a, *b)) return !descending;
    if (less(*b, *a)) return descending;
    return key(*a) < key(*b);
  });
}

template <typename Row>
std::vector<const Row*> pointers(const std::vector<Row>& rows) {
  std::vector<const Row*> out;
  out.reserve(rows.size());
  for (const Row& r : rows)
    out.push_back(&r);
  return out;
}

// Adds the row unless the filter leaves it out.
void add_row(Panel& panel, std::string_view filter, std::string key, std::vector<Cell> cells) {
  bool wanted = filter.empty();
  std::string all;
  if (!wanted) {
    for (const Cell& c : cells)
      all += lower(c.text) + "\n";
    wanted = all.find(lower(filter)) != std::string::npos;
  }
  if (!wanted) return;
  panel.grid.add(std::move(cells));
  panel.keys.push_back(std::move(key));
}

Grid grid_of(PanelId id) {
  std::vector<GridColumn> columns;
  for (const PanelColumn& c : panel_columns(id))
    columns.push_back(c.grid);
  return Grid(std::move(columns));
}

std::string pids_text(const std::string& comm, uint32_t pid, uint64_t pids) {
  if (pids <= 1) return comm + "[" + std::to_string(pid) + "]";
  return comm + " (" + thousands(pids) + " pids)";
}

std::string age_text(protocol::WallNs now, protocol::WallNs t) {
  return short_age(now - t);
}

std::string namespace_text(uint32_t inode, const std::string& name, Eyes eyes) {
  if (inode == eyes.own_netns || inode == 0) return "";
  return name.empty() ? std::to_string(inode) : name;
}

// --- failures -----------------------------------------------------------------

enum FailureColumn : size_t {
  f_port,
  f_netns,
  f_call,
  f_error,
  f_rule,
  f_process,
  f_count,
  f_rate,
  f_last,
  f_holder
};

std::string failure_process(const FailureRow& r) {
  const auto& p = r.newest->process;
  return p ? pids_text(p->comm.empty() ? "pid" : p->comm, p->pid, r.pids) : "unknown";
}

std::string holder_of(const protocol::FailureView& f) {
  if (f.holders.empty()) return "-";
  const auto& holder = f.holders.front();
  std::string text = owner_text(holder);
  if (holder.state == "TIME_WAIT") text = holder.state;
  if (!holder.kernel && holder.holders && !holder.holders->empty())
    text = process_text(holder.holders->front()); // without the descriptor
  if (f.holders.size() > 1) text += ", " + std::to_string(f.holders.size() - 1) + " more";
  return text;
}

std::string port_text(const protocol::SocketView& s) {
  return proto_text(s) + " " + (s.port == 0 ? "any" : std::to_string(s.port));
}

bool failure_less(size_t column, const FailureRow& a, const FailureRow& b, Eyes eyes) {
  const auto& x = *a.newest;
  const auto& y = *b.newest;
  switch (column) {
  case f_port:
    return std::tie(x.asked.port, x.asked.proto) < std::tie(y.asked.port, y.asked.proto);
  case f_netns:
    return namespace_text(x.asked.netns, x.asked.netns_name, eyes) <
           namespace_text(y.asked.netns, y.asked.netns_name, eyes);
  case f_call:
    return x.call < y.call;
  case f_error:
    return x.error < y.error;
  case f_rule:
    return x.rule < y.rule;
  case f_process:
    return failure_process(a) < failure_process(b);
  case f_count:
    return a.count < b.count;
  case f_last:
    return x.time > y.time; // the age is less
  case f_holder:
    return holder_of(x) < holder_of(y);
  default: // what goes on now, and then what was last
    return std::tie(a.per_second, x.time) < std::tie(b.per_second, y.time);
  }
}

std::vector<Cell> failure_cells(const FailureRow& r, const Snapshot& s, Eyes eyes) {
  const auto& f = *r.newest;
  const Look now = r.per_second > ongoing ? Look::critical : Look::plain;
  return {{port_text(f.asked)},
          {namespace_text(f.asked.netns, f.asked.netns_name, eyes)},
          {f.call},
          {f.error, now},
          {f.rule.empty() ? "-" : f.rule},
          {failure_process(r)},
          {thousands(r.count)},
          {rate_text(r.per_second), now},
          {age_text(s.now, f.time)},
          {holder_of(f)}};
}

void fill_failures(Panel& panel, const Snapshot& s, const Sort& sort, std::string_view filter,
                   Eyes eyes) {
  panel.title = "Failures";
  constexpr protocol::WallNs hour = 3'600'000'000'000; // how far run_top() looks back
  panel.empty = "none since " + clock_time(s.started - hour, s.now).substr(0, 5);
  auto rows = pointers(s.failures);
  order(
      rows, sort.descending,
      [&](const auto& a, const auto& b) { return failure_less(sort.column, a, b, eyes); },
      [](const auto& r) { return std::string_view(r.key); });
  uint64_t all = 0;
  bool any_now = false;
  for (const FailureRow* r : rows) {
    add_row(panel, filter, r->key, failure_cells(*r, s, eyes));
    all += r->count;
    any_now = any_now || r->per_second > ongoing;
  }
  if (rows.empty()) return;
  panel.summary = count_of(all, "refused call") + ", " + (any_now ? "going on" : "none now");
  if (any_now) panel.summary_look = Look::critical;
  if (s.failures_forgotten != 0)
    panel.summary += ", " + thousands(s.failures_forgotten) + " older rows forgotten";
}

// --- findings -----------------------------------------------------------------

enum FindingColumn : size_t { a_severity, a_id, a_port, a_netns, a_summary };

int severity_rank(const std::string& severity) {
  if (severity == "critical") return 2;
  return severity == "warning" ? 1 : 0;
}

Look severity_look(const std::string& severity) {
  if (severity == "critical") return Look::critical;
  return severity == "warning" ? Look::warning : Look::plain;
}

std::string finding_key(const FindingView& f) {
  return f.id + " " + std::to_string(f.netns) + " " + f.key + " " + std::to_string(f.port);
}

bool finding_less(size_t column, const FindingView& a, const FindingView& b) {
  switch (column) {
  case a_id:
    return a.id < b.id;
  case a_port:
    return std::tie(a.port, a.proto) < std::tie(b.port, b.proto);
  case a_netns:
    return a.netns_name < b.netns_name;
  case a_summary:
    return a.summary < b.summary;
  default:
    return severity_rank(a.severity) < severity_rank(b.severity);
  }
}

std::string tally(const std::vector<Finding>& findings) {
  std::array<uint64_t, 3> by_rank{};
  for (const Finding& f : findings)
    ++by_rank[static_cast<size_t>(severity_rank(f->severity))];
  std::string text;
  const auto add = [&](uint64_t n, std::string_view one, std::string_view many) {
    if (n == 0) return;
    text += text.empty() ? "" : ", ";
    text += std::to_string(n) + " " + std::string(n == 1 ? one : many);
  };
  add(by_rank[2], "critical", "critical");
  add(by_rank[1], "warning", "warnings");
  add(by_rank[0], "info", "infos");
  return text;
}

void fill_findings(Panel& panel, const Snapshot& s, const Sort& sort, std::string_view filter,
                   Eyes eyes) {
  panel.title = "Findings";
  panel.empty = s.findings.known ? "none" : "waiting for the audit";
  if (!s.findings.trouble.empty()) panel.empty = s.findings.trouble;
  std::vector<const FindingView*> rows;
  for (const Finding& f : s.findings.rows)
    rows.push_back(f.get());
  order(
      rows, sort.descending,
      [&](const auto& a, const auto& b) { return finding_less(sort.column, a, b); }, finding_key);
  for (const FindingView* f : rows)
    add_row(panel, filter, finding_key(*f),
            {{f->severity, severity_look(f->severity)},
             {f->id},
             {f->port == 0 ? f->proto : f->proto + " " + std::to_string(f->port)},
             {namespace_text(f->netns, f->netns_name, eyes)},
             {f->summary}});
  panel.summary = tally(s.findings.rows);
  for (const FindingView* f : rows)
    if (f->severity == "critical") panel.summary_look = Look::critical;
}

// --- reuseport groups ----------------------------------------------------------

enum GroupColumn : size_t { g_group, g_netns, g_members, g_rate, g_shares, g_skew, g_verdict };

using protocol::GroupView;

std::string group_text(const GroupView& g) {
  return socket_text(g.at) + (g.at.dev.empty() ? "" : " " + g.at.dev);
}

std::string group_key(const GroupView& g) {
  return std::to_string(g.at.netns) + " " + group_text(g);
}

double group_rate(const GroupView& g) {
  double sum = 0;
  for (const auto& m : g.members)
    sum += m.per_second.value_or(0);
  return sum;
}

// The worst is the greatest.
int verdict_rank(const std::string& verdict) {
  if (verdict == "stalled") return 2;
  return verdict == "skewed" ? 1 : 0;
}

Look verdict_look(const std::string& verdict) {
  constexpr Look looks[] = {Look::plain, Look::warning, Look::critical};
  return looks[verdict_rank(verdict)];
}

// What is wrong, and with whom.
std::string verdict_text(const GroupView& g) {
  std::string text = g.verdict.empty() ? "not known" : g.verdict;
  std::string_view separator = ": ";
  for (const auto& m : g.members) {
    if (!m.stalled) continue;
    const auto* owner = first_owner(m.socket);
    text += std::string(separator) + (owner != nullptr ? process_text(*owner) : "unknown");
    separator = ", ";
  }
  return text;
}

// A column for each member, as high as its share.
std::string shares_text(const GroupView& g) {
  constexpr size_t most = 16;
  constexpr double scale = 10'000;
  std::vector<uint64_t> shares;
  for (const auto& m : g.members)
    if (m.share && shares.size() < most) shares.push_back(static_cast<uint64_t>(*m.share * scale));
  return shares.empty() ? "-" : sparkline(shares, shares.size());
}

std::string skew_text(const GroupView& g) {
  if (!g.skew) return "-";
  const auto hundredths = static_cast<uint64_t>(std::llround(*g.skew * 100));
  const std::string rest = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + "." + (rest.size() < 2 ? "0" : "") + rest;
}

bool group_less(size_t column, const GroupView& a, const GroupView& b) {
  const auto skew = [](const GroupView& g) {
    return std::tuple(verdict_rank(g.verdict), g.skew.value_or(0));
  };
  switch (column) {
  case g_group:
    return std::tie(a.at.port, a.at.proto, a.at.addr) < std::tie(b.at.port, b.at.proto, b.at.addr);
  case g_netns:
    return a.at.netns_name < b.at.netns_name;
  case g_members:
    return a.members.size() < b.members.size();
  case g_rate:
    return group_rate(a) < group_rate(b);
  case g_verdict:
    return a.verdict < b.verdict;
  default:
    return skew(a) < skew(b);
  }
}

void fill_groups(Panel& panel, const Snapshot& s, const Sort& sort, std::string_view filter,
                 Eyes eyes) {
  panel.title = "Reuseport groups";
  panel.empty = s.groups.known ? "none" : "waiting for the daemon";
  if (!s.groups.trouble.empty()) panel.empty = s.groups.trouble;
  std::vector<const GroupView*> rows;
  uint64_t stalled = 0;
  uint64_t skewed = 0;
  for (const auto& g : s.groups.rows) {
    rows.push_back(g.get());
    stalled += verdict_rank(g->verdict) == 2 ? 1 : 0;
    skewed += verdict_rank(g->verdict) == 1 ? 1 : 0;
  }
  order(
      rows, sort.descending,
      [&](const auto& a, const auto& b) { return group_less(sort.column, a, b); }, group_key);
  for (const GroupView* g : rows)
    add_row(panel, filter, group_key(*g),
            {{group_text(*g)},
             {namespace_text(g->at.netns, g->at.netns_name, eyes)},
             {thousands(g->members.size())},
             {rate_text(group_rate(*g))},
             {shares_text(*g)},
             {skew_text(*g)},
             {verdict_text(*g), verdict_look(g->verdict)}});
  if (stalled + skewed == 0) return;
  panel.summary = stalled == 0 ? "" : thousands(stalled) + " stalled";
  if (skewed != 0) panel.summary += (stalled == 0 ? "" : ", ") + thousands(skewed) + " skewed";
  panel.summary_look = stalled == 0 ? Look::warning : Look::critical;
}

// --- processes ----------------------------------------------------------------

enum ProcessColumn : size_t {
  p_process,
  p_total,
  p_bind,
  p_listen,
  p_connect,
  p_release,
  p_fail,
  p_last
};

double total(const ProcessRow& r) {
  double sum = 0;
  for (const double rate : r.per_second)
    sum += rate;
  return sum;
}

bool process_less(size_t column, const ProcessRow& a, const ProcessRow& b) {
  if (column == p_process) return a.comm < b.comm;
  if (column == p_last) return a.last_time > b.last_time;
  if (column == p_total)
    return std::tuple(total(a), a.last_time) < std::tuple(total(b), b.last_time);
  const auto kind = column - p_bind;
  return std::tuple(a.per_second[kind], total(a), a.last_time) <
         std::tuple(b.per_second[kind], total(b), b.last_time);
}

void fill_processes(Panel& panel, const Snapshot& s, const Sort& sort, std::string_view filter) {
  panel.title = "Processes";
  panel.empty = "no process took or gave back a port";
  auto rows = pointers(s.processes);
  order(
      rows, sort.descending,
      [&](const auto& a, const auto& b) { return process_less(sort.column, a, b); },
      [](const auto& r) { return std::string_view(r.key); });
  for (const ProcessRow* r : rows) {
    std::vector<Cell> cells = {{pids_text(r->comm, r->pid, r->pids)}, {rate_text(total(*r))}};
    for (size_t kind = 0; kind < counted_kinds; ++kind) {
      const bool failing = static_cast<Kind>(kind) == Kind::fail && r->per_second[kind] > ongoing;
      cells.push_back({rate_text(r->per_second[kind]), failing ? Look::critical : Look::plain});
    }
    cells.push_back({age_text(s.now, r->last_time)});
    add_row(panel, filter, r->key, std::move(cells));
  }
  if (rows.empty()) return;
  panel.summary = "calls per second";
  if (s.processes_forgotten != 0)
    panel.summary += ", " + thousands(s.processes_forgotten) + " older rows forgotten";
}

// --- detail -------------------------------------------------------------------

void add_text(std::vector<Line>& lines, std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

Style style_of_width(size_t width) {
  return {.width = width, .color = false};
}

void add_failure_detail(std::vector<Line>& lines, const FailureRow& r, const Snapshot& s,
                        size_t width) {
  std::string head =
      count_of(r.count, "refused call") + " since " + clock_time(r.first_time, s.now);
  if (r.pids > 1) head += ", by " + thousands(r.pids) + " processes in turn";
  if (r.per_second > ongoing) head += ", " + rate_text(r.per_second) + " a second now";
  for (const std::string& text : wrap(head + ". The newest:", width))
    lines.emplace_back(text, Look::strong);
  lines.emplace_back();
  add_text(lines, why_screen(*r.newest, style_of_width(width), s.now));
}

void add_finding_detail(std::vector<Line>& lines, const FindingView& f, size_t width, Eyes eyes,
                        protocol::WallNs now) {
  const Style style = style_of_width(width);
  add_text(lines, finding_screen(f, style, eyes.own_netns));
  if (!lines.empty() && severity_look(f.severity) != Look::plain)
    lines.front() = Line(lines.front().text(), severity_look(f.severity));
  if (!f.sockets.empty()) {
    lines.emplace_back();
    lines.emplace_back("  Sockets", Look::strong);
    add_text(lines, holder_lines(f.sockets, 4, style, now));
  }
  if (f.sockets_left_out != 0)
    lines.emplace_back("    and " + count_of(f.sockets_left_out, "more socket"));
  lines.emplace_back();
  add_text(lines,
           paragraph("'bindlens audit --explain " + plain(f.id) + "' tells more.", 2, 0, style));
}

void add_process_detail(std::vector<Line>& lines, const ProcessRow& r, const Snapshot& s) {
  constexpr std::string_view names[counted_kinds] = {"binds", "listens", "connects", "releases",
                                                     "failures"};
  lines.emplace_back(plain(pids_text(r.comm, r.pid, r.pids)), Look::strong);
  lines.emplace_back();
  lines.emplace_back("  first seen  " + clock_time(r.first_time, s.now));
  lines.emplace_back("  last seen   " + clock_time(r.last_time, s.now) + ", pid " +
                     std::to_string(r.pid));
  lines.emplace_back();
  for (size_t kind = 0; kind < counted_kinds; ++kind) {
    std::string name(names[kind]);
    name.resize(10, ' ');
    lines.emplace_back("  " + name + thousands(r.counts[kind]) + " in all, " +
                       (r.per_second[kind] > 0 ? rate_text(r.per_second[kind]) : "none") +
                       " per second now");
  }
}

template <typename Rows, typename KeyOf>
auto find_row(const Rows& rows, std::string_view key, KeyOf key_of) {
  return std::ranges::find_if(rows, [&](const auto& r) { return key_of(r) == key; });
}

} // namespace

std::string rate_text(double per_second) {
  if (per_second <= 0) return "-";
  if (per_second < 0.1) return "0.1";
  if (per_second >= 9.95) return thousands(static_cast<uint64_t>(std::llround(per_second)));
  const auto tenths = static_cast<uint64_t>(std::llround(per_second * 10));
  if (tenths % 10 == 0) return std::to_string(tenths / 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

std::vector<PanelColumn> panel_columns(PanelId id) {
  constexpr bool numbers = true; // the largest on top
  switch (id) {
  case PanelId::failures:
    return {{{.title = "PORT"}},
            {{.title = "NETNS", .least = 6, .drop_turn = 2}},
            {{.title = "CALL", .drop_turn = 1}},
            {{.title = "ERROR", .drop_turn = 3}},
            {{.title = "RULE", .least = 8}},
            {{.title = "PROCESS", .least = 12, .keeps_pid = true}},
            {{.title = "COUNT", .right = true, .drop_turn = 5}, numbers},
            {{.title = "PER S", .right = true}, numbers},
            {{.title = "LAST", .right = true}},
            {{.title = "HOLDER", .least = 12, .keeps_pid = true, .drop_turn = 4}}};
  case PanelId::findings:
    return {{{.title = "SEVERITY"}, true},
            {{.title = "FINDING", .least = 12}},
            {{.title = "PORT"}},
            {{.title = "NETNS", .least = 6, .drop_turn = 1}},
            {{.title = "SUMMARY", .least = 16, .drop_turn = 2}}};
  case PanelId::groups:
    return {{{.title = "GROUP", .least = 12}},
            {{.title = "NETNS", .least = 6, .drop_turn = 1}},
            {{.title = "MEMBERS", .right = true, .drop_turn = 2}, numbers},
            {{.title = "PER S", .right = true, .drop_turn = 3}, numbers},
            {{.title = "SHARES", .drop_turn = 4}},
            {{.title = "SKEW", .right = true}, numbers},
            {{.title = "VERDICT", .least = 8}, true}};
  case PanelId::processes:
    break;
  }
  return {{{.title = "PROCESS", .least = 12, .keeps_pid = true}},
          {{.title = "CALLS", .right = true}, numbers},
          {{.title = "BINDS", .right = true}, numbers},
          {{.title = "LISTENS", .right = true, .drop_turn = 2}, numbers},
          {{.title = "CONNECTS", .right = true, .drop_turn = 4}, numbers},
          {{.title = "RELEASES", .right = true, .drop_turn = 1}, numbers},
          {{.title = "FAILURES", .right = true}, numbers},
          {{.title = "LAST", .right = true, .drop_turn = 3}}};
}

Sort first_sort(PanelId id) {
  switch (id) {
  case PanelId::failures:
    return {f_rate, true};
  case PanelId::findings:
    return {a_severity, true};
  case PanelId::groups:
    return {g_skew, true};
  case PanelId::processes:
    break;
  }
  return {p_total, true};
}

Panel make_panel(PanelId id, const Snapshot& s, const Sort& sort, std::string_view filter,
                 Eyes eyes) {
  Panel panel;
  panel.grid = grid_of(id);
  switch (id) {
  case PanelId::failures:
    fill_failures(panel, s, sort, filter, eyes);
    break;
  case PanelId::findings:
    fill_findings(panel, s, sort, filter, eyes);
    break;
  case PanelId::groups:
    fill_groups(panel, s, sort, filter, eyes);
    break;
  case PanelId::processes:
    fill_processes(panel, s, sort, filter);
    break;
  }
  if (!filter.empty() && panel.keys.empty() && !panel.summary.empty())
    panel.empty = "nothing here contains '" + plain(filter) + "'";
  return panel;
}

std::vector<Line> detail_of(PanelId id, const Snapshot& s, std::string_view key, size_t width,
                            Eyes eyes) {
  std::vector<Line> lines;
  const auto own_key = [](const auto& r) { return std::string_view(r.key); };
  if (id == PanelId::failures) {
    const auto row = find_row(s.failures, key, own_key);
    if (row != s.failures.end()) add_failure_detail(lines, *row, s, width);
  } else if (id == PanelId::findings) {
    const auto row = find_row(s.findings.rows, key, [](const auto& f) { return finding_key(*f); });
    if (row != s.findings.rows.end()) add_finding_detail(lines, **row, width, eyes, s.now);
  } else if (id == PanelId::groups) {
    const auto row = find_row(s.groups.rows, key, [](const auto& g) { return group_key(*g); });
    if (row != s.groups.rows.end())
      add_text(lines, group_screen(**row, style_of_width(width), {.own_netns = eyes.own_netns}));
  } else {
    const auto row = find_row(s.processes, key, own_key);
    if (row != s.processes.end()) add_process_detail(lines, *row, s);
  }
  return lines;
}

} // namespace bindlens::cli::top
