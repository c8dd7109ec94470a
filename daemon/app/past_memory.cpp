#include "past_memory.h"

#include <algorithm>

namespace bindlens::app {

namespace {

using model::PastItem;
using Of = server::Backend::PastQuery::Of;

void add(MonoNs& time, int64_t offset) {
  if (time != 0) time += static_cast<MonoNs>(offset);
}

std::shared_ptr<const model::Failure> in_wall_time(const model::Failure& f, int64_t offset) {
  auto copy = std::make_shared<model::Failure>(f);
  add(copy->time, offset);
  add(copy->first_time, offset);
  for (model::Blocker& b : copy->blockers) {
    add(b.bound_at, offset);
    add(b.released_at, offset);
  }
  return copy;
}

model::Event in_wall_time(model::Event e, int64_t offset) {
  add(e.time, offset);
  add(e.since, offset);
  if (e.failure) e.failure = in_wall_time(*e.failure, offset);
  if (!e.finding) return e;
  auto finding = std::make_shared<model::Finding>(*e.finding);
  for (model::Blocker& b : finding->sockets)
    add(b.bound_at, offset);
  e.finding = std::move(finding);
  return e;
}

// The filter with its times as memory has them; before the boot is from the beginning.
model::Filter in_monotonic_time(model::Filter f, int64_t offset) {
  for (auto* time : {&f.since, &f.until})
    if (*time)
      *time = static_cast<MonoNs>(std::max<int64_t>(0, static_cast<int64_t>(**time) - offset));
  return f;
}

class ItemsQuery final : public history::Query {
 public:
  explicit ItemsQuery(std::vector<PastItem> items) : items_(std::move(items)) {}
  Result<model::PastPiece> next() override { return model::PastPiece{std::move(items_), true}; }

 private:
  std::vector<PastItem> items_;
};

class Chain final : public history::Query {
 public:
  explicit Chain(std::vector<std::unique_ptr<history::Query>> parts) : parts_(std::move(parts)) {
    std::ranges::reverse(parts_);
  }

  Result<model::PastPiece> next() override {
    auto piece = parts_.back()->next();
    if (!piece && (piece.error().code == ECANCELED || parts_.size() == 1)) return piece;
    if (!piece) {
      model::Missing m;
      m.why = model::Missing::Why::unavailable;
      m.until = static_cast<int64_t>(read_clock_ns(CLOCK_REALTIME));
      m.reason = "the history cannot be read: " + piece.error().text;
      piece = model::PastPiece{{{std::move(m), {}}}, true};
    }
    if (piece->last) parts_.pop_back();
    piece->last = parts_.empty();
    return piece;
  }

 private:
  std::vector<std::unique_ptr<history::Query>> parts_; // the next one is the last
};

} // namespace

std::vector<PastItem> past_in_memory(const Core& core, const server::Backend::PastQuery& query) {
  const int64_t offset = wall_offset();
  const model::Filter filter = in_monotonic_time(query.filter, offset);
  const size_t limit = query.limit.value_or(SIZE_MAX);
  std::vector<PastItem> items;
  if (query.of == Of::failures) {
    for (const auto& f : core.failures().select(filter))
      if (items.size() < limit) items.push_back({in_wall_time(*f, offset), {}});
    return items;
  }
  auto events = core.events().select(filter);
  const size_t skipped = events.size() > limit ? events.size() - limit : 0;
  for (size_t i = skipped; i < events.size(); ++i)
    items.push_back({in_wall_time(std::move(events[i]), offset), {}});
  return items;
}

std::unique_ptr<history::Query> items_query(std::vector<PastItem> items) {
  return std::make_unique<ItemsQuery>(std::move(items));
}

std::unique_ptr<history::Query> chained(std::vector<std::unique_ptr<history::Query>> parts) {
  return std::make_unique<Chain>(std::move(parts));
}

} // namespace bindlens::app
