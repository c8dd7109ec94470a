#include "short_lived.h"

#include "columns.h"

#include <algorithm>

namespace bindlens::history {

namespace {

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

} // namespace

ShortLived::ShortLived(Database& db, uint64_t max_bytes)
    : count_(db, "INSERT INTO short_lived VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                 "count = count + excluded.count") {
  const double rate = static_cast<double>(max_bytes) / bytes_per_life / seconds_per_day;
  by_itself_ = {rate, rate * burst_seconds, rate * burst_seconds};
  constexpr double burst = asked_per_second * asked_burst_seconds;
  asked_ = {asked_per_second, burst, burst};
}

void ShortLived::Allowance::refill(double seconds) {
  left = std::min(left + seconds * per_second, most);
}

bool ShortLived::Allowance::take() {
  if (left < 1) return false;
  left -= 1;
  return true;
}

void ShortLived::refill(MonoNs now) {
  const double seconds = refilled_ == 0 ? 0 : static_cast<double>(now - refilled_) / 1e9;
  refilled_ = now;
  by_itself_.refill(seconds);
  asked_.refill(seconds);
}

bool ShortLived::is_counted(const model::Event& release, bool hurried) {
  const bool by_itself =
      release.bound_by == model::BoundBy::autobind || release.bound_by == model::BoundBy::connect;
  return !(by_itself ? by_itself_ : asked_).take() || hurried;
}

std::vector<bool> ShortLived::sort_out(std::span<const Item> batch, const Clocks& clocks,
                                       bool hurried, SideTables& side, const SocketRows& sockets) {
  std::vector<bool> counted(batch.size());
  boost::unordered_flat_map<model::SocketId, std::vector<size_t>> lives; // their items
  Counts counts;
  refill(clocks.now);
  for (size_t i = 0; i < batch.size(); ++i) {
    const auto* e = std::get_if<model::Event>(&batch[i]);
    if (e == nullptr || e->socket.id == 0) continue;
    if (begins(e->type) && sockets.living(e->socket.id) == 0) lives.try_emplace(e->socket.id);
    const auto life = lives.find(e->socket.id);
    if (life == lives.end()) continue; // bound before this batch
    life->second.push_back(i);
    if (e->type != EventType::release) continue;
    if (is_counted(*e, hurried)) {
      for (const size_t item : life->second)
        counted[item] = true;
      const int64_t wall = clocks.offset + static_cast<int64_t>(e->time);
      ++counts[{wall / ns_per_minute, side.name_space(e->socket.netns), number(e->socket.proto),
                e->socket.local.port, number(e->bound_by)}];
    }
    lives.erase(life);
  }
  for (const auto& [key, count] : counts)
    std::apply([&](auto... part) { count_.run(part..., count); }, key);
  return counted;
}

} // namespace bindlens::history
