#include "slices.h"

#include <algorithm>

namespace bindlens::history {

std::string in_ports(const std::string& column, const std::vector<model::PortRange>& ports) {
  std::string sql = "(";
  for (const model::PortRange r : ports) {
    if (sql.size() > 1) sql += " OR ";
    // "=" lets an index on port and time be used in the order of time.
    sql += r.first == r.last
               ? column + " = " + std::to_string(r.first)
               : column + " BETWEEN " + std::to_string(r.first) + " AND " + std::to_string(r.last);
  }
  return sql + ")";
}

namespace {

using model::EventType;
using model::Missing;

constexpr const char* event_columns =
    "e.id, e.wall, e.type, e.socket, e.process, e.state, e.flags, e.detail";
enum Column { c_id, c_wall, c_type, c_socket, c_process, c_state, c_flags, c_detail };

std::string in_types(const std::vector<EventType>& types) {
  std::string sql = " AND e.type IN (";
  for (size_t i = 0; i < types.size(); ++i)
    sql += (i == 0 ? "" : ", ") + std::to_string(static_cast<int>(types[i]));
  return sql + ")";
}

// The rows of events of one stretch, in either direction from a place.
class EventRows {
 public:
  EventRows(Database& db, const Source& source, const model::Filter& filter, Stretch stretch,
            bool backwards)
      : from_(filter.since ? static_cast<int64_t>(*filter.since) : INT64_MIN),
        until_(filter.until ? static_cast<int64_t>(*filter.until) : INT64_MAX),
        last_event_(source.last_event), stretch_(stretch), backwards_(backwards),
        select_(db, sql(filter, backwards)) {}

  Statement& read_from(const Place& after) {
    // Also by time alone, which an index finds.
    const int64_t from = backwards_ ? from_ : std::max(from_, after.wall);
    const int64_t until = backwards_ ? std::min(until_, after.wall) : until_;
    return select_.bind(from, until, after.wall, after.id, last_event_, stretch_.first_clock,
                        stretch_.last_clock, rows_at_once);
  }

 private:
  // ?1 … ?7 in both arms.
  static std::string conditions(const model::Filter& filter, bool backwards) {
    std::string sql = "e.wall >= ?1 AND e.wall <= ?2 AND (e.wall, e.id) ";
    sql += backwards ? "<" : ">";
    sql += " (?3, ?4) AND e.id <= ?5 AND e.clock BETWEEN ?6 AND ?7 AND e.type <> " +
           std::to_string(static_cast<int>(EventType::gap)); // they are among what is missing
    if (!filter.types.empty()) sql += in_types(filter.types);
    return sql;
  }

  static std::string sql(const model::Filter& filter, bool backwards) {
    const auto port = filter.single_port();
    const std::string where = conditions(filter, backwards);
    std::string sql = std::string("SELECT ") + event_columns + " FROM event e INDEXED BY " +
                      (port ? "event_port" : "event_wall") + " WHERE " + where;
    if (!filter.ports.empty()) sql += " AND " + in_ports("e.port", filter.ports);
    if (port) sql += by_peer(*port, where);
    const std::string order = backwards ? " DESC" : "";
    return sql + " ORDER BY 2" + order + ", 1" + order + " LIMIT ?8";
  }

  // A refused connect is found by the port of its destination as well.
  static std::string by_peer(uint16_t port, const std::string& where) {
    const std::string number = std::to_string(port);
    return std::string(" UNION ALL SELECT ") + event_columns +
           " FROM failure f CROSS JOIN event e INDEXED BY event_failure ON e.type = 5 AND "
           "e.detail = f.id WHERE f.peer_port = " +
           number + " AND f.call = 2 AND e.port <> " + number + " AND " + where;
  }

  int64_t from_, until_, last_event_;
  Stretch stretch_;
  bool backwards_;
  Statement select_;
};

model::Event event_at(const Statement& row, ReadRows& rows, std::string& netns_name) {
  model::Event e;
  e.id = static_cast<uint64_t>(row.integer(c_id));
  e.time = static_cast<MonoNs>(row.integer(c_wall));
  e.type = static_cast<EventType>(row.integer(c_type));
  e.process = rows.process(row.integer(c_process));
  if (e.type == EventType::fail) {
    e.failure = rows.failure(row.integer(c_detail));
    if (e.failure) e.process = e.failure->process;
    return e;
  }
  if (e.type == EventType::audit) {
    e.finding = rows.finding(row.integer(c_detail));
    e.resolved = row.integer(c_flags) != 0;
    return e;
  }
  if (const auto* s = rows.socket(row.integer(c_socket))) {
    e.socket = s->past.socket;
    e.bound_by = s->past.bound_by;
    netns_name = s->netns.name;
    if (e.type == EventType::release) e.process = s->past.binder;
  }
  if (e.type == EventType::reuseport_leave && !row.null(c_detail))
    e.counted = rows.share(row.integer(c_detail), row.integer(c_id));
  if (!row.null(c_state)) e.socket.state = static_cast<model::State>(row.integer(c_state));
  if (!row.null(c_flags)) e.socket.flags.bits = static_cast<uint32_t>(row.integer(c_flags));
  return e;
}

bool is_about_daemon(EventType t) {
  return t == EventType::start || t == EventType::stop;
}

// Start and stop are of interest to who asks about everything, or asks for them.
bool matches(const model::Filter& f, const model::Event& e) {
  if (e.type == EventType::fail) return e.failure && f.matches(*e.failure);
  if (e.type == EventType::audit && !e.finding) return false;
  if (!is_about_daemon(e.type)) return f.matches(e);
  const bool about_sockets = !f.protos.empty() || !f.ports.empty() || f.addr || !f.states.empty() ||
                             f.uid || f.netns || f.needs_processes();
  return !about_sockets;
}

class EventsQuery final : public Query {
 public:
  EventsQuery(Source source, Range range) : source_(std::move(source)), range_(std::move(range)) {}

  Result<model::PastPiece> next() override {
    if (!reading_)
      if (auto begun = begin(); !begun) return std::unexpected(begun.error());
    model::PastPiece piece;
    search_ ? search() : read(piece);
    if (auto read = reading_->result(); !read) return std::unexpected(read.error());
    return piece;
  }

 private:
  Result<void> begin();
  void search();
  void search_from(size_t stretch);
  void start(size_t stretch, Place after);
  void read(model::PastPiece& piece);
  bool take(const Statement& row, model::PastPiece& piece);
  void tell_missing(int64_t before, model::PastPiece& piece);
  void enter(size_t stretch);

  Source source_;
  Range range_;
  std::unique_ptr<Reading> reading_;
  std::vector<Stretch> stretches_;
  size_t stretch_ = 0;
  Place at_ = before_all;
  std::unique_ptr<EventRows> rows_;
  std::vector<Missing> missing_;
  size_t told_ = 0; // of missing_
  struct Search {
    uint64_t left = 0; // that must match before it is found
    size_t stretch = 0;
    Place at = after_all;
    std::unique_ptr<EventRows> rows{};
  };
  std::optional<Search> search_;
};

Result<void> EventsQuery::begin() {
  auto opened = Reading::open(source_);
  if (!opened) return std::unexpected(opened.error());
  reading_ = *std::move(opened);
  const model::Filter& f = range_.filter;
  stretches_ = stretches(reading_->db());
  missing_ = missing_in(reading_->db(), static_cast<int64_t>(f.since.value_or(0)),
                        static_cast<int64_t>(f.until.value_or(INT64_MAX)), f);
  enter(0);
  if (range_.limit) search_from(stretches_.size() - 1);
  return reading_->result();
}

void EventsQuery::enter(size_t stretch) {
  stretch_ = stretch;
  at_ = before_all;
  rows_ = std::make_unique<EventRows>(reading_->db(), source_, range_.filter, stretches_[stretch],
                                      false);
}

// Backwards to the first of the newest so many, of which only the place is kept.
// One slice at a time: the search is long when little matches.
void EventsQuery::search() {
  std::string name;
  Place& at = search_->at;
  int looked_at = 0;
  Statement& row = search_->rows->read_from(at);
  while (row.step()) {
    ++looked_at;
    at = {row.integer(c_wall), row.integer(c_id)};
    if (!matches(range_.filter, event_at(row, reading_->rows(), name)) || search_->left-- != 0)
      continue;
    row.reset(); // the answer begins with the one after it
    return start(search_->stretch, at);
  }
  if (looked_at == rows_at_once || reading_->db().failed()) return;
  if (search_->stretch == 0) return start(0, before_all);
  search_from(search_->stretch - 1);
}

void EventsQuery::search_from(size_t stretch) {
  if (!search_) search_ = Search{.left = *range_.limit};
  search_->stretch = stretch;
  search_->at = after_all;
  search_->rows = std::make_unique<EventRows>(reading_->db(), source_, range_.filter,
                                              stretches_[stretch], true);
}

void EventsQuery::start(size_t stretch, Place after) {
  search_.reset();
  enter(stretch);
  at_ = after;
  while (told_ < missing_.size() && missing_[told_].until < after.wall)
    ++told_;
}

void EventsQuery::tell_missing(int64_t before, model::PastPiece& piece) {
  while (told_ < missing_.size() && missing_[told_].from < before)
    piece.items.push_back({missing_[told_++], {}});
}

bool EventsQuery::take(const Statement& row, model::PastPiece& piece) {
  at_ = {row.integer(c_wall), row.integer(c_id)};
  std::string name;
  model::Event e = event_at(row, reading_->rows(), name);
  if (!matches(range_.filter, e)) return false;
  tell_missing(at_.wall, piece);
  piece.items.push_back({std::move(e), std::move(name)});
  return true;
}

void EventsQuery::read(model::PastPiece& piece) {
  int looked_at = 0;
  Statement& row = rows_->read_from(at_);
  while (row.step()) {
    ++looked_at;
    if (take(row, piece) && piece.items.size() >= items_at_once) return row.reset();
  }
  if (looked_at == rows_at_once || reading_->db().failed()) return;
  if (stretch_ + 1 < stretches_.size()) return enter(stretch_ + 1);
  tell_missing(INT64_MAX, piece);
  piece.last = true;
}

} // namespace

std::unique_ptr<Query> events_query(Source source, Range range) {
  return std::make_unique<EventsQuery>(std::move(source), std::move(range));
}

} // namespace bindlens::history
