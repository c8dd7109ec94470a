#include <bindlens/model/timewait_groups.h>

#include <boost/container_hash/hash.hpp>

#include <algorithm>
#include <tuple>
#include <utility>

namespace bindlens::model {

namespace {

constexpr MonoNs ms = 1'000'000;
constexpr uint32_t full_length_ms = 60'000; // TCP_TIMEWAIT_LEN

size_t hash_of(uint32_t netns, uint16_t port, const Address& a) {
  size_t seed = uint64_t{netns} << 16 | port;
  boost::hash_combine(seed, static_cast<uint8_t>(a.family));
  boost::hash_range(seed, a.bytes.begin(), a.bytes.end());
  return seed;
}

template <typename Map>
ProcessRef find_in(const Map& newer, const Map& older, const typename Map::key_type& key) {
  for (const Map* map : {&newer, &older})
    if (const auto it = map->find(key); it != map->end()) return it->second;
  return nullptr;
}

template <typename T>
void keep_least(std::optional<T>& kept, T value) {
  kept = kept ? std::min(*kept, value) : value;
}

void count_owner(TimeWaitPort& port, ProcessRef binder) {
  if (!binder) return;
  const auto it = std::ranges::find(port.owners, binder, &TimeWaitOwner::binder);
  if (it == port.owners.end())
    port.owners.push_back({std::move(binder), 1});
  else
    ++it->count;
}

// A new generation, in the room of the one that is forgotten.
template <typename Map>
void start_again(Map& newer, Map& older) {
  std::swap(newer, older);
  newer.clear();
}

} // namespace

size_t DeadBinders::KeyHash::operator()(const Key& k) const {
  return hash_of(std::get<0>(k), std::get<1>(k).port, std::get<1>(k).addr);
}

size_t TimeWaitGroups::KeyHash::operator()(const Key& k) const {
  return hash_of(std::get<0>(k), std::get<1>(k), std::get<2>(k));
}

void DeadBinders::note(const Binding& released) {
  const Socket& s = released.socket;
  if (!released.binder || s.proto == Proto::udp || s.proto == Proto::udplite) return;
  if (s.peer.port == 0 && released.bound_by != BoundBy::connect) {
    if (newer_listeners_.size() >= listeners) start_again(newer_listeners_, older_listeners_);
    newer_listeners_[{s.netns, s.local}] = released.binder;
  }
  if (s.cookie == 0) return;
  if (newer_.noted.size() >= generation) {
    std::swap(newer_, older_);
    newer_.noted.clear();
    newer_.index.clear();
    newer_.indexed = 0;
  }
  newer_.noted.emplace_back(s.cookie, released.binder);
}

ProcessRef DeadBinders::Generation::find(uint64_t cookie) const {
  for (; indexed < noted.size(); ++indexed)
    index[noted[indexed].first] = indexed;
  const auto it = index.find(cookie);
  return it == index.end() ? nullptr : noted[it->second].second;
}

ProcessRef DeadBinders::of_socket(uint64_t cookie) const {
  if (cookie == 0) return nullptr;
  auto binder = newer_.find(cookie);
  return binder ? binder : older_.find(cookie);
}

ProcessRef DeadBinders::of_listener(uint32_t netns, const Endpoint& local) const {
  for (const Address& a : {local.addr, Address::any(Family::inet), Address::any(Family::inet6)})
    if (auto binder = find_in(newer_listeners_, older_listeners_, Key{netns, {a, local.port}}))
      return binder;
  return nullptr;
}

void TimeWaitGroups::add(const Socket& s) {
  const Key key{s.netns, s.local.port, s.local.addr};
  const auto [it, fresh] = index_.try_emplace(key, ports_.size());
  if (fresh) {
    TimeWaitPort& made = ports_.emplace_back();
    made.proto = s.proto;
    made.local = s.local;
    made.netns = s.netns;
  }
  TimeWaitPort& port = ports_[it->second];
  ++port.count;
  const bool waits_for_fin = s.tw_substate == State::fin_wait2;
  port.fin_wait2 += waits_for_fin;
  port.reuseaddr += s.is(SocketFlag::reuseaddr);
  port.reuseport += s.is(SocketFlag::reuseport);
  if (s.tw_left_ms != 0) {
    keep_least(port.next_left_ms, s.tw_left_ms);
    port.last_left_ms = std::max(port.last_left_ms.value_or(0), s.tw_left_ms);
    const MonoNs age = s.tw_left_ms < full_length_ms ? (full_length_ms - s.tw_left_ms) * ms : 0;
    if (!waits_for_fin) keep_least(port.oldest, now_ - std::min(now_, age));
  }
  count_owner(port, binder_of_(s));
}

std::vector<TimeWaitPort> TimeWaitGroups::take() {
  index_.clear();
  for (TimeWaitPort& p : ports_)
    std::ranges::stable_sort(p.owners, std::greater{}, &TimeWaitOwner::count);
  std::ranges::sort(ports_, {}, [](const TimeWaitPort& p) {
    return std::tie(p.netns, p.local.port, p.local.addr);
  });
  return std::exchange(ports_, {});
}

bool lies_below(const Socket& bound, const Socket& timewait) {
  const Address& a = bound.local.addr;
  const Address& b = timewait.local.addr;
  if (bound.dev != 0 && timewait.dev != 0 && bound.dev != timewait.dev) return false;
  const auto v4 = b.as_v4();
  if (a == Address::any(Family::inet6)) return !v4 || !bound.is(SocketFlag::v6only);
  if (a.is_wildcard()) return v4.has_value();
  return a == b || (v4 && a.as_v4() == v4);
}

bool came_after(const Socket& timewait, const Socket& bound, MonoNs bound_at, MonoNs now) {
  constexpr MonoNs longest_tick = 10 * ms;
  if (timewait.cookie != 0 && timewait.cookie == bound.cookie) return true;
  if (timewait.tw_left_ms == 0 || timewait.tw_left_ms > full_length_ms) return false;
  return now > bound_at + longest_tick + (full_length_ms - timewait.tw_left_ms) * ms;
}

bool BindReuses::count(uint32_t netns, uint16_t port, MonoNs time, uint64_t& left_out) {
  constexpr MonoNs second = 1'000 * ms;
  ++all_;
  const uint64_t key = uint64_t{netns} << 16 | port;
  if (by_port_.size() < ports || by_port_.contains(key))
    ++by_port_[key];
  else
    ++uncounted_;
  if (since_ == 0 || time - since_ >= second) {
    since_ = time;
    told_ = 0;
  }
  if (told_ >= told_per_second) {
    ++left_out_;
    return false;
  }
  ++told_;
  left_out = std::exchange(left_out_, 0);
  return true;
}

uint64_t BindReuses::of(uint32_t netns, uint16_t port) const {
  const auto it = by_port_.find(uint64_t{netns} << 16 | port);
  return it == by_port_.end() ? 0 : it->second;
}

void BindReuses::for_each(const std::function<void(uint32_t, uint16_t, uint64_t)>& visit) const {
  for (const auto& [key, n] : by_port_)
    visit(static_cast<uint32_t>(key >> 16), static_cast<uint16_t>(key), n);
}

void RecentReuses::add(const TimeWaitReuse& r) {
  reuses_.push_back(r);
  if (reuses_.size() > capacity) reuses_.pop_front();
}

std::vector<TimeWaitReuse> RecentReuses::of(uint32_t netns, uint16_t port) const {
  std::vector<TimeWaitReuse> found;
  for (auto r = reuses_.rbegin(); r != reuses_.rend() && found.size() < per_port; ++r)
    if (r->socket.netns == netns && r->socket.local.port == port) found.push_back(*r);
  return found;
}

// Told in the order of their records, which is nearly that of their times.
std::vector<TimeWaitReuse> RecentReuses::since(MonoNs time) const {
  std::vector<TimeWaitReuse> found;
  std::copy_if(reuses_.rbegin(), reuses_.rend(), std::back_inserter(found),
               [time](const TimeWaitReuse& r) { return r.time >= time; });
  return found;
}

} // namespace bindlens::model
