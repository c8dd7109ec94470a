#include "short_lived.h"

#include "columns.h"

#include <algorithm>

namespace bindlens::history {

namespace {

using model::EventType;

// At this rate the file holds a day of them.
constexpr double bytes_per_life = 300;
constexpr double seconds_per_day = 86'400;
// So much of the allowance can be saved up.
constexpr double burst_seconds = 600;
constexpr int64_t ns_per_minute = 60'000'000'000;

bool begins(EventType t) {
  return t == EventType::bind || t == EventType::autobind || t == EventType::connect;
}

} // namespace

ShortLived::ShortLived(Database& db, uint64_t max_bytes)
    : rate_(static_cast<double>(max_bytes) / bytes_per_life / seconds_per_day),
      allowance_(rate_ * burst_seconds),
      count_(db, "INSERT INTO short_lived VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET "
                 "count = count + 1") {}

void ShortLived::refill(MonoNs now) {
  const double seconds = refilled_ == 0 ? 0 : static_cast<double>(now - refilled_) / 1e9;
  refilled_ = now;
  allowance_ = std::min(allowance_ + seconds * rate_, rate_ * burst_seconds);
}

bool ShortLived::is_counted(const model::Event& release, bool hurried) {
  const bool autobound =
      release.bound_by == model::BoundBy::autobind || release.bound_by == model::BoundBy::connect;
  if (!autobound) return hurried;
  if (allowance_ < 1) return true;
  allowance_ -= 1;
  return hurried;
}

std::vector<bool> ShortLived::sort_out(std::span<const Item> batch, const Clocks& clocks,
                                       bool hurried, SideTables& side, const SocketRows& sockets) {
  std::vector<bool> counted(batch.size());
  boost::unordered_flat_map<model::SocketId, std::vector<size_t>> lives; // their items
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
      count_.run(wall / ns_per_minute, side.name_space(e->socket.netns), number(e->socket.proto),
                 e->socket.local.port, number(e->bound_by));
    }
    lives.erase(life);
  }
  return counted;
}

} // namespace bindlens::history
