#include <bindlens/model/tracker.h>

#include <algorithm>
#include <cerrno>

namespace bindlens::model {

namespace {

// A walk whose call record was lost would stay for ever.
constexpr size_t max_pending_walks = 1024;
// Beyond, a refusal is about a crowd, not about one of them.
constexpr size_t max_known = 256;
constexpr size_t max_let_go = 32;

BoundBy bound_by(const CallRecord& c) {
  if (c.call == Call::connect) return BoundBy::connect;
  const bool asked_by_number = c.socket.is(SocketFlag::port_locked);
  return c.call == Call::bind && asked_by_number ? BoundBy::bind : BoundBy::autobind;
}

// connect() may fail for other reasons than its port, or not be done yet
// (EINPROGRESS): the record is there because it took one.
bool is_refused(const CallRecord& c) {
  if (c.call != Call::connect) return c.ret < 0;
  return c.ret == -EADDRNOTAVAIL || c.ret == -EADDRINUSE ||
         (c.ret == -EAGAIN && c.socket.local.port == 0);
}

EventType event_type(const CallRecord& c) {
  if (c.call == Call::listen) return EventType::listen;
  if (c.call == Call::connect) return EventType::connect;
  return EventType::bind;
}

} // namespace

Tracker::Tracker(BindTable& table, Sinks sinks)
    : table_(table), sinks_(std::move(sinks)), let_go_(max_let_go) {}

void Tracker::apply(Record&& record) {
  std::visit([this](auto& body) { apply(body); }, record.body);
}

void Tracker::apply(const HolderRecord& holder) {
  auto& rows = rows_[holder.call_id];
  if (rows.empty()) row_order_.push_back(holder.call_id);
  rows.push_back(holder.row);
  while (row_order_.size() > max_pending_walks) {
    rows_.erase(row_order_.front());
    row_order_.pop_front();
  }
}

void Tracker::apply(const ReuseRecord& reuse) {
  if (!sinks_.reused) return;
  TimeWaitReuse r;
  r.time = reuse.time;
  r.kind = reuse.kind == BL_REUSE_SYN ? ReuseKind::syn : ReuseKind::connect;
  r.socket = reuse.socket;
  if (reuse.task.pid != 0) r.process = sinks_.process(reuse.task);
  r.harmless = reuse.timestamps;
  r.left_out = reuse.left_out;
  sinks_.reused(std::move(r));
}

void Tracker::apply(CallRecord& call) {
  ProcessRef process = sinks_.process(call.task);
  if (is_refused(call))
    refused(call, std::move(process));
  else
    succeeded(call, std::move(process));
}

void Tracker::succeeded(CallRecord& call, ProcessRef process) {
  if (call.socket.local.port == 0) return;
  const Binding* known = table_.find(call.socket.id);
  const bool autobound_listen = call.call == Call::listen && (call.flags & BL_CF_WAS_BOUND) == 0;
  // listen() on a socket that was bound before the daemon started tells nothing
  // about who bound it.
  const BoundBy by =
      call.call == Call::listen && !autobound_listen ? BoundBy::unknown : bound_by(call);
  Event e;
  e.time = call.time;
  e.type = event_type(call);
  e.bound_by = known != nullptr && by == BoundBy::unknown ? known->bound_by : by;
  e.process = process;
  e.socket = call.socket;
  if ((call.flags & BL_CF_TIME_WAIT) != 0 && sinks_.bound_over)
    sinks_.bound_over(call.socket, call.time, process);
  table_.acquire(call.socket, call.time, by, std::move(process));
  sinks_.event(std::move(e));
}

// A socket that is being closed stays in its bucket for a moment after its release was
// told of, and may be in the way until then.
const Binding* Tracker::known(const Socket& s) const {
  if (const Binding* b = table_.find(s.id); b != nullptr) return b;
  const auto it = std::ranges::find_if(let_go_, [&](const Binding& b) {
    return b.socket.id == s.id && b.socket.cookie == s.cookie && s.cookie != 0;
  });
  return it == let_go_.end() ? nullptr : &*it;
}

void Tracker::refused(CallRecord& call, ProcessRef process) {
  RefusedCall r;
  if (const auto it = rows_.find(call.call_id); call.call_id != 0 && it != rows_.end()) {
    r.walked = RowAssembler(r.view).append(it->second);
    rows_.erase(it);
    std::erase(row_order_, call.call_id);
  } else {
    r.walked = (call.flags & BL_CF_HOLDERS) != 0; // an empty bucket
  }
  // Now, for the next record may be of a holder that lets go.
  for (const Bucket& b : r.view.buckets)
    for (const Socket& s : b.sockets)
      if (const Binding* then = known(s); then != nullptr && r.known.size() < max_known)
        r.known.push_back(*then);
  r.view.truncated = (call.flags & BL_CF_TRUNCATED) != 0;
  r.view.torn = (call.flags & BL_CF_TORN) != 0;
  r.whole = r.walked && !r.view.truncated && !r.view.torn;
  r.call = std::move(call);
  r.process = std::move(process);
  sinks_.refused(std::move(r));
}

void Tracker::apply(const ReleaseRecord& release) {
  if (release.stopped_listening) {
    table_.stop_listening(release.id, release.time);
    return;
  }
  std::optional<Binding> released = table_.release(release.id, release.time);
  if (!released) return;
  Event e;
  e.time = release.time;
  e.type = EventType::release;
  e.socket = released->socket;
  e.bound_by = released->bound_by;
  e.process = released->binder;
  if (sinks_.released) sinks_.released(*released);
  let_go_.push_front(*std::move(released));
  sinks_.event(std::move(e));
}

void LossDetector::saw(uint32_t cpu, uint64_t seq) {
  Cpu& c = cpus_[cpu];
  c.highest = std::max(c.highest, seq);
  ++c.received;
}

uint64_t LossDetector::missing() const {
  uint64_t sum = 0;
  for (const auto& [cpu, c] : cpus_)
    sum += c.highest > c.received ? c.highest - c.received : 0;
  return sum;
}

} // namespace bindlens::model
