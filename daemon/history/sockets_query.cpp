#include "slices.h"

#include <algorithm>
#include <set>

namespace bindlens::history {

namespace {

using model::Missing;

// The table that is read after a start or a loss comes so soon.
constexpr int64_t until_table = 10'000'000'000;

// A span in which the time that was asked about lies and nobody watched.
struct Blind {
  int64_t from = 0;
  int64_t until = 0;
  std::string reason;
  int64_t run = 0; // that watched afterwards
};

class SocketsQuery final : public Query {
 public:
  SocketsQuery(Source source, int64_t at, model::Filter filter)
      : source_(std::move(source)), at_(at), filter_(std::move(filter)) {}

  Result<model::PastPiece> next() override {
    model::PastPiece piece;
    if (!reading_)
      if (auto begun = begin(piece); !begun) return std::unexpected(begun.error());
    read(piece);
    if (auto read = reading_->result(); !read) return std::unexpected(read.error());
    return piece;
  }

 private:
  Result<void> begin(model::PastPiece& piece);
  void read(model::PastPiece& piece);
  [[nodiscard]] std::optional<std::string> uncertainty(const ReadRows::SocketRow& row,
                                                       bool at_end_of_run) const;
  void take(ReadRows::SocketRow row, std::string uncertain, model::PastPiece& piece);

  Source source_;
  int64_t at_;
  model::Filter filter_;
  std::unique_ptr<Reading> reading_;
  std::optional<Blind> blind_;
  int64_t last_id_ = 0;
  std::set<std::tuple<uint64_t, uint16_t>> told_; // cookie and port
  Statement select_;
};

Result<void> SocketsQuery::begin(model::PastPiece& piece) {
  auto opened = Reading::open(source_);
  if (!opened) return std::unexpected(opened.error());
  reading_ = *std::move(opened);
  Database& db = reading_->db();
  // Also what is over by then, but for the table that comes after it.
  for (Missing& m : missing_in(db, at_ - until_table, at_, filter_)) {
    if (m.why == Missing::Why::counted) {
      if (m.until > at_) piece.items.push_back({std::move(m), {}});
      continue;
    }
    if (!blind_) blind_ = Blind{m.from, m.until, m.reason};
    if (m.until >= at_) blind_->reason = m.reason;
    blind_->from = std::min(blind_->from, m.from);
    blind_->until = std::max(blind_->until, m.until);
    if (m.until >= at_) piece.items.push_back({std::move(m), {}});
  }
  if (blind_) {
    Statement watched(db, "SELECT max(id) FROM run WHERE started <= ?");
    if (watched.bind(std::max(blind_->until, at_)).step()) blind_->run = watched.integer(0);
  }
  select_ = Statement(
      db, std::string("SELECT s.id, s.released IS NULL OR s.released = (SELECT coalesce(ended, "
                      "seen) FROM run WHERE run.id = s.run), ") +
              ReadRows::socket_columns +
              " FROM socket s WHERE s.id > ? AND s.since <= ? AND (s.released IS NULL OR "
              "s.released >= ?) ORDER BY s.id LIMIT ?");
  return reading_->result();
}

// Why it is not certain that it was there, "" when it is, and nothing when it was not.
std::optional<std::string> SocketsQuery::uncertainty(const ReadRows::SocketRow& row,
                                                     bool at_end_of_run) const {
  const bool begun = row.since <= at_;
  const bool over = row.released && *row.released <= at_;
  if (begun && !over) {
    if (!row.vanished || at_end_of_run) return "";
    return "its end was not seen: it was gone when the table was read again";
  }
  if (!blind_) return std::nullopt;
  if (over) {
    const bool until_then = row.vanished && *row.released >= blind_->from && blind_->until >= at_;
    if (!until_then) return std::nullopt;
    return "it was there before; " + blind_->reason;
  }
  const bool found_after = row.found && row.run == blind_->run &&
                           row.since <= blind_->until + until_table && row.past.bound_at <= at_;
  if (!found_after) return std::nullopt;
  return "it was found afterwards; " + blind_->reason;
}

void SocketsQuery::take(ReadRows::SocketRow row, std::string uncertain, model::PastPiece& piece) {
  model::Socket& s = row.past.socket;
  // What was found later is shown as it was found.
  const bool later = row.listened && *row.listened > std::max(at_, row.since);
  if (s.state == model::State::listen && (!row.listened || later)) {
    s.state = model::State::bound;
    s.max_backlog = 0;
  }
  if (!filter_.matches(s) || !filter_.matches(row.past.binder, {})) return;
  // One that was there before is found again by the next run.
  const bool again = s.cookie != 0 && !told_.emplace(s.cookie, s.local.port).second;
  if (again && !uncertain.empty()) return;
  row.past.uncertain = std::move(uncertain);
  piece.items.push_back({std::move(row.past), std::move(row.netns.name)});
}

void SocketsQuery::read(model::PastPiece& piece) {
  int looked_at = 0;
  const int64_t since = blind_ ? blind_->until + until_table : at_;
  const int64_t released = blind_ ? std::min(blind_->from, at_) : at_;
  select_.bind(last_id_, since, released, static_cast<int>(items_at_once));
  while (select_.step()) {
    ++looked_at;
    last_id_ = select_.integer(0);
    ReadRows::SocketRow row = reading_->rows().socket_of(select_, 2);
    if (auto why = uncertainty(row, select_.integer(1) != 0))
      take(std::move(row), *std::move(why), piece);
  }
  piece.last = looked_at < static_cast<int>(items_at_once);
}

} // namespace

std::unique_ptr<Query> sockets_query(Source source, int64_t at, model::Filter filter) {
  return std::make_unique<SocketsQuery>(std::move(source), at, std::move(filter));
}

} // namespace bindlens::history
