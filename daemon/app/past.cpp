#include "past.h"

#include "past_memory.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <atomic>

namespace bindlens::app {

namespace {

using model::Missing;
using Of = server::Backend::PastQuery::Of;

constexpr size_t readers = 2;
constexpr long most_questions = 16; // being answered

// A query on its way, shared with the thread that reads.
struct Reading {
  std::atomic<bool> cancel = false;
  std::unique_ptr<history::Query> query;
};

class Cursor final : public server::PastCursor {
 public:
  Cursor(boost::asio::io_context& io, std::shared_ptr<boost::asio::thread_pool> pool,
         std::shared_ptr<Reading> reading, std::shared_ptr<int> live)
      : io_(io), pool_(std::move(pool)), reading_(std::move(reading)), live_(std::move(live)) {}
  ~Cursor() override { reading_->cancel = true; }

  void next(std::function<void(Result<model::PastPiece>)> done) override {
    boost::asio::post(*pool_, [&io = io_, reading = reading_, done = std::move(done)]() mutable {
      auto piece = reading->query->next();
      boost::asio::post(io, [reading, piece = std::move(piece), done = std::move(done)]() mutable {
        if (!reading->cancel) done(std::move(piece));
      });
    });
  }

 private:
  boost::asio::io_context& io_;
  std::shared_ptr<boost::asio::thread_pool> pool_;
  std::shared_ptr<Reading> reading_;
  std::shared_ptr<int> live_;
};

int64_t since_of(const Past::Query& q) {
  return static_cast<int64_t>(q.filter.since.value_or(0));
}

// What memory alone does not have of a time before now.
std::vector<model::PastItem> missing_in_memory(const Past::Query& q, const Core& core,
                                               int64_t started, Missing::Why why,
                                               const std::string& reason) {
  std::vector<model::PastItem> items;
  if (q.filter.since && since_of(q) < started && why == Missing::Why::not_kept)
    items.push_back(
        {Missing{.why = why, .from = since_of(q), .until = started, .reason = reason}, {}});
  const model::EventLog& events = core.events();
  const bool dropped = q.of == Of::events && events.seen() > events.size();
  if (!dropped || !q.filter.since) return items;
  const int64_t oldest = wall_time_of(events.oldest());
  if (since_of(q) >= oldest) return items;
  items.push_back({Missing{.why = why,
                           .from = std::max(started, since_of(q)),
                           .until = oldest,
                           .reason = why == Missing::Why::not_kept
                                         ? "older events did not fit into --event-memory"
                                         : reason},
                   {}});
  return items;
}

// The newest of it are there: no need for the disk.
bool memory_suffices(const Past::Query& q, const Core& core) {
  return q.of != Of::sockets && q.limit && !q.filter.since && !q.filter.until &&
         past_in_memory(core, q).size() == *q.limit;
}

history::Range range_of(const Past::Query& q) {
  return {q.filter, q.limit};
}

std::unique_ptr<history::Query> on_disk(history::Source source, const Past::Query& q) {
  switch (q.of) {
  case Of::events:
    return history::events_query(std::move(source), range_of(q));
  case Of::failures:
    return history::failures_query(std::move(source), range_of(q));
  case Of::sockets:
    return history::sockets_query(std::move(source), q.at, q.filter);
  }
  return nullptr;
}

// The history cannot be written now: the file has what was before this run, as far as
// it can be read, and memory the run.
std::unique_ptr<history::Query> before_and_memory(const history::Source& source, Past::Query q,
                                                  const Core& core, int64_t started,
                                                  const std::string& problem) {
  auto items = missing_in_memory(q, core, started, Missing::Why::unavailable,
                                 "the history cannot be written now, and memory does not reach so "
                                 "far: " +
                                     problem);
  auto remembered = past_in_memory(core, q);
  const size_t count = remembered.size();
  items.insert(items.end(), std::make_move_iterator(remembered.begin()),
               std::make_move_iterator(remembered.end()));
  std::vector<std::unique_ptr<history::Query>> parts;
  if (!q.limit || *q.limit > count) {
    if (q.limit) *q.limit -= count;
    const auto before = static_cast<MonoNs>(started - 1);
    q.filter.until = std::min(q.filter.until.value_or(before), before);
    parts.push_back(on_disk(source, q));
  }
  parts.push_back(items_query(std::move(items)));
  if (q.of == Of::failures) std::ranges::reverse(parts);
  return chained(std::move(parts));
}

// The table as the file has it, after a word about what may be missing in it.
std::unique_ptr<history::Query>
table_and_problem(const history::Source& source, const Past::Query& q, const std::string& problem) {
  Missing m;
  m.why = Missing::Why::unavailable;
  m.from = q.at;
  m.until = static_cast<int64_t>(read_clock_ns(CLOCK_REALTIME));
  m.reason = "the history cannot be written now, and its end may be missing: " + problem;
  std::vector<std::unique_ptr<history::Query>> parts;
  parts.push_back(items_query({{std::move(m), {}}}));
  parts.push_back(on_disk(source, q));
  return chained(std::move(parts));
}

} // namespace

Past::~Past() {
  if (!pool_) return;
  pool_->stop();
  pool_->join();
}

std::shared_ptr<boost::asio::thread_pool> Past::pool() {
  if (!pool_) pool_ = std::make_shared<boost::asio::thread_pool>(readers);
  return pool_;
}

void Past::ask(Query query, Done done) {
  if (recorder_ == nullptr && query.of == Of::sockets)
    return done(fail("this daemon keeps no history (--state-dir none): what was bound before is "
                     "not known",
                     ENOSYS));
  if (live_.use_count() > most_questions)
    return done(fail("too many questions about the past are being answered; try again when one of "
                     "them has ended",
                     EAGAIN));
  auto diagnosed = [this, query = std::move(query), done = std::move(done)] {
    if (recorder_ == nullptr || memory_suffices(query, core_)) return from_memory(query, done);
    // Everything that is known by now is to be in the file.
    recorder_->history().when_written([this, query, done](const Result<int64_t>& written) {
      boost::asio::post(io_, [this, query, done, written] { from_history(query, written, done); });
    });
  };
  core_.when_diagnosed(std::move(diagnosed));
}

void Past::from_memory(const Query& query, const Done& done) {
  std::vector<model::PastItem> items;
  if (recorder_ == nullptr)
    items = missing_in_memory(query, core_, wall_time_of(started_at_), Missing::Why::not_kept,
                              "this daemon keeps no history on disk (--state-dir none), and "
                              "remembers what was since its start");
  auto remembered = past_in_memory(core_, query);
  items.insert(query.of == Of::failures ? items.begin() : items.end(),
               std::make_move_iterator(remembered.begin()),
               std::make_move_iterator(remembered.end()));
  const auto reading = std::make_shared<Reading>();
  reading->query = items_query(std::move(items));
  done(std::make_unique<Cursor>(io_, pool(), reading, live_));
}

void Past::from_history(const Query& query, const Result<int64_t>& written, const Done& done) {
  const auto reading = std::make_shared<Reading>();
  history::Source source{recorder_->history().path(), &reading->cancel};
  if (written) {
    source.last_event = *written;
    reading->query = on_disk(source, query);
  } else if (query.of == Of::sockets) {
    reading->query = table_and_problem(source, query, written.error().text);
  } else {
    reading->query =
        before_and_memory(source, query, core_, wall_time_of(started_at_), written.error().text);
  }
  done(std::make_unique<Cursor>(io_, pool(), reading, live_));
}

} // namespace bindlens::app
