#include "slices.h"

namespace bindlens::history {

namespace {

// One in the way may hold thousands of sockets, with their processes.
constexpr int failures_at_once = 64;

class FailuresQuery final : public Query {
 public:
  FailuresQuery(Source source, Range range)
      : source_(std::move(source)), range_(std::move(range)) {}

  Result<model::PastPiece> next() override {
    if (!reading_)
      if (auto begun = begin(); !begun) return std::unexpected(begun.error());
    model::PastPiece piece;
    read(piece);
    if (auto read = reading_->result(); !read) return std::unexpected(read.error());
    return piece;
  }

 private:
  Result<void> begin();
  void read(model::PastPiece& piece);
  void finish(model::PastPiece& piece);
  [[nodiscard]] std::string sql() const;

  Source source_;
  Range range_;
  std::unique_ptr<Reading> reading_;
  std::vector<Stretch> stretches_;
  Place at_ = after_all;
  uint64_t told_ = 0;
  Statement select_;
};

std::string FailuresQuery::sql() const {
  const auto& ports = range_.filter.ports;
  std::string sql = "SELECT id, wall, namespace FROM failure WHERE wall >= ? AND first_wall <= ? "
                    "AND (wall, id) < (?, ?) AND clock BETWEEN ? AND ?";
  if (!ports.empty())
    sql += " AND (" + in_ports("port", ports) + " OR " + in_ports("peer_port", ports) + ")";
  return sql + " ORDER BY wall DESC, id DESC LIMIT ?";
}

Result<void> FailuresQuery::begin() {
  auto opened = Reading::open(source_);
  if (!opened) return std::unexpected(opened.error());
  reading_ = *std::move(opened);
  stretches_ = stretches(reading_->db());
  select_ = Statement(reading_->db(), sql());
  return reading_->result();
}

// What is missing is said to who asks about a time.
void FailuresQuery::finish(model::PastPiece& piece) {
  piece.last = true;
  const model::Filter& f = range_.filter;
  if (!f.since && !f.until) return;
  for (model::Missing& m : missing_in(reading_->db(), static_cast<int64_t>(f.since.value_or(0)),
                                      static_cast<int64_t>(f.until.value_or(INT64_MAX)), f))
    if (m.why != model::Missing::Why::counted) piece.items.push_back({std::move(m), {}});
}

void FailuresQuery::read(model::PastPiece& piece) {
  const uint64_t limit = range_.limit.value_or(UINT64_MAX);
  const model::Filter& f = range_.filter;
  const Stretch stretch = stretches_.back();
  int looked_at = 0;
  select_.bind(f.since ? static_cast<int64_t>(*f.since) : INT64_MIN,
               f.until ? static_cast<int64_t>(*f.until) : INT64_MAX, at_.wall, at_.id,
               stretch.first_clock, stretch.last_clock, failures_at_once);
  while (told_ < limit && select_.step()) {
    ++looked_at;
    at_ = {select_.integer(1), select_.integer(0)};
    auto failure = reading_->rows().failure(at_.id);
    if (!failure || !f.matches(*failure)) continue;
    piece.items.push_back(
        {std::move(failure), reading_->rows().name_space(select_.integer(2)).name});
    ++told_;
  }
  select_.reset();
  if (reading_->db().failed() || (told_ < limit && looked_at == failures_at_once)) return;
  stretches_.pop_back();
  at_ = after_all;
  if (told_ == limit || stretches_.empty()) finish(piece);
}

} // namespace

std::unique_ptr<Query> failures_query(Source source, Range range) {
  return std::make_unique<FailuresQuery>(std::move(source), std::move(range));
}

} // namespace bindlens::history
