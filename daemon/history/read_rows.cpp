#include "read_rows.h"

#include <utility>

namespace bindlens::history {

namespace {

// Of each kind; then all are forgotten.
constexpr size_t most_remembered = 4096;

template <typename Map>
void make_room(Map& map) {
  if (map.size() >= most_remembered) map.clear();
}

template <typename T>
T as(const Statement& s, int column) {
  return static_cast<T>(s.integer(column));
}

model::Endpoint endpoint_at(const Statement& s, int addr, int port) {
  model::Endpoint e;
  if (const auto parsed = model::parse_address(s.text(addr))) e.addr = *parsed;
  e.port = as<uint16_t>(s, port);
  return e;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

constexpr const char* blocker_columns =
    "SELECT b.id, n.inode, b.proto, b.addr, b.port, b.peer_addr, b.peer_port, b.uid, b.dev, "
    "b.flags, b.cookie, b.linger, b.state, b.tw_substate, b.tw_left_ms, b.backlog, b.max_backlog, "
    "b.rule, b.relation, b.necessary, b.bound_by, b.bound_at, b.binder, b.binder_exited, "
    "b.released, b.holders_known FROM blocker b JOIN namespace n ON n.id = b.namespace WHERE ";

} // namespace

ReadRows::ReadRows(Database& db)
    : process_(db, "SELECT pid, start_time, ppid, uid, user, comm, exe, cgroup, unit, container "
                   "FROM process WHERE id = ?"),
      namespace_(db, "SELECT inode, name FROM namespace WHERE id = ?"),
      text_(db, "SELECT text FROM text WHERE id = ?"),
      socket_(db, std::string("SELECT ") + socket_columns + " FROM socket WHERE id = ?"),
      failure_(db, "SELECT number, wall, first_wall, count, call, errno, proto, addr, port, "
                   "peer_addr, peer_port, flags, dev, uid, namespace, process, tid, rule, "
                   "explanation, advice, blockers_left_out, evidence, complete FROM failure "
                   "WHERE id = ?"),
      blockers_(db, std::string(blocker_columns) + "b.failure = ? ORDER BY b.id"),
      found_blockers_(db, std::string(blocker_columns) + "b.finding = ? ORDER BY b.id"),
      holders_(db, "SELECT process, fd FROM holder WHERE blocker = ? ORDER BY n"),
      finding_(db, "SELECT finding, severity, summary, detail, proto, port, namespace, subject, "
                   "advice, sockets_left_out FROM finding WHERE id = ?"),
      deliveries_(db, "SELECT destination, receiver FROM delivery WHERE finding = ? ORDER BY n"),
      // Numbers of rows come again when all are gone.
      share_(db, "SELECT since, selected, queued, accepted, datagrams, drops, migrated, "
                 "lost_at_close, backlog_peak FROM share WHERE id = ? AND event = ?") {}

std::string ReadRows::text(int64_t id) {
  if (id == 0) return {};
  if (const auto it = texts_.find(id); it != texts_.end()) return it->second;
  make_room(texts_);
  std::string found = text_.bind(id).step() ? text_.text(0) : std::string();
  text_.reset();
  return texts_[id] = std::move(found);
}

model::ProcessRef ReadRows::process(int64_t id) {
  if (id == 0) return nullptr;
  if (const auto it = processes_.find(id); it != processes_.end()) return it->second;
  make_room(processes_);
  model::ProcessRef& made = processes_[id];
  if (process_.bind(id).step()) {
    model::Process p;
    p.pid = as<uint32_t>(process_, 0);
    p.start_time = as<uint64_t>(process_, 1);
    p.ppid = as<uint32_t>(process_, 2);
    p.uid = as<uint32_t>(process_, 3);
    p.user = text(process_.integer(4));
    p.comm = process_.text(5);
    p.exe = text(process_.integer(6));
    p.cgroup = text(process_.integer(7));
    p.unit = text(process_.integer(8));
    p.container = text(process_.integer(9));
    made = std::make_shared<const model::Process>(std::move(p));
  }
  process_.reset();
  return made;
}

const ReadRows::Namespace& ReadRows::name_space(int64_t id) {
  const auto it = namespaces_.find(id);
  // A name may come later.
  if (it != namespaces_.end() && !it->second.name.empty()) return it->second;
  make_room(namespaces_);
  Namespace& n = namespaces_[id];
  if (namespace_.bind(id).step()) n = {as<uint32_t>(namespace_, 0), namespace_.text(1)};
  namespace_.reset();
  return n;
}

ReadRows::SocketRow ReadRows::socket_of(const Statement& s, int at) {
  SocketRow row;
  row.netns = name_space(s.integer(at + 0));
  model::Socket& socket = row.past.socket;
  socket.netns = row.netns.inode;
  socket.proto = as<model::Proto>(s, at + 1);
  socket.local = endpoint_at(s, at + 2, at + 3);
  if (!s.null(at + 5)) socket.peer = endpoint_at(s, at + 4, at + 5);
  socket.uid = as<uint32_t>(s, at + 6);
  socket.dev = as<uint32_t>(s, at + 7);
  socket.flags.bits = as<uint32_t>(s, at + 8);
  socket.cookie = as<uint64_t>(s, at + 9);
  socket.linger = as<uint32_t>(s, at + 10);
  socket.state = as<model::State>(s, at + 11);
  socket.max_backlog = as<uint32_t>(s, at + 12);
  row.past.bound_by = as<model::BoundBy>(s, at + 13);
  row.past.binder = process(s.integer(at + 14));
  row.past.bound_at = s.integer(at + 15);
  row.run = s.integer(at + 16);
  row.since = s.integer(at + 17);
  row.listened = optional_at(s, at + 18);
  row.released = optional_at(s, at + 19);
  row.found = s.integer(at + 20) != 0;
  row.vanished = s.integer(at + 21) != 0;
  return row;
}

const ReadRows::SocketRow* ReadRows::socket(int64_t id) {
  if (const auto it = sockets_.find(id); it != sockets_.end()) return &it->second;
  make_room(sockets_);
  const bool any = socket_.bind(id).step();
  if (any) sockets_[id] = socket_of(socket_, 0);
  socket_.reset();
  return any ? &sockets_[id] : nullptr;
}

model::Blocker ReadRows::blocker_of(const Statement& s) {
  model::Blocker b;
  model::Socket& socket = b.socket;
  socket.netns = as<uint32_t>(s, 1);
  socket.proto = as<model::Proto>(s, 2);
  socket.local = endpoint_at(s, 3, 4);
  if (!s.null(6)) socket.peer = endpoint_at(s, 5, 6);
  socket.uid = as<uint32_t>(s, 7);
  socket.dev = as<uint32_t>(s, 8);
  socket.flags.bits = as<uint32_t>(s, 9);
  socket.cookie = as<uint64_t>(s, 10);
  socket.linger = as<uint32_t>(s, 11);
  socket.state = as<model::State>(s, 12);
  if (!s.null(13)) socket.tw_substate = as<model::State>(s, 13);
  socket.tw_left_ms = as<uint32_t>(s, 14);
  socket.backlog = as<uint32_t>(s, 15);
  socket.max_backlog = as<uint32_t>(s, 16);
  b.rule = as<model::Rule>(s, 17);
  b.relation = as<model::Relation>(s, 18);
  b.necessary = s.integer(19) != 0;
  b.bound_by = as<model::BoundBy>(s, 20);
  b.bound_at = as<MonoNs>(s, 21);
  b.binder = process(s.integer(22));
  b.binder_exited = s.integer(23) != 0;
  b.released_at = as<MonoNs>(s, 24);
  b.holders_known = s.integer(25) != 0;
  holders_.bind(s.integer(0));
  while (holders_.step())
    if (auto p = process(holders_.integer(0))) b.holders.push_back({p, as<int>(holders_, 1)});
  return b;
}

std::vector<model::Blocker> ReadRows::blockers(Statement& select, int64_t of) {
  std::vector<model::Blocker> all;
  select.bind(of);
  while (select.step())
    all.push_back(blocker_of(select));
  return all;
}

void ReadRows::fill_request(model::Failure& f) {
  f.id = as<uint64_t>(failure_, 0);
  f.time = as<MonoNs>(failure_, 1);
  f.first_time = as<MonoNs>(failure_, 2);
  f.count = as<uint64_t>(failure_, 3);
  f.call = as<model::Call>(failure_, 4);
  f.error = as<int>(failure_, 5);
  f.proto = as<model::Proto>(failure_, 6);
  f.asked = endpoint_at(failure_, 7, 8);
  if (!failure_.null(10)) f.peer = endpoint_at(failure_, 9, 10);
  f.flags.bits = as<uint32_t>(failure_, 11);
  f.dev = as<uint32_t>(failure_, 12);
  f.uid = as<uint32_t>(failure_, 13);
  f.tid = as<uint32_t>(failure_, 16);
  f.rule = as<model::Rule>(failure_, 17);
  f.explanation = failure_.text(18);
  f.advice = lines_of(failure_.text(19));
  f.blockers_left_out = as<uint64_t>(failure_, 20);
  f.evidence = as<model::Evidence>(failure_, 21);
  f.complete = failure_.integer(22) != 0;
}

std::shared_ptr<const model::Failure> ReadRows::failure(int64_t id) {
  if (const auto it = failures_.find(id); it != failures_.end()) return it->second;
  make_room(failures_);
  if (!failure_.bind(id).step()) return nullptr;
  auto f = std::make_shared<model::Failure>();
  fill_request(*f);
  f->netns = name_space(failure_.integer(14)).inode;
  f->process = process(failure_.integer(15));
  failure_.reset();
  if (!f->process) f->process = std::make_shared<const model::Process>();
  f->blockers = blockers(blockers_, id);
  return failures_[id] = std::move(f);
}

std::shared_ptr<const model::Finding> ReadRows::finding(int64_t id) {
  if (!finding_.bind(id).step()) return nullptr;
  auto f = std::make_shared<model::Finding>();
  f->id = as<model::FindingId>(finding_, 0);
  f->severity = as<model::Severity>(finding_, 1);
  f->summary = finding_.text(2);
  f->detail = finding_.text(3);
  f->proto = as<model::Proto>(finding_, 4);
  f->port = as<uint16_t>(finding_, 5);
  f->netns = name_space(finding_.integer(6)).inode;
  f->subject = finding_.text(7);
  f->advice = lines_of(finding_.text(8));
  f->sockets_left_out = as<uint64_t>(finding_, 9);
  finding_.reset();
  deliveries_.bind(id);
  while (deliveries_.step())
    f->deliveries.push_back({deliveries_.text(0), deliveries_.text(1)});
  f->sockets = blockers(found_blockers_, id);
  return f;
}

std::shared_ptr<const model::ShareCounters> ReadRows::share(int64_t id, int64_t event) {
  if (!share_.bind(id, event).step()) return nullptr;
  auto c = std::make_shared<model::ShareCounters>();
  c->since = as<MonoNs>(share_, 0);
  int column = 0;
  for (auto* figure : {&c->selected, &c->queued, &c->accepted, &c->datagrams, &c->drops,
                       &c->migrated, &c->lost_at_close})
    if (const auto value = optional_at(share_, ++column)) *figure = static_cast<uint64_t>(*value);
  if (const auto value = optional_at(share_, ++column))
    c->backlog_peak = static_cast<uint32_t>(*value);
  share_.reset();
  return c;
}

} // namespace bindlens::history
