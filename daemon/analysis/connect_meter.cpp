#include <bindlens/analysis/connect_meter.h>

#include <algorithm>

namespace bindlens::analysis {

using model::EventType;

namespace {

// More destinations than can matter at a time; beyond, new ones are not counted.
constexpr size_t max_routes = 8192;

// A connection whose port connect() chose: one that was bound before holds its
// port for all destinations.
bool is_chosen_by_connect(const model::Event& e) {
  return e.socket.proto == model::Proto::tcp && e.socket.peer.port != 0 &&
         e.bound_by == model::BoundBy::connect && !e.socket.is(model::SocketFlag::port_locked);
}

} // namespace

void ConnectMeter::forget_idle(uint64_t second) {
  // A scan of all at each event of a crowded second would be too much.
  if (forgot_at_ == second) return;
  forgot_at_ = second;
  erase_if(meters_, [&](const auto& m) { return m.second.last + window_s < second; });
}

ConnectMeter::Meter* ConnectMeter::meter(const Route& route, uint64_t second) {
  const auto it = meters_.find(route);
  if (it != meters_.end()) return &it->second;
  if (meters_.size() >= max_routes) forget_idle(second);
  return meters_.size() >= max_routes ? nullptr : &meters_[route];
}

void ConnectMeter::note(const model::Event& e) {
  const bool opened = e.type == EventType::connect;
  if ((!opened && e.type != EventType::release) || !is_chosen_by_connect(e)) return;
  const uint64_t now = e.time / one_second;
  Meter* m = meter(route_of(e.socket), now);
  if (m == nullptr) return;
  Slot& slot = m->slots[now % m->slots.size()];
  if (slot.second > now) return; // too late for its second
  if (slot.second != now) slot = {now, 0, 0};
  ++(opened ? slot.opened : slot.closed);
  m->last = std::max(m->last, now);
}

MonoNs ConnectMeter::window_start(MonoNs now) const {
  const uint64_t first = now / one_second >= window_s ? now / one_second - window_s : 0;
  return std::max(since_, first * one_second);
}

ConnectMeter::Count ConnectMeter::count(const Route& route, MonoNs now) const {
  Count out;
  const auto it = meters_.find(route);
  if (it == meters_.end()) return out;
  const uint64_t first = window_start(now) / one_second;
  for (const Slot& s : it->second.slots) {
    if (s.second < first || s.second > now / one_second) continue;
    out.opened += s.opened;
    out.closed += s.closed;
  }
  return out;
}

} // namespace bindlens::analysis
