#include <bindlens/history/history.h>

#include "directory.h"
#include "queue.h"

#include <bindlens/history/schema.h>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>

namespace bindlens::history {

namespace {

using namespace std::chrono_literals;
using model::Event;

constexpr auto batch_age = 200ms; // of its oldest event, when it is written
constexpr auto idle_check = 1s;   // is the file still there?
constexpr size_t crowd = 16'384;  // items that do not wait any longer
constexpr auto heartbeat = 60s;   // a run with nothing to write says that it lives
// The event loop comes first; but what a busy host delays is lost at a kill.
constexpr int nice_level = -5;

constexpr MonoNs ns(std::chrono::nanoseconds d) {
  return static_cast<MonoNs>(d.count());
}

uint64_t events_in(std::span<const Item> items) {
  return static_cast<uint64_t>(std::ranges::count_if(
      items, [](const Item& item) { return std::holds_alternative<Event>(item); }));
}

} // namespace

std::string read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

std::string_view to_string(Status::State s) {
  switch (s) {
  case Status::State::off:
    return "off";
  case Status::State::opening:
    return "opening";
  case Status::State::writing:
    return "writing";
  case Status::State::waiting:
    return "waiting";
  }
  return "";
}

struct History::Impl {
  Impl(Config c, Hooks h, size_t bytes);

  [[nodiscard]] bool has_room(size_t bytes);
  [[nodiscard]] bool is_pressed() const { return queue.bytes() + pending_bytes > max_bytes / 2; }
  void push(Item item);
  void run();
  void wait();
  bool take_pending();
  void write_pending();
  bool open();
  void finish();
  void on_trouble(const Trouble& t);
  void resumed();
  void drop_pending();
  void tell(const Result<int64_t>& outcome);
  void set_problem(std::string text);
  [[nodiscard]] Clocks clocks() const { return {boot_id, monotonic_now(), wall_offset()}; }
  [[nodiscard]] std::string path() const { return config.directory + "/" + std::string(file_name); }

  // Of both threads, under `mutex`.
  mutable std::mutex mutex;
  std::condition_variable wake;
  Queue queue;
  int64_t offset = 0;       // of wall time, when the first of the queue came
  MonoNs oldest = 0;        // when that was
  size_t pending_bytes = 0; // taken from the queue and not written
  uint64_t dropped = 0;     // since the last gap that says so
  MonoNs dropped_since = 0;
  model::GapCause dropped_by = model::GapCause::queue; // the first of them
  std::vector<std::function<void(Result<int64_t>)>> waiting;
  bool stopping = false;
  Status status;

  // Of the history's thread.
  Config config;
  Hooks hooks;
  size_t max_bytes;
  std::string boot_id = read_boot_id();
  Result<Fd> lock;
  std::unique_ptr<Store> store;
  std::vector<Item> pending;
  size_t written = 0; // of pending
  std::vector<std::function<void(Result<int64_t>)>> asked;
  MonoNs retry_at = 0;
  bool in_trouble = false;
  bool fresh = false; // set aside and begun anew, and nothing written yet
  MonoNs trouble_since = 0;
  bool was_open = false;
  MonoNs written_at = 0;
  std::thread thread;
};

namespace {

Event gap_since(MonoNs since, model::GapCause cause, uint64_t lost) {
  Event gap;
  gap.type = model::EventType::gap;
  gap.cause = cause;
  gap.lost = lost;
  gap.since = since;
  gap.time = monotonic_now();
  return gap;
}

} // namespace

History::Impl::Impl(Config c, Hooks h, size_t bytes)
    : queue(c.max_bytes), config(std::move(c)), hooks(std::move(h)), max_bytes(bytes),
      lock(take_directory(config.directory)) {
  if (config.started == 0) config.started = monotonic_now();
  status.state = Status::State::opening;
  status.path = path();
  status.max_bytes = config.max_bytes;
}

// With the lock held.
bool History::Impl::has_room(size_t bytes) {
  if (queue.bytes() + pending_bytes + bytes <= max_bytes) return true;
  ++status.lost;
  if (dropped++ == 0) {
    dropped_since = monotonic_now();
    const bool disk = status.state == Status::State::waiting;
    dropped_by = disk ? model::GapCause::disk : model::GapCause::queue;
  }
  return false;
}

// With the lock held.
void History::Impl::push(Item item) {
  const bool first = queue.empty();
  if (first) {
    oldest = monotonic_now();
    offset = wall_offset();
  }
  queue.push(std::move(item));
  if (first || queue.size() == crowd) wake.notify_one();
}

// Until there is a batch to write, or something else to do.
void History::Impl::wait() {
  std::unique_lock guard(mutex);
  const auto urgent = [this] {
    return stopping || !waiting.empty() || (store && queue.size() >= crowd);
  };
  if (!store && retry_at != 0) {
    wake.wait_for(guard, config.retry_after, [this] { return stopping || !waiting.empty(); });
    return;
  }
  wake.wait_for(guard, idle_check, [&] { return urgent() || !queue.empty(); });
  if (queue.empty()) return;
  // Some of it may have waited already, while the batch before was written.
  const MonoNs age = monotonic_now() - oldest;
  if (age < ns(batch_age))
    wake.wait_for(guard, std::chrono::nanoseconds(ns(batch_age) - age), urgent);
}

// Moves the queue over. True when the daemon ends.
bool History::Impl::take_pending() {
  const std::scoped_lock guard(mutex);
  asked.insert(asked.end(), std::make_move_iterator(waiting.begin()),
               std::make_move_iterator(waiting.end()));
  waiting.clear();
  // Of a disk that does not take it, one gap in the end and not one at each try.
  if (dropped != 0 && (store || stopping))
    queue.push(gap_since(std::exchange(dropped_since, 0), dropped_by, std::exchange(dropped, 0)));
  pending_bytes += queue.bytes();
  std::vector<Item> batch = queue.take();
  if (pending.empty())
    pending = std::move(batch);
  else
    std::ranges::move(batch, std::back_inserter(pending));
  return stopping;
}

void History::Impl::set_problem(std::string text) {
  const std::scoped_lock guard(mutex);
  if (status.state != Status::State::waiting) status.problem_since = monotonic_now();
  status.state = Status::State::waiting;
  status.problem = std::move(text);
}

void History::Impl::on_trouble(const Trouble& t) {
  store.reset();
  retry_at = monotonic_now() + ns(config.retry_after);
  std::string text = t.text;
  if (t.kind == Trouble::Kind::rows || (t.kind == Trouble::Kind::corrupt && fresh)) {
    drop_pending(); // the same would happen again
  } else if (t.kind == Trouble::Kind::corrupt) {
    auto to = set_aside(path(), clocks().wall());
    text += to ? "; it was renamed to " + *to : "; " + to.error().text;
    if (to) {
      fresh = true;
      retry_at = 0;
      const std::scoped_lock guard(mutex);
      status.set_aside = *to;
    }
  }
  if (!in_trouble) hooks.warn("the history is kept in memory for now: " + text);
  if (!in_trouble) trouble_since = monotonic_now();
  in_trouble = true;
  set_problem(std::move(text));
}

// What cannot be written is counted.
void History::Impl::drop_pending() {
  const std::scoped_lock guard(mutex);
  const uint64_t events = events_in(std::span(pending).subspan(written));
  status.lost += events;
  dropped += events;
  if (dropped_since == 0) dropped_since = trouble_since;
  dropped_by = model::GapCause::disk;
  pending.clear();
  written = 0;
  pending_bytes = 0;
}

bool History::Impl::open() {
  if (!lock) lock = take_directory(config.directory);
  if (!lock) {
    on_trouble({Trouble::Kind::refused, lock.error().text});
    return false;
  }
  auto opened = Store::open(config, clocks());
  if (!opened) {
    on_trouble(opened.error());
    return false;
  }
  store = *std::move(opened);
  // What this run wrote before is in another file.
  if (std::exchange(was_open, true) && store->is_new_run())
    pending.insert(pending.begin(), gap_since(config.started, model::GapCause::disk, 0));
  hooks.need_table();
  return true;
}

void History::Impl::resumed() {
  fresh = false;
  retry_at = 0;
  const bool was = std::exchange(in_trouble, false);
  if (was) hooks.warn("the history is written again to " + path());
  const std::scoped_lock guard(mutex);
  status.state = Status::State::writing;
  if (was) status.problem.clear();
}

void History::Impl::tell(const Result<int64_t>& outcome) {
  for (const auto& done : std::exchange(asked, {}))
    done(outcome);
}

void History::Impl::write_pending() {
  if (pending.empty() && !in_trouble && monotonic_now() - written_at < ns(heartbeat)) return;
  for (;;) {
    const auto rest = std::span(pending).subspan(written);
    const auto batch = rest.first(std::min(rest.size(), Store::batch_size(config.max_bytes)));
    if (batch.empty() && written != 0) break;
    if (auto done = store->write(batch, clocks()); !done) return on_trouble(done.error());
    written += batch.size();
    const std::scoped_lock guard(mutex);
    status.written += events_in(batch);
    status.totals = store->totals();
    if (batch.empty()) break;
  }
  pending.clear();
  written = 0;
  written_at = monotonic_now();
  {
    const std::scoped_lock guard(mutex);
    pending_bytes = 0;
  }
  resumed();
}

void History::Impl::run() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), nice_level);
  for (bool ending = false; !ending;) {
    wait();
    ending = take_pending();
    if (store && !store->in_place())
      on_trouble({Trouble::Kind::disk, path() + " was removed or replaced"}), retry_at = 0;
    const bool due = retry_at == 0 || monotonic_now() >= retry_at || ending;
    if (!store && due && !open() && retry_at == 0) (void)open(); // anew, after setting aside
    if (store) write_pending();
    if (store)
      tell(store->totals().last_event);
    else
      tell(std::unexpected(Error{status.problem}));
  }
  finish();
}

void History::Impl::finish() {
  if (!store) return;
  if (auto closed = store->close(clocks()); !closed) hooks.warn(closed.error().text);
}

History::History(Config config, Hooks hooks, size_t queue_bytes)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(hooks), queue_bytes)) {}

History::~History() {
  {
    const std::scoped_lock guard(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_one();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void History::start() {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void History::append(const Event& e) {
  // The store notes the run itself: only it knows how the one before ended.
  if (e.type == model::EventType::start || e.type == model::EventType::stop) return;
  const std::scoped_lock guard(impl_->mutex);
  if (impl_->queue.count(e, impl_->is_pressed(), impl_->offset)) return;
  if (impl_->has_room(Queue::size_of(e))) impl_->push(e);
}

void History::give(TableAt table) {
  const std::scoped_lock guard(impl_->mutex);
  impl_->push(std::move(table));
}

void History::give(SharesAt shares) {
  const std::scoped_lock guard(impl_->mutex);
  if (impl_->has_room(sizeof(Item))) impl_->push(std::move(shares));
}

void History::give(NamespaceName name) {
  const std::scoped_lock guard(impl_->mutex);
  impl_->push(std::move(name));
}

void History::when_written(std::function<void(Result<int64_t>)> done) {
  {
    const std::scoped_lock guard(impl_->mutex);
    impl_->waiting.push_back(std::move(done));
  }
  impl_->wake.notify_one();
}

Status History::status() const {
  const std::scoped_lock guard(impl_->mutex);
  Status s = impl_->status;
  s.pending_bytes = impl_->pending_bytes + impl_->queue.bytes();
  return s;
}

std::string History::path() const {
  return impl_->path();
}

} // namespace bindlens::history
