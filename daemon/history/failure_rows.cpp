#include "failure_rows.h"

#include "columns.h"

namespace bindlens::history {

namespace {

std::string lines(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& t : texts)
    joined += (joined.empty() ? "" : "\n") + t;
  return joined;
}

std::optional<int64_t> wall_of(MonoNs time, int64_t offset) {
  return time == 0 ? std::nullopt : std::optional(offset + static_cast<int64_t>(time));
}

} // namespace

FailureRows::FailureRows(Database& db, SideTables& side, SocketRows& sockets, int64_t run)
    : side_(side), sockets_(sockets), run_(run),
      insert_failure_(
          db,
          "INSERT INTO failure(run, number, clock, wall, first_wall, count, call, errno, proto, "
          "addr, port, peer_addr, peer_port, flags, dev, uid, namespace, process, tid, rule, "
          "explanation, advice, blockers_left_out, evidence, complete) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      count_failure_(db, "UPDATE failure SET count = ?, wall = ?, clock = ? WHERE id = ?"),
      insert_blocker_(
          db,
          "INSERT INTO blocker(failure, finding, socket, namespace, proto, addr, port, peer_addr, "
          "peer_port, uid, dev, flags, cookie, linger, state, tw_substate, tw_left_ms, backlog, "
          "max_backlog, rule, relation, necessary, bound_by, bound_at, binder, binder_exited, "
          "released, holders_known) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
          "?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      insert_holder_(db, "INSERT INTO holder(blocker, n, process, fd) VALUES (?, ?, ?, ?)"),
      release_(db, "UPDATE blocker SET released = ? WHERE socket = ? AND released IS NULL"),
      insert_finding_(db, "INSERT INTO finding(finding, severity, summary, detail, proto, port, "
                          "namespace, subject, advice, sockets_left_out) "
                          "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      insert_delivery_(db, "INSERT INTO delivery VALUES (?, ?, ?, ?)") {}

int64_t FailureRows::insert(const model::Failure& f, At at) {
  const std::string addr = to_string(f.asked.addr);
  const std::string advice = lines(f.advice);
  const PeerColumns peer(f.peer);
  return insert_failure_.run(
      run_, f.id, at.clock, wall_of(f.time, at.offset), wall_of(f.first_time, at.offset), f.count,
      number(f.call), f.error, number(f.proto), addr, f.asked.port, peer.addr, peer.port,
      f.flags.bits, known(f.dev), f.uid, side_.name_space(f.netns),
      side_.process(f.process, at.event), known(f.tid), number(f.rule), known(f.explanation),
      known(advice), known(static_cast<int64_t>(f.blockers_left_out)), number(f.evidence),
      f.complete);
}

void FailureRows::insert_blockers(const std::vector<model::Blocker>& blockers,
                                  std::optional<int64_t> failure, std::optional<int64_t> finding,
                                  At at) {
  for (const model::Blocker& b : blockers) {
    const model::Socket& s = b.socket;
    const std::string addr = to_string(s.local.addr);
    const PeerColumns peer(s.peer);
    const bool timewait = s.is(model::SocketFlag::timewait);
    const int64_t socket = b.released_at == 0 ? sockets_.living(s.id) : 0;
    blocking_ = blocking_ || (failure && socket != 0);
    const int64_t row = insert_blocker_.run(
        failure, finding, known(socket), side_.name_space(s.netns), number(s.proto), addr,
        s.local.port, peer.addr, peer.port, s.uid, known(s.dev), s.flags.bits,
        known(static_cast<int64_t>(s.cookie)),
        s.is(model::SocketFlag::linger) ? std::optional<int64_t>(s.linger) : std::nullopt,
        number(s.state), timewait ? std::optional(number(s.tw_substate)) : std::nullopt,
        known(s.tw_left_ms), known(s.backlog), known(s.max_backlog), number(b.rule),
        number(b.relation), b.necessary, number(b.bound_by), wall_of(b.bound_at, at.offset),
        known(side_.process(b.binder, at.event)), b.binder_exited,
        wall_of(b.released_at, at.offset), b.holders_known);
    int n = 0;
    for (const model::Holder& h : b.holders)
      insert_holder_.run(row, n++, side_.process(h.process, at.event), h.fd);
  }
}

int64_t FailureRows::note(const model::Failure& f, At at) {
  if (f.id == last_number_ && f.count > 1) {
    count_failure_.run(f.count, wall_of(f.time, at.offset), at.clock, last_row_);
    return last_row_;
  }
  last_row_ = insert(f, at);
  last_number_ = f.id;
  insert_blockers(f.blockers, last_row_, std::nullopt, at);
  return last_row_;
}

int64_t FailureRows::note(const model::Finding& f, At at) {
  const std::string advice = lines(f.advice);
  const int64_t row = insert_finding_.run(
      number(f.id), number(f.severity), f.summary, known(f.detail), number(f.proto), known(f.port),
      side_.name_space(f.netns), known(f.subject), known(advice),
      known(static_cast<int64_t>(f.sockets_left_out)));
  int n = 0;
  for (const model::Delivery& d : f.deliveries)
    insert_delivery_.run(row, n++, d.destination, d.receiver);
  insert_blockers(f.sockets, std::nullopt, row, at);
  return row;
}

void FailureRows::note_release(int64_t socket, int64_t wall) {
  if (blocking_) release_.run(wall, socket);
}

} // namespace bindlens::history
