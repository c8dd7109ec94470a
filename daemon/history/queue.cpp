#include "queue.h"

namespace bindlens::history {

namespace {

using model::Event;
using model::EventType;

// At this rate the file holds a day of them.
constexpr double bytes_per_life = 300;
constexpr double seconds_per_day = 86'400;
constexpr double burst_seconds = 600;
// Two events each. What comes faster than that would take a processor for itself.
constexpr double asked_per_second = 10'000;
constexpr double asked_burst_seconds = 2;
constexpr int64_t ns_per_minute = 60'000'000'000;

bool begins(EventType t) {
  return t == EventType::bind || t == EventType::autobind || t == EventType::connect;
}

bool came_by_itself(const Event& e) {
  return e.bound_by == model::BoundBy::autobind || e.bound_by == model::BoundBy::connect;
}

} // namespace

Queue::Queue(uint64_t file_bytes)
    : by_itself_(static_cast<double>(file_bytes) / bytes_per_life / seconds_per_day, burst_seconds,
                 false),
      asked_(asked_per_second, asked_burst_seconds, true) {}

size_t Queue::size_of(const Event& e) {
  size_t n = sizeof(Item);
  if (!e.failure) return n;
  n += sizeof *e.failure + e.failure->explanation.size();
  for (const model::Blocker& b : e.failure->blockers)
    n += sizeof b + b.holders.size() * sizeof(model::Holder);
  return n;
}

size_t Queue::size_of(const Item& item) {
  const auto* e = std::get_if<Event>(&item);
  return e == nullptr ? sizeof item : size_of(*e);
}

void Queue::link(const Event& e, uint32_t place) {
  if (begins(e.type)) {
    if (e.time > table_) lives_[e.socket.id] = place;
  } else if (const auto life = lives_.find(e.socket.id); life != lives_.end()) {
    earlier_[place] = std::exchange(life->second, place);
    if (e.type == EventType::release) lives_.erase(life);
  }
}

void Queue::push(Item item) {
  const auto place = static_cast<uint32_t>(items_.size());
  bytes_ += size_of(item);
  earlier_.push_back(none);
  items_.push_back(std::move(item));
  if (const auto* e = std::get_if<Event>(&items_.back()); e != nullptr && e->socket.id != 0)
    link(*e, place);
  if (const auto* table = std::get_if<TableAt>(&items_.back()); table != nullptr) {
    table_ = table->time;
    lives_.clear(); // they are in it
  }
}

void Queue::forget(uint32_t last) {
  for (uint32_t place = last; place != none;)
    place = std::exchange(earlier_[place], forgotten);
  while (!items_.empty() && earlier_.back() == forgotten) {
    bytes_ -= size_of(items_.back());
    items_.pop_back();
    earlier_.pop_back();
  }
}

bool Queue::count(const Event& e, bool hurried, int64_t wall_offset) {
  if (e.type != EventType::release) return false;
  const auto life = lives_.find(e.socket.id);
  if (life == lives_.end()) return false;
  if ((came_by_itself(e) ? by_itself_ : asked_).take(e.time) && !hurried) return false;
  const int64_t wall = wall_offset + static_cast<int64_t>(e.time);
  ++counts_[{wall / ns_per_minute, e.socket.netns, e.socket.proto, e.socket.local.port,
             e.bound_by}];
  forget(life->second);
  lives_.erase(life);
  return true;
}

std::vector<Item> Queue::take() {
  std::vector<Item> batch;
  batch.reserve(items_.size() + counts_.size());
  for (size_t i = 0; i < items_.size(); ++i)
    if (earlier_[i] != forgotten) batch.push_back(std::move(items_[i]));
  for (const auto& [key, count] : counts_)
    batch.emplace_back(Counted{key.minute, key.netns, key.proto, key.port, key.by, count});
  items_.clear();
  earlier_.clear();
  lives_.clear();
  counts_.clear();
  bytes_ = 0;
  return batch;
}

} // namespace bindlens::history
