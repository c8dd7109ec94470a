#include <bindlens/model/table.h>

#include <boost/unordered/unordered_flat_set.hpp>

namespace bindlens::model {

namespace {

// The kernel's address of a socket comes again after its end. A cookie is given
// once and stays: one that is gone or different shows another socket.
bool same_socket(const Socket& earlier, const Socket& later) {
  return earlier.local.port == later.local.port && earlier.netns == later.netns &&
         (earlier.cookie == 0 || earlier.cookie == later.cookie);
}

// Connected sockets change state and address without an event; what must not
// differ is who holds which port, and whether it listens.
bool same_claim(const Socket& a, const Socket& b) {
  return a.local.port == b.local.port && a.netns == b.netns &&
         (a.state == State::listen) == (b.state == State::listen);
}

BoundBy guess_bound_by(const Socket& s, const Bucket& bucket) {
  if (s.is(SocketFlag::port_locked)) return BoundBy::bind;
  if (s.is(SocketFlag::connect_bind)) return BoundBy::connect;
  if (s.proto == Proto::tcp && s.peer.port != 0 && bucket.fastreuse == -1) return BoundBy::connect;
  return BoundBy::unknown;
}

} // namespace

bool BindTable::is_tracked(const Socket& s, const Bucket& bucket) {
  if (s.is(SocketFlag::timewait)) return false;
  if (s.proto == Proto::udp || s.proto == Proto::udplite) return true;
  if (s.state == State::bound || s.state == State::listen) return true;
  if (s.is(SocketFlag::port_locked) || s.is(SocketFlag::connect_bind)) return true;
  return bucket.fastreuse == -1;
}

bool BindTable::is_silent(const Socket& s) {
  if (s.is(SocketFlag::kernel)) return true;
  if (s.is(SocketFlag::port_locked)) return false;
  if (s.proto == Proto::udp || s.proto == Proto::udplite) return true;
  // Connected, and only guessed to have chosen its own port (is_tracked()).
  return s.state != State::bound && s.state != State::listen && !s.is(SocketFlag::connect_bind);
}

Binding& BindTable::acquire(const Socket& s, MonoNs time, BoundBy by, ProcessRef binder) {
  Binding& b = entries_[s.id];
  const bool newer = b.changed_at <= time;
  const bool same = newer ? same_socket(b.socket, s) : same_socket(s, b.socket);
  if (newer) {
    if (!same) b = {}; // the end of the socket that was here before has been missed
    b.socket = s;
    b.changed_at = time;
    if (walking_) released_.erase(s.id);
  }
  // A row that was walked before the record of its bind came learns its binder.
  if ((newer || same) && b.bound_at == 0 && by != BoundBy::unknown) {
    b.bound_at = time;
    b.bound_by = by;
    b.binder = std::move(binder);
  }
  return b;
}

std::optional<Binding> BindTable::release(SocketId id, MonoNs time) {
  if (walking_) released_[id] = time;
  const auto it = entries_.find(id);
  if (it == entries_.end() || it->second.changed_at > time) return std::nullopt;
  std::optional<Binding> released = std::move(it->second);
  entries_.erase(it);
  return released;
}

void BindTable::stop_listening(SocketId id, MonoNs time) {
  const auto it = entries_.find(id);
  if (it == entries_.end() || it->second.changed_at > time) return;
  it->second.socket.state = State::bound;
  it->second.changed_at = time;
}

const Binding* BindTable::find(SocketId id) const {
  const auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : &it->second;
}

size_t BindTable::namespaces() const {
  boost::unordered_flat_set<uint32_t> seen;
  for (const auto& [id, b] : entries_)
    seen.insert(b.socket.netns);
  return seen.size();
}

void BindTable::for_each(const std::function<void(const Binding&)>& visit) const {
  for (const auto& [id, b] : entries_)
    visit(b);
}

void BindTable::begin_walk(MonoNs now) {
  walk_started_ = now;
  ++walk_;
  released_.clear();
  walking_ = true;
}

void BindTable::take(const Socket& s, const Bucket& bucket, MergeReport& report) {
  auto it = entries_.find(s.id);
  if (it == entries_.end()) {
    if (!is_tracked(s, bucket) || released_.contains(s.id)) return;
    Binding b{s, walk_started_, 0, nullptr, guess_bound_by(s, bucket), walk_};
    entries_.emplace(s.id, std::move(b));
    if (is_silent(s))
      ++report.reconstructed;
    else
      report.missing.push_back(s);
    return;
  }
  Binding& b = it->second;
  const bool same = same_socket(b.socket, s);
  if (b.changed_at < walk_started_ && !same && !is_tracked(s, bucket)) return;
  b.walk = walk_;
  if (b.changed_at >= walk_started_) return;
  if (!same) b = {s, 0, 0, nullptr, guess_bound_by(s, bucket), walk_};
  if (!same || !same_claim(b.socket, s)) {
    report.changed.push_back(s);
    b.changed_at = walk_started_;
  }
  b.socket = s;
}

BindTable::MergeReport BindTable::merge(std::span<const Bucket> walked, bool torn) {
  MergeReport report;
  for (const Bucket& bucket : walked)
    for (const Socket& s : bucket.sockets)
      take(s, bucket, report);
  erase_if(entries_, [&](const auto& entry) {
    const Binding& b = entry.second;
    const bool gone = !torn && b.walk != walk_ && b.changed_at < walk_started_;
    if (gone) report.stale.push_back(b.socket);
    return gone;
  });
  cancel_walk();
  return report;
}

void BindTable::cancel_walk() {
  released_.clear();
  walking_ = false;
}

} // namespace bindlens::model
