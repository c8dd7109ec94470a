#include "member_counts.h"

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

namespace bindlens::app {

namespace {

using model::EventType;
using model::Socket;
using model::SocketFlag;

constexpr auto sample_interval = std::chrono::seconds(1);
constexpr MonoNs shortest_sample = 900'000'000;

bool is_attached(const kernel::AttachPlan& plan, std::string_view hook) {
  const kernel::PlannedHook* h = plan.find(hook);
  return h != nullptr && h->attached;
}

// The address of a socket comes again when it is gone, its cookie does not.
bool is_another(const Socket& known, const bl_member& row) {
  return known.cookie != 0 && known.cookie != row.cookie;
}

bool takes_a_port(EventType t) {
  using enum EventType;
  return t == bind || t == autobind || t == listen || t == connect;
}

} // namespace

bool is_datagram(model::Proto p) {
  return p == model::Proto::udp || p == model::Proto::udplite;
}

bool is_group_member(const Socket& s) {
  if (!s.is(SocketFlag::has_group) || s.is(SocketFlag::timewait)) return false;
  return is_datagram(s.proto) || s.state == model::State::listen;
}

MemberCounts::MemberCounts(boost::asio::io_context& io, Core& core, kernel::Session& session,
                           kernel::MemberReader& reader)
    : io_(io), core_(core), session_(session), reader_(reader), shares_(session), timer_(io),
      started_at_(monotonic_now()) {
  const kernel::AttachPlan& plan = session.plan();
  given_.selected = is_attached(plan, "reuseport-select");
  given_.accepted = is_attached(plan, "reuseport-accept");
  given_.queued = is_attached(plan, "reuseport-queue");
  given_.datagrams = is_attached(plan, "reuseport-datagrams");
  given_.migrated = is_attached(plan, "reuseport-migrate");
  subscription_ = core.subscribe([this](const model::Event& e) { on_event(e); });
}

void MemberCounts::start() {
  std::vector<Socket> known;
  core_.table().for_each([&](const model::Binding& b) {
    if (!is_group_member(b.socket) || members_.contains(b.socket.id)) return;
    Member m;
    m.socket = b.socket;
    m.process = b.binder;
    m.since = started_at_;
    members_.emplace(b.socket.id, std::move(m));
    known.push_back(b.socket);
  });
  (void)read(known);
  rest_if_nobody_listens();
  sample_later();
}

// --- who comes and goes -------------------------------------------------------

// Events come amid the reading of records; what they mean is looked at afterwards.
void MemberCounts::on_event(const model::Event& e) {
  const bool joins = takes_a_port(e.type) && is_group_member(e.socket);
  const bool leaves = e.type == EventType::release && members_.contains(e.socket.id);
  const bool may_leave = leaves || (e.type == EventType::release && !events_.empty());
  if (!joins && !may_leave) return;
  events_.push_back(e);
  if (posted_) return;
  posted_ = true;
  boost::asio::post(io_, [this] { take_events(); });
}

void MemberCounts::take_events() {
  posted_ = false;
  for (const model::Event& e : std::exchange(events_, {})) {
    const auto known = members_.find(e.socket.id);
    if (e.type != EventType::release) {
      join(e.socket, e.process, e.time);
    } else if (known != members_.end()) {
      leave(known->second, e.time);
      members_.erase(known);
    }
  }
  sample_later();
}

void MemberCounts::join(const Socket& s, const model::ProcessRef& process, MonoNs time) {
  if (members_.contains(s.id)) return;
  shares_.add(s.id, s.cookie);
  Member m;
  m.socket = s;
  m.process = process;
  m.joined_at = m.since = time;
  tell(members_.emplace(s.id, std::move(m)).first->second, EventType::reuseport_join, time);
}

void MemberCounts::leave(Member& m, MonoNs time) {
  count_at_close(m);
  tell(m, EventType::reuseport_leave, time);
  shares_.remove(m.socket.id, m.socket.cookie);
}

void MemberCounts::tell(const Member& m, EventType type, MonoNs time) {
  model::Event e;
  e.time = time;
  e.type = type;
  e.socket = m.socket;
  e.process = m.process;
  if (type == EventType::reuseport_leave)
    e.counted = std::make_shared<model::ShareCounters>(m.counters);
  core_.publish(std::move(e));
}

// --- figures ------------------------------------------------------------------

void MemberCounts::count(Member& m, const bl_share& share, bool datagram) const {
  model::ShareCounters& c = m.counters;
  c.since = m.since;
  if (given_.selected) c.selected = share.selected;
  if (datagram) {
    if (given_.datagrams) c.datagrams = share.datagrams;
    return;
  }
  if (given_.queued) c.queued = share.queued;
  if (given_.migrated) c.migrated = share.migrated;
  if (!given_.accepted) return;
  c.accepted = std::max(c.accepted.value_or(0), share.accepted);
  c.last_accept = share.last_accept;
}

// The figures of `share` are older than `row`: what was queued then, less what waits now,
// has been accepted at least, by whatever way: by io_uring, which is no system call of its
// own, or while a preemptible kernel left out a run of the program that counts.
void MemberCounts::update(Member& m, const std::optional<bl_share>& share, const bl_member& row) {
  const bool datagram = is_datagram(m.socket.proto);
  if (!m.seen && m.joined_at == 0) m.drops_before = row.drops;
  m.seen = true;
  model::ShareCounters& c = m.counters;
  c.since = m.since;
  c.drops = row.drops - m.drops_before;
  if (share) count(m, *share, datagram);
  if (datagram) return;
  if (share && given_.accepted && given_.queued && share->queued > row.backlog)
    c.accepted = std::max<uint64_t>(*c.accepted, share->queued - row.backlog);
  if (share && given_.queued)
    c.backlog_peak = std::max({c.backlog_peak.value_or(0), share->peak, row.backlog});
  const bool full = row.backlog > row.max_backlog; // sk_acceptq_is_full()
  const bool told = share && share->full_at > share->last_accept;
  const MonoNs before = c.queue_full_since.value_or(0);
  c.queue_full_since = !full ? 0 : told ? share->full_at : before != 0 ? before : monotonic_now();
}

// Its socket is gone; what was counted of it is not.
void MemberCounts::count_at_close(Member& m) const {
  const auto share = shares_.read(m.socket.id, m.socket.cookie);
  if (!share) return;
  count(m, *share, is_datagram(m.socket.proto));
  if (share->closed_at == 0) return;
  if (is_datagram(m.socket.proto)) {
    m.counters.drops = share->waiting - m.drops_before;
    return;
  }
  if (share->queued > share->waiting && given_.accepted && given_.queued)
    m.counters.accepted = std::max<uint64_t>(*m.counters.accepted, share->queued - share->waiting);
  if (given_.migrated)
    m.counters.lost_at_close = share->waiting - std::min<uint64_t>(share->waiting, share->migrated);
  else if (share->may_migrate == 0)
    m.counters.lost_at_close = share->waiting;
}

Result<std::vector<bl_member>> MemberCounts::read(std::span<const Socket> sockets) {
  std::vector<std::optional<bl_share>> shares(sockets.size());
  std::ranges::transform(sockets, shares.begin(), [&](const Socket& s) {
    auto share = shares_.read(s.id, s.cookie);
    // The kernel makes an entry when there is something to count, unless its map is full.
    if (!share && !session_.shares_full()) share = bl_share{};
    return share;
  });
  auto rows = reader_.read(sockets);
  if (!rows) return rows;
  const MonoNs now = monotonic_now();
  for (size_t i = 0; i < sockets.size(); ++i) {
    bl_member& row = (*rows)[i];
    const bool listens = row.state == static_cast<uint8_t>(model::State::listen);
    if (!is_datagram(sockets[i].proto) && !listens) row.group = 0;
    if (is_another(sockets[i], row)) row.group = 0;
    if (row.group == 0) continue;
    const auto before = members_.find(sockets[i].id);
    if (before != members_.end() && is_another(before->second.socket, row)) {
      leave(before->second, now);
      members_.erase(before);
    }
    if (!members_.contains(sockets[i].id)) { // no event told of it
      const model::Binding* b = core_.table().find(sockets[i].id);
      join(sockets[i], b != nullptr ? b->binder : nullptr, now);
    }
    Member& m = members_.at(sockets[i].id);
    m.socket.cookie = row.cookie;
    update(m, shares[i], row);
    sample_rate(m, now);
  }
  return rows;
}

void MemberCounts::sample_rate(Member& m, MonoNs now) const {
  const model::ShareCounters& c = m.counters;
  const auto work = is_datagram(m.socket.proto) ? c.datagrams : c.accepted;
  if (!work || now - m.sampled_at < shortest_sample) return;
  if (m.sampled_at != 0)
    m.per_second =
        static_cast<double>(*work - m.sampled) * 1e9 / static_cast<double>(now - m.sampled_at);
  m.sampled_at = now;
  m.sampled = *work;
}

void MemberCounts::fill(model::ReuseportMember& m) const {
  const auto it = members_.find(m.socket.id);
  if (it == members_.end()) return;
  m.counters = it->second.counters;
  m.counted_from_start = it->second.joined_at != 0;
  m.per_second = it->second.per_second;
}

// --- once a second ------------------------------------------------------------

void MemberCounts::sample() {
  const std::vector<Socket> sockets = this->sockets();
  const auto rows = read(sockets);
  if (!rows) {
    spdlog::warn("{}, ignoring", rows.error().text);
    return;
  }
  const MonoNs now = monotonic_now();
  for (size_t i = 0; i < sockets.size(); ++i) {
    const auto known = members_.find(sockets[i].id);
    if ((*rows)[i].group != 0 || known == members_.end()) continue;
    leave(known->second, now); // shut down, connected, or its end was not told of
    members_.erase(known);
  }
  if (sampled_) sampled_();
}

std::vector<Socket> MemberCounts::sockets() const {
  std::vector<Socket> all;
  for (const auto& [id, m] : members_)
    all.push_back(m.socket);
  return all;
}

void MemberCounts::sample_later() {
  if (sampling_ || members_.empty()) return;
  sampling_ = true;
  timer_.expires_after(sample_interval);
  timer_.async_wait([this](const boost::system::error_code& ec) {
    sampling_ = false;
    if (ec) return;
    core_.catch_up();
    sample();
    rest_if_nobody_listens();
    sample_later();
  });
}

void MemberCounts::rest_if_nobody_listens() {
  const bool listening = std::ranges::any_of(
      members_, [](const auto& m) { return !is_datagram(m.second.socket.proto); });
  if (!listening && events_.empty()) session_.rest_accepts();
}

} // namespace bindlens::app
