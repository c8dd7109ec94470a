#include "commands.h"
#include "fetch.h"
#include "phrases.h"
#include "screens.h"
#include "text.h"
#include "timeline.h"

#include <bindlens/util/clock.h>

#include <algorithm>

namespace bindlens::cli {
namespace {

using protocol::SocketView;

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& t : texts) {
    if (!out.empty()) out += ',';
    out += t;
  }
  return out.empty() ? "-" : out;
}

std::string or_dash(std::string text) {
  return text.empty() ? "-" : std::move(text);
}

std::string backlog_text(const SocketView& s) {
  if (!s.backlog) return "-";
  return std::to_string(s.backlog->current) + "/" + std::to_string(s.backlog->max);
}

std::string age_text(const SocketView& s, protocol::WallNs now) {
  if (s.timewait_left_ms) return std::to_string((*s.timewait_left_ms + 999) / 1000) + "s left";
  return s.bound_at ? short_age(now - *s.bound_at) : "-";
}

std::string unit_text(const SocketView& s) {
  const auto* owner = first_owner(s);
  return owner != nullptr ? or_dash(place_text(*owner)) : "-";
}

std::string socket_user(const SocketView& s) {
  if (!s.user.empty()) return s.user;
  return s.uid ? std::to_string(*s.uid) : "-";
}

// "reuseport:33": of that user only.
std::string open_to_text(const SocketView& s) {
  if (!s.bucket) return "-";
  const bool of_user = s.bucket->open_uid.has_value();
  return s.bucket->open_to + (of_user ? ":" + std::to_string(*s.bucket->open_uid) : "");
}

// Columns in the order of SocketTable::cells_of(). Addresses keep their port
// whatever happens; what is least missed goes first.
std::vector<Column> all_columns() {
  return {
      {.title = "PROTO"},
      {.title = "ADDRESS", .keep_end = true, .least = 14},
      {.title = "PEER", .keep_end = true, .least = 14},
      {.title = "STATE"},
      {.title = "FLAGS", .least = 9, .drop_turn = 6},
      {.title = "BACKLOG", .drop_turn = 5},
      {.title = "PROCESS", .least = 20},
      {.title = "UNIT/CONTAINER", .least = 10, .drop_turn = 4},
      {.title = "AGE", .drop_turn = 7},
      {.title = "NETNS", .least = 6, .drop_turn = 8},
      {.title = "USER", .least = 6, .drop_turn = 3},
      {.title = "BY", .drop_turn = 2},
      {.title = "OPEN TO", .drop_turn = 2},
      {.title = "COOKIE", .drop_turn = 1},
  };
}
constexpr size_t peer_column = 2;
constexpr size_t netns_column = 9;
constexpr size_t first_wide_column = 10;

} // namespace

std::vector<std::string> SocketTable::cells_of(const SocketView& s) const {
  std::vector<std::string> cells = {
      proto_text(s),
      address_text(s),
      or_dash(s.peer),
      s.state + (s.uncertain.empty() ? "" : "?"),
      joined(flag_texts(s)),
      backlog_text(s),
      owner_text(s),
      unit_text(s),
      age_text(s, options_.now),
      s.netns == options_.own_netns ? or_dash(s.netns_name) : netns_text(s),
  };
  if (options_.wide) {
    cells.push_back(socket_user(s));
    cells.push_back(or_dash(s.bound_by));
    cells.push_back(open_to_text(s));
    cells.push_back(or_dash(s.cookie));
  }
  return cells;
}

void SocketTable::add(const SocketView& s) {
  any_peer_ = any_peer_ || !s.peer.empty();
  if (!s.uncertain.empty()) ++uncertain_[s.uncertain];
  rows_.push_back({.foreign = s.netns != options_.own_netns,
                   .netns = s.netns,
                   .port = s.port,
                   .cells = cells_of(s)});
}

std::string SocketTable::render(const Style& style) {
  std::ranges::sort(rows_, [](const Row& a, const Row& b) {
    return std::tie(a.foreign, a.netns, a.port, a.cells) <
           std::tie(b.foreign, b.netns, b.port, b.cells);
  });
  const bool any_foreign = std::ranges::any_of(rows_, &Row::foreign);
  const auto is_shown = [&](size_t column) {
    if (column == peer_column) return any_peer_;
    if (column == netns_column) return any_foreign;
    return column < first_wide_column || options_.wide;
  };
  const auto columns = all_columns();
  std::vector<size_t> shown;
  std::vector<Column> shown_columns;
  for (size_t c = 0; c < columns.size(); ++c) {
    if (!is_shown(c)) continue;
    shown.push_back(c);
    shown_columns.push_back(columns[c]);
  }
  Table table(std::move(shown_columns));
  for (Row& row : rows_) {
    std::vector<std::string> cells;
    for (const size_t c : shown)
      cells.push_back(std::move(row.cells[c]));
    table.add(std::move(cells));
  }
  rows_.clear();
  return table.render(style.width);
}

std::string SocketTable::uncertainties(const Style& style) const {
  std::string out;
  for (const auto& [reason, count] : uncertain_)
    out +=
        paragraph("?  " + count_of(count, "socket") + " not for certain: " + reason, 0, 3, style);
  return out;
}

int run_ls(const Common& common, const Query& query) {
  const std::string target = protocol::make_target("/v1/sockets", query.parameters);
  if (common.json) {
    const auto copied = copy_answer(common, target);
    return copied ? finish(common, exit_done) : copied.error();
  }
  const auto now = static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
  SocketTable table(
      {.wide = query.spec.wide, .now = query.spec.at.value_or(now), .own_netns = own_netns()});
  std::string missing;
  Result<void> readable;
  const auto fetched = for_each_line(common, target, [&](std::string_view line) {
    if (const auto gap = protocol::read_missing(line)) {
      missing += paragraph(missing_text(*gap), 0, 2, common.style);
      return true;
    }
    const auto socket = protocol::read_socket(line);
    if (!socket) readable = std::unexpected(socket.error());
    if (socket) table.add(*socket);
    return readable.has_value();
  });
  if (!fetched) return fetched.error();
  if (!readable) return complain(exit_error, readable.error().text);
  if (!missing.empty()) common.out->write(common.style.warning(missing) + "\n");
  if (table.empty()) {
    complain(exit_done,
             query.spec.at ? "no socket is known that matched then" : "no socket matches");
    return finish(common, exit_done);
  }
  const std::string uncertain = table.uncertainties(common.style);
  common.out->write(table.render(common.style));
  if (!uncertain.empty()) common.out->write("\n" + uncertain);
  return finish(common, exit_done);
}

} // namespace bindlens::cli
