#include <bindlens/history/schema.h>

#include <bindlens/model/event.h>
#include <bindlens/model/reuseport.h>

#include <array>

namespace bindlens::history {

namespace {

using model::BoundBy;
using model::EventType;
using model::Proto;
using model::State;

// Files outlive the program: a number never changes its meaning. New ones go at the end.
static_assert(int(EventType::bind) == 0 && int(EventType::fail) == 5 &&
              int(EventType::audit) == 9 && int(EventType::gap) == 10 &&
              int(EventType::start) == 11 && int(EventType::stop) == 12);
static_assert(int(Proto::tcp) == 0 && int(Proto::mptcp) == 3);
static_assert(int(State::established) == 1 && int(State::closing) == 11);
static_assert(int(BoundBy::unknown) == 0 && int(BoundBy::accept) == 4);
static_assert(int(model::Rule::none) == 0 && int(model::Rule::invalid_argument) == 19);
static_assert(int(model::Relation::none) == 0 && int(model::Relation::v4_mapped) == 5);
static_assert(int(model::Call::bind) == 0 && int(model::Call::send) == 3);
static_assert(int(model::Evidence::reconstructed) == 1);
static_assert(int(model::Severity::critical) == 2);
static_assert(int(model::FindingId::wildcard_conflict) == 0 &&
              int(model::FindingId::privileged_by_unprivileged) == 11 &&
              int(model::FindingId::time_wait_reuse) == 13);
static_assert(int(model::ReuseKind::syn) == 2);
static_assert(int(model::GapCause::disk) == 2);

constexpr const char* tables = R"sql(
CREATE TABLE name(kind TEXT, value INTEGER, name TEXT, PRIMARY KEY(kind, value)) WITHOUT ROWID;

CREATE TABLE boot(id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE);
CREATE TABLE clock(id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, offset INTEGER NOT NULL);
CREATE TABLE run(
  id INTEGER PRIMARY KEY, clock INTEGER NOT NULL, pid INTEGER NOT NULL, version TEXT NOT NULL,
  started INTEGER NOT NULL, seen INTEGER NOT NULL, ended INTEGER,
  after_unclean INTEGER NOT NULL, last_event INTEGER NOT NULL, events INTEGER NOT NULL);
CREATE TABLE text(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE namespace(id INTEGER PRIMARY KEY, run INTEGER NOT NULL, inode INTEGER NOT NULL,
                       name TEXT);
CREATE TABLE process(
  id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, pid INTEGER NOT NULL, start_time INTEGER,
  ppid INTEGER, uid INTEGER NOT NULL, user INTEGER, comm TEXT NOT NULL, exe INTEGER,
  cgroup INTEGER, unit INTEGER, container INTEGER, last_event INTEGER NOT NULL);

CREATE TABLE socket(
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL, namespace INTEGER NOT NULL, proto INTEGER NOT NULL,
  addr TEXT NOT NULL, port INTEGER NOT NULL, peer_addr TEXT, peer_port INTEGER,
  uid INTEGER NOT NULL, dev INTEGER, flags INTEGER NOT NULL, cookie INTEGER, linger INTEGER,
  state INTEGER NOT NULL, backlog INTEGER, bound_by INTEGER NOT NULL, binder INTEGER,
  bound_at INTEGER, since INTEGER, since_event INTEGER, listened INTEGER,
  released INTEGER, released_event INTEGER, found INTEGER, vanished INTEGER);
CREATE INDEX socket_released ON socket(released_event);

CREATE TABLE event(
  id INTEGER PRIMARY KEY, clock INTEGER NOT NULL, wall INTEGER NOT NULL, type INTEGER NOT NULL,
  port INTEGER, socket INTEGER, process INTEGER, state INTEGER, flags INTEGER, detail INTEGER);
CREATE INDEX event_wall ON event(wall);
CREATE INDEX event_port ON event(port, wall) WHERE port IS NOT NULL;
CREATE INDEX event_failure ON event(detail) WHERE type = 5;
CREATE INDEX event_finding ON event(detail) WHERE type = 9;

CREATE TABLE failure(
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL, number INTEGER NOT NULL, clock INTEGER NOT NULL,
  wall INTEGER NOT NULL, first_wall INTEGER NOT NULL, count INTEGER NOT NULL,
  call INTEGER NOT NULL, errno INTEGER NOT NULL, proto INTEGER NOT NULL, addr TEXT NOT NULL,
  port INTEGER NOT NULL, peer_addr TEXT, peer_port INTEGER, flags INTEGER NOT NULL, dev INTEGER,
  uid INTEGER NOT NULL, namespace INTEGER NOT NULL, process INTEGER NOT NULL, tid INTEGER,
  rule INTEGER NOT NULL, explanation TEXT, advice TEXT, blockers_left_out INTEGER,
  evidence INTEGER NOT NULL, complete INTEGER NOT NULL);
CREATE INDEX failure_wall ON failure(wall);
CREATE INDEX failure_port ON failure(port, wall);
CREATE INDEX failure_peer_port ON failure(peer_port, wall) WHERE peer_port IS NOT NULL;

CREATE TABLE finding(
  id INTEGER PRIMARY KEY, finding INTEGER NOT NULL, severity INTEGER NOT NULL,
  summary TEXT NOT NULL, detail TEXT, proto INTEGER NOT NULL, port INTEGER,
  namespace INTEGER NOT NULL, subject TEXT, advice TEXT, sockets_left_out INTEGER);
CREATE TABLE delivery(
  finding INTEGER NOT NULL, n INTEGER NOT NULL, destination TEXT NOT NULL,
  receiver TEXT NOT NULL, PRIMARY KEY(finding, n)) WITHOUT ROWID;

CREATE TABLE blocker(
  id INTEGER PRIMARY KEY, failure INTEGER, finding INTEGER, socket INTEGER,
  namespace INTEGER NOT NULL, proto INTEGER NOT NULL, addr TEXT NOT NULL, port INTEGER NOT NULL,
  peer_addr TEXT, peer_port INTEGER, uid INTEGER NOT NULL, dev INTEGER, flags INTEGER NOT NULL,
  cookie INTEGER, linger INTEGER, state INTEGER NOT NULL, tw_substate INTEGER,
  tw_left_ms INTEGER, backlog INTEGER, max_backlog INTEGER,
  rule INTEGER NOT NULL, relation INTEGER NOT NULL, necessary INTEGER NOT NULL,
  bound_by INTEGER NOT NULL, bound_at INTEGER, binder INTEGER, binder_exited INTEGER NOT NULL,
  released INTEGER, holders_known INTEGER NOT NULL);
CREATE INDEX blocker_failure ON blocker(failure) WHERE failure IS NOT NULL;
CREATE INDEX blocker_finding ON blocker(finding) WHERE finding IS NOT NULL;
CREATE INDEX blocker_socket ON blocker(socket) WHERE socket IS NOT NULL AND released IS NULL;
CREATE TABLE holder(
  blocker INTEGER NOT NULL, n INTEGER NOT NULL, process INTEGER NOT NULL, fd INTEGER NOT NULL,
  PRIMARY KEY(blocker, n)) WITHOUT ROWID;

CREATE TABLE reuse(
  event INTEGER PRIMARY KEY, kind INTEGER NOT NULL, evidence INTEGER NOT NULL,
  sockets INTEGER NOT NULL, harmless INTEGER NOT NULL, left_out INTEGER);
CREATE TABLE gap(event INTEGER PRIMARY KEY, since INTEGER, cause INTEGER NOT NULL);
CREATE TABLE share(
  id INTEGER PRIMARY KEY, clock INTEGER NOT NULL, wall INTEGER NOT NULL, port INTEGER NOT NULL,
  socket INTEGER NOT NULL, event INTEGER NOT NULL, since INTEGER NOT NULL, selected INTEGER,
  queued INTEGER, accepted INTEGER, datagrams INTEGER, drops INTEGER, migrated INTEGER,
  lost_at_close INTEGER, backlog_peak INTEGER);
CREATE INDEX share_port ON share(port, wall);
CREATE TABLE short_lived(
  minute INTEGER NOT NULL, namespace INTEGER NOT NULL, proto INTEGER NOT NULL,
  port INTEGER NOT NULL, bound_by INTEGER NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY(minute, namespace, proto, port, bound_by)) WITHOUT ROWID;
CREATE INDEX short_lived_port ON short_lived(port, minute);

CREATE TRIGGER failure_gone AFTER DELETE ON failure BEGIN
  DELETE FROM event WHERE type = 5 AND detail = old.id;
  DELETE FROM blocker WHERE failure = old.id;
END;
CREATE TRIGGER finding_gone AFTER DELETE ON finding BEGIN
  DELETE FROM delivery WHERE finding = old.id;
  DELETE FROM blocker WHERE finding = old.id;
END;
CREATE TRIGGER blocker_gone AFTER DELETE ON blocker BEGIN
  DELETE FROM holder WHERE blocker = old.id;
END;
)sql";

// For people with the sqlite3 shell. Times are texts in UTC with nanoseconds.
constexpr const char* views = R"sql(
CREATE VIEW processes AS
  SELECT p.id, p.pid, p.comm, e.text AS exe, p.uid, u.text AS user, c.text AS cgroup,
         n.text AS unit, k.text AS container, p.ppid, p.start_time
  FROM process p LEFT JOIN text e ON e.id = p.exe LEFT JOIN text u ON u.id = p.user
  LEFT JOIN text c ON c.id = p.cgroup LEFT JOIN text n ON n.id = p.unit
  LEFT JOIN text k ON k.id = p.container;

CREATE VIEW events AS
  SELECT e.id, strftime('%Y-%m-%dT%H:%M:%S', e.wall / 1000000000, 'unixepoch') ||
           printf('.%09dZ', e.wall % 1000000000) AS time,
         t.name AS type, coalesce(pr.name, fp.name) AS proto,
         coalesce(s.addr, f.addr) AS addr, e.port, s.peer_addr, s.peer_port,
         st.name AS state, p.pid, p.comm, coalesce(n.inode, fn.inode) AS netns,
         f.explanation, CASE WHEN e.type = 10 THEN e.detail END AS lost, b.boot_id,
         e.wall - c.offset AS monotonic, e.wall, e.socket,
         CASE WHEN e.type = 5 THEN e.detail END AS failure
  FROM event e JOIN clock c ON c.id = e.clock JOIN boot b ON b.id = c.boot
  JOIN name t ON t.kind = 'type' AND t.value = e.type
  LEFT JOIN socket s ON s.id = e.socket
  LEFT JOIN name pr ON pr.kind = 'proto' AND pr.value = s.proto
  LEFT JOIN name st ON st.kind = 'state' AND st.value = e.state
  LEFT JOIN namespace n ON n.id = s.namespace
  LEFT JOIN failure f ON e.type = 5 AND f.id = e.detail
  LEFT JOIN process p ON p.id = coalesce(e.process, f.process, s.binder)
  LEFT JOIN name fp ON fp.kind = 'proto' AND fp.value = f.proto
  LEFT JOIN namespace fn ON fn.id = f.namespace;

CREATE VIEW failures AS
  SELECT f.id, strftime('%Y-%m-%dT%H:%M:%S', f.wall / 1000000000, 'unixepoch') ||
           printf('.%09dZ', f.wall % 1000000000) AS time,
         f.count, c.name AS call, f.errno, p.name AS proto, f.addr, f.port, f.peer_addr,
         f.peer_port, r.name AS rule, f.explanation, f.advice, q.pid, q.comm, n.inode AS netns,
         f.wall
  FROM failure f JOIN name c ON c.kind = 'call' AND c.value = f.call
  JOIN name p ON p.kind = 'proto' AND p.value = f.proto
  JOIN name r ON r.kind = 'rule' AND r.value = f.rule
  LEFT JOIN process q ON q.id = f.process LEFT JOIN namespace n ON n.id = f.namespace;
)sql";

template <typename Enum>
void add_names(Statement& insert, std::string_view kind, int first, Enum last) {
  for (int i = first; i <= static_cast<int>(last); ++i)
    insert.run(kind, i, to_string(static_cast<Enum>(i)));
}

void fill_names(Database& db) {
  Statement insert(db, "INSERT INTO name VALUES (?, ?, ?)");
  add_names(insert, "type", 0, EventType::stop);
  add_names(insert, "proto", 0, Proto::mptcp);
  add_names(insert, "state", 1, State::closing);
  add_names(insert, "bound_by", 0, BoundBy::accept);
  add_names(insert, "rule", 0, model::Rule::invalid_argument);
  add_names(insert, "relation", 0, model::Relation::v4_mapped);
  add_names(insert, "call", 0, model::Call::send);
  add_names(insert, "evidence", 0, model::Evidence::reconstructed);
  add_names(insert, "severity", 0, model::Severity::critical);
  add_names(insert, "finding", 0, model::FindingId::time_wait_reuse);
  add_names(insert, "reuse", 0, model::ReuseKind::syn);
  add_names(insert, "gap", 0, model::GapCause::disk);
}

void create(Database& db) {
  db.execute(tables);
  db.execute(views);
  fill_names(db);
}

// Step N brings a file of version N to version N + 1. Version 0 is an empty file.
constexpr std::array<void (*)(Database&), schema_version> steps = {create};

int64_t pragma(Database& db, const char* name) {
  Statement read(db, std::string("PRAGMA ") + name);
  return read.bind().step() ? read.integer(0) : 0;
}

} // namespace

SchemaProblem SchemaState::problem() const {
  if (empty) return SchemaProblem::none;
  if (application != application_id) return SchemaProblem::foreign;
  return version > schema_version ? SchemaProblem::newer : SchemaProblem::none;
}

SchemaState read_schema_state(Database& db) {
  SchemaState s;
  Statement count(db, "SELECT count(*) FROM sqlite_schema");
  s.empty = count.bind().step() && count.integer(0) == 0;
  count.reset();
  s.application = pragma(db, "application_id");
  s.version = pragma(db, "user_version");
  return s;
}

std::string describe(const SchemaState& state, std::string_view path) {
  switch (state.problem()) {
  case SchemaProblem::none:
    return "";
  case SchemaProblem::foreign:
    return std::string(path) + " is a database of another program; move it away, or give "
                               "--state-dir another directory";
  case SchemaProblem::newer:
    return std::string(path) + " was written by a newer bindlensd (version " +
           std::to_string(state.version) + " of the file, this one knows " +
           std::to_string(schema_version) + "); install that one again, or move the file away";
  }
  return "";
}

void create_or_migrate(Database& db, const SchemaState& state) {
  const int64_t from = state.empty ? 0 : state.version;
  if (from == schema_version) return;
  db.execute("BEGIN IMMEDIATE");
  for (int64_t version = from; version < schema_version; ++version)
    steps[static_cast<size_t>(version)](db);
  db.execute("PRAGMA application_id = " + std::to_string(application_id));
  db.execute("PRAGMA user_version = " + std::to_string(schema_version));
  db.execute("COMMIT");
}

} // namespace bindlens::history
