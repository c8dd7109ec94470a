#include "socket_rows.h"

#include "columns.h"

namespace bindlens::history {

using model::EventType;

SocketRows::SocketRows(Database& db, SideTables& side, int64_t run)
    : side_(side), run_(run),
      insert_(db,
              "INSERT INTO socket(run, namespace, proto, addr, port, peer_addr, peer_port, uid, "
              "dev, flags, cookie, linger, state, backlog, bound_by, binder, bound_at, since, "
              "since_event, listened, found) "
              "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      listen_(db, "UPDATE socket SET listened = ?, backlog = ?, flags = ?, state = ? WHERE id = ?"),
      release_(db,
               "UPDATE socket SET released = ?, released_event = ?, vanished = ? WHERE id = ?") {}

// The address of a socket comes again after its end.
bool SocketRows::Living::is(const model::Socket& s) const {
  const bool same_cookie = cookie == 0 || s.cookie == 0 || cookie == s.cookie;
  return same_cookie && local == s.local && netns == s.netns && proto == s.proto;
}

int64_t SocketRows::living(model::SocketId id) const {
  const auto it = living_.find(id);
  return it == living_.end() ? 0 : it->second.row;
}

int64_t SocketRows::insert(const model::Socket& s, model::BoundBy by,
                           const model::ProcessRef& binder, At at, std::optional<int64_t> bound,
                           bool was_found) {
  const std::string addr = to_string(s.local.addr);
  const PeerColumns peer(s.peer);
  const bool listens = s.state == model::State::listen;
  return insert_.run(
      run_, side_.name_space(s.netns), number(s.proto), addr, s.local.port, peer.addr, peer.port,
      s.uid, known(s.dev), s.flags.bits, known(static_cast<int64_t>(s.cookie)),
      s.is(model::SocketFlag::linger) ? std::optional<int64_t>(s.linger) : std::nullopt,
      number(s.state), known(s.max_backlog), number(by), known(side_.process(binder, at.event)),
      bound, at.wall, at.event, listens ? std::optional(at.wall) : std::nullopt,
      was_found ? std::optional(true) : std::nullopt);
}

SocketRows::Living& SocketRows::remember(const model::Socket& s, int64_t row) {
  Living& l = living_[s.id];
  l = {row, s.cookie, s.netns, s.local, s.peer, s.proto, s.state == model::State::listen, table_};
  return l;
}

void SocketRows::listen(Living& l, const model::Socket& s, int64_t wall) {
  l.listens = true;
  listen_.run(wall, known(s.max_backlog), s.flags.bits, number(s.state), l.row);
}

int64_t SocketRows::acquire(const model::Event& e, At at) {
  const auto it = living_.find(e.socket.id);
  if (it != living_.end() && it->second.is(e.socket)) {
    if (e.type == EventType::listen) listen(it->second, e.socket, at.wall);
    return it->second.row;
  }
  // The end of the one before was not told of.
  if (it != living_.end()) release_.run(at.wall, at.event, true, it->second.row);
  const bool binds = e.type != EventType::listen;
  const int64_t row = insert(e.socket, e.bound_by, binds ? e.process : nullptr, at,
                             binds ? std::optional(at.wall) : std::nullopt, false);
  remember(e.socket, row);
  return row;
}

int64_t SocketRows::release(const model::Event& e, At at) {
  const auto it = living_.find(e.socket.id);
  if (it == living_.end()) return glimpse(e, at);
  const int64_t row = it->second.row;
  (void)side_.process(e.process, at.event); // is needed as long as this event
  release_.run(at.wall, at.event, nullptr, row);
  living_.erase(it);
  return row;
}

// A socket that is told of without its being known: its row goes with the event.
int64_t SocketRows::glimpse(const model::Event& e, At at) {
  const int64_t row = insert(e.socket, e.bound_by, e.process, at, std::nullopt, true);
  release_.run(at.wall, at.event, nullptr, row);
  return row;
}

int64_t SocketRows::note(const model::Event& e, At at) {
  switch (e.type) {
  case EventType::bind:
  case EventType::autobind:
  case EventType::listen:
  case EventType::connect:
    return acquire(e, at);
  case EventType::release:
    return release(e, at);
  default:
    if (const int64_t row = living(e.socket.id); row != 0) return row;
    return glimpse(e, at);
  }
}

void SocketRows::begin_table() {
  ++table_;
}

void SocketRows::found(const model::Binding& b, int64_t bound, At at) {
  const auto it = living_.find(b.socket.id);
  if (it != living_.end() && it->second.is(b.socket)) {
    it->second.table = table_;
    if (b.socket.state == model::State::listen && !it->second.listens)
      listen(it->second, b.socket, at.wall);
    return;
  }
  if (it != living_.end()) release_.run(at.wall, at.event, true, it->second.row);
  const auto at_bind = bound == 0 ? std::nullopt : std::optional(bound);
  remember(b.socket, insert(b.socket, b.bound_by, b.binder, at, at_bind, true));
}

void SocketRows::end_table(At at) {
  erase_if(living_, [&](const auto& entry) {
    if (entry.second.table == table_) return false;
    release_.run(at.wall, at.event, true, entry.second.row);
    return true;
  });
}

} // namespace bindlens::history
