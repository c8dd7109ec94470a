#include <bindlens/history/store.h>

#include "columns.h"
#include "directory.h"
#include "failure_rows.h"
#include "retention.h"
#include "side_tables.h"
#include "socket_rows.h"

#include <bindlens/history/schema.h>

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace bindlens::history {

namespace {

using model::EventType;
using Kind = Trouble::Kind;

// What passes by itself, or with the help of somebody who frees or mounts something.
bool is_about_disk(int code) {
  constexpr std::array<int, 10> codes = {
      SQLITE_FULL, SQLITE_IOERR,  SQLITE_READONLY, SQLITE_PERM,     SQLITE_CANTOPEN,
      SQLITE_BUSY, SQLITE_LOCKED, SQLITE_NOMEM,    SQLITE_PROTOCOL, SQLITE_AUTH};
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

// A mistake in what is written, and none of the file.
bool is_about_rows(int code) {
  return code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH || code == SQLITE_TOOBIG;
}

Trouble trouble_of(const Database& db, const std::string& path) {
  const int code = db.error_code();
  const Kind kind = is_about_disk(code)   ? Kind::disk
                    : is_about_rows(code) ? Kind::rows
                                          : Kind::corrupt;
  return {kind, path + ": " + db.error()};
}

bool is_about_socket(EventType t) {
  using enum EventType;
  return t != fail && t != audit && t != gap && t != start && t != stop;
}

uint64_t inode_of(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

// Settings of the connection; those of the file take effect while it is empty.
void configure(Database& db, const Config& config) {
  constexpr uint64_t page = 4096;
  const uint64_t wal = Retention::wal_bytes(config.max_bytes);
  db.execute("PRAGMA auto_vacuum = INCREMENTAL");
  db.execute("PRAGMA journal_mode = WAL");
  db.execute("PRAGMA synchronous = NORMAL");
  db.execute("PRAGMA wal_autocheckpoint = " + std::to_string(wal / 4 / page));
  db.execute("PRAGMA journal_size_limit = " + std::to_string(wal));
  db.execute("PRAGMA cache_size = -16384");
  db.execute("PRAGMA temp_store = MEMORY");
  db.execute("PRAGMA recursive_triggers = OFF");
}

std::string damage(Database& db) {
  Statement check(db, "PRAGMA quick_check(1)");
  const std::string found = check.bind().step() ? check.text(0) : db.error();
  return found == "ok" ? "" : found;
}

} // namespace

// One run of the daemon in one file.
struct Run {
  int64_t boot = 0;
  int64_t clock = 0;
  int64_t offset = 0;
  int64_t id = 0;
  int64_t last_event = 0;
  int64_t events = 0;
  bool is_new = false;

  void open(Database& db, const Config& config, const Clocks& clocks);
  void set_clock(Database& db, int64_t new_offset);

 private:
  void begin(Database& db, const Config& config, const Clocks& clocks, bool after_unclean);
};

void Run::set_clock(Database& db, int64_t new_offset) {
  if (clock != 0 && offset == new_offset) return;
  offset = new_offset;
  Statement find(db, "SELECT id FROM clock WHERE boot = ? AND offset = ? ORDER BY id DESC LIMIT 1");
  clock = find.bind(boot, offset).step() ? find.integer(0) : 0;
  find.reset();
  if (clock == 0)
    clock = Statement(db, "INSERT INTO clock(boot, offset) VALUES (?, ?)").run(boot, offset);
}

void Run::begin(Database& db, const Config& config, const Clocks& clocks, bool after_unclean) {
  const int64_t started = offset + static_cast<int64_t>(config.started);
  id = Statement(db, "INSERT INTO run(clock, pid, version, started, seen, after_unclean, "
                     "last_event, events) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
           .run(clock, ::getpid(), std::string_view(BINDLENS_VERSION), started, clocks.wall(),
                after_unclean, last_event + 1, events + 1);
  Statement(db, "INSERT INTO event(id, clock, wall, type, detail) VALUES (?, ?, ?, ?, ?)")
      .run(++last_event, clock, started, number(EventType::start), id);
  ++events;
}

void Run::open(Database& db, const Config& config, const Clocks& clocks) {
  Statement(db, "INSERT OR IGNORE INTO boot(boot_id) VALUES (?)").run(clocks.boot_id);
  Statement find_boot(db, "SELECT id FROM boot WHERE boot_id = ?");
  boot = find_boot.bind(clocks.boot_id).step() ? find_boot.integer(0) : 0;
  find_boot.reset();
  set_clock(db, clocks.offset);
  Statement last(db, "SELECT r.id, r.pid, r.started - c.offset, r.ended IS NULL, r.last_event, "
                     "r.events, c.boot FROM run r JOIN clock c ON c.id = r.clock ORDER BY r.id "
                     "DESC LIMIT 1");
  const bool any = last.bind().step();
  const bool ours = any && last.integer(1) == ::getpid() && last.integer(6) == boot &&
                    last.integer(2) == static_cast<int64_t>(config.started);
  const bool unclean = any && last.integer(3) != 0;
  last_event = any ? last.integer(4) : 0;
  events = any ? last.integer(5) : 0;
  if (ours) id = last.integer(0);
  last.reset();
  // What an earlier run left open is not known to have lived on.
  Statement(db, "UPDATE socket SET vanished = 1, released_event = ?, released = (SELECT "
                "coalesce(ended, seen) FROM run WHERE run.id = socket.run) WHERE released_event "
                "IS NULL")
      .run(last_event);
  is_new = !ours;
  if (is_new) begin(db, config, clocks, unclean);
}

struct Store::Impl {
  Impl(const Config& c, Database database, Run r)
      : config(c), path(c.directory + "/" + std::string(file_name)), db(std::move(database)),
        run(r), inode(inode_of(path)), side(db, run.boot, run.id), sockets(db, side, run.id),
        failures(db, side, sockets, run.id), retention(db, c, run.events),
        insert_event(db, "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        insert_reuse(db, "INSERT INTO reuse VALUES (?, ?, ?, ?, ?, ?)"),
        insert_gap(db, "INSERT INTO gap VALUES (?, ?, ?)"),
        insert_share(db, "INSERT INTO share(clock, wall, port, socket, event, since, selected, "
                         "queued, accepted, datagrams, drops, migrated, lost_at_close, "
                         "backlog_peak) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        count(db, "INSERT INTO short_lived VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                  "count = count + excluded.count"),
        seen(db, "UPDATE run SET seen = ?, last_event = ?, events = ? WHERE id = ?") {}

  std::expected<void, Trouble> write(std::span<const Item> batch, const Clocks& clocks);
  std::expected<void, Trouble> close(const Clocks& clocks);
  std::expected<void, Trouble> commit(const Clocks& clocks);
  void take(const model::Event& e);
  void take(const TableAt& t);
  void take(const SharesAt& s);
  void take(const NamespaceName& n) { side.set_name(n.inode, n.name); }
  void take(const Counted& c) {
    count.run(c.minute, side.name_space(c.netns), number(c.proto), c.port, number(c.by), c.count);
  }
  void add_event(const model::Event& e, std::optional<uint16_t> port, int64_t socket,
                 int64_t process, int64_t detail);
  void add_socket_event(const model::Event& e);
  void add_gap(const model::Event& e);
  int64_t add_share(const model::ShareCounters& c, MonoNs time, uint16_t port, int64_t socket);
  [[nodiscard]] int64_t wall(MonoNs t) const { return run.offset + static_cast<int64_t>(t); }

  Config config;
  std::string path;
  Database db;
  Run run;
  uint64_t inode;
  SideTables side;
  SocketRows sockets;
  FailureRows failures;
  Retention retention;
  Statement insert_event, insert_reuse, insert_gap, insert_share, count, seen;
  Totals totals;
};

void Store::Impl::add_event(const model::Event& e, std::optional<uint16_t> port, int64_t socket,
                            int64_t process, int64_t detail) {
  const bool about_socket = is_about_socket(e.type);
  std::optional<int64_t> state;
  std::optional<int64_t> flags;
  if (about_socket) {
    state = number(e.socket.state);
    flags = e.socket.flags.bits;
  }
  if (e.type == EventType::audit) flags = e.resolved;
  insert_event.run(run.last_event, run.clock, wall(e.time), number(e.type), port, known(socket),
                   known(process), state, flags, known(detail));
  retention.added(1);
}

void Store::Impl::add_socket_event(const model::Event& e) {
  const int64_t row = sockets.note(e, {wall(e.time), run.last_event});
  const bool release = e.type == EventType::release;
  if (release) failures.note_release(row, wall(e.time));
  // Who releases is the one who had bound it.
  const uint16_t port = e.socket.local.port;
  const int64_t counted = e.counted ? add_share(*e.counted, e.time, port, row) : 0;
  add_event(e, port, row, release ? 0 : side.process(e.process, run.last_event), counted);
  if (e.type == EventType::timewait_reuse && e.reuse)
    insert_reuse.run(run.last_event, number(e.reuse->kind), number(e.reuse->evidence),
                     e.reuse->sockets, e.reuse->harmless,
                     known(static_cast<int64_t>(e.reuse->left_out)));
}

void Store::Impl::add_gap(const model::Event& e) {
  add_event(e, std::nullopt, 0, 0, static_cast<int64_t>(e.lost));
  const auto since = e.since == 0 ? std::nullopt : std::optional(wall(e.since));
  insert_gap.run(run.last_event, since, number(e.cause));
}

void Store::Impl::take(const model::Event& e) {
  const FailureRows::At at{run.clock, run.offset, ++run.last_event};
  if (is_about_socket(e.type)) {
    add_socket_event(e);
  } else if (e.type == EventType::fail && e.failure) {
    const model::Failure& f = *e.failure;
    const uint16_t port = f.asked.port != 0 ? f.asked.port : f.peer.port;
    add_event(e, port, 0, 0, failures.note(f, at));
  } else if (e.type == EventType::audit && e.finding) {
    const uint16_t port = e.finding->port;
    add_event(e, port == 0 ? std::nullopt : std::optional(port), 0, 0,
              failures.note(*e.finding, at));
  } else if (e.type == EventType::gap) {
    add_gap(e);
  }
}

void Store::Impl::take(const TableAt& t) {
  const SocketRows::At at{wall(t.time), run.last_event};
  sockets.begin_table();
  for (const model::Binding& b : t.bindings)
    sockets.found(b, b.bound_at == 0 ? 0 : wall(b.bound_at), at);
  sockets.end_table(at);
}

int64_t Store::Impl::add_share(const model::ShareCounters& c, MonoNs time, uint16_t port,
                               int64_t socket) {
  return insert_share.run(run.clock, wall(time), port, socket, run.last_event, wall(c.since),
                          c.selected, c.queued, c.accepted, c.datagrams, c.drops, c.migrated,
                          c.lost_at_close, c.backlog_peak);
}

void Store::Impl::take(const SharesAt& s) {
  for (const model::ReuseportMember& m : s.group.members) {
    const int64_t socket = sockets.living(m.socket.id);
    if (socket == 0) continue; // its join was lost; the next table has it
    add_share(m.counters, s.time, s.group.local.port, socket);
  }
}

std::expected<void, Trouble> Store::Impl::commit(const Clocks& clocks) {
  seen.run(clocks.wall(), run.last_event, retention.events(), run.id);
  db.execute("COMMIT");
  if (db.failed()) return std::unexpected(trouble_of(db, path));
  totals = {size_on_disk(path), static_cast<uint64_t>(retention.events()), retention.oldest_wall(),
            run.last_event};
  return {};
}

std::expected<void, Trouble> Store::Impl::write(std::span<const Item> batch, const Clocks& clocks) {
  db.execute("BEGIN IMMEDIATE");
  run.set_clock(db, clocks.offset);
  const bool room = retention.make_room(batch.size(), clocks);
  if (retention.swept()) side.forget();
  if (!room)
    return std::unexpected(Trouble{Kind::disk, path + ": what is open now alone takes more than "
                                                      "--history-max-size; raise it"});
  for (const Item& item : batch)
    std::visit([this](const auto& body) { take(body); }, item);
  auto committed = commit(clocks);
  if (committed) retention.shrink();
  return committed;
}

std::expected<void, Trouble> Store::Impl::close(const Clocks& clocks) {
  db.execute("BEGIN IMMEDIATE");
  run.set_clock(db, clocks.offset);
  model::Event stop;
  stop.type = EventType::stop;
  stop.time = clocks.now;
  ++run.last_event;
  add_event(stop, std::nullopt, 0, 0, run.id);
  Statement(db, "UPDATE run SET ended = ? WHERE id = ?").run(clocks.wall(), run.id);
  return commit(clocks);
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

std::expected<std::unique_ptr<Store>, Trouble> Store::open(const Config& config,
                                                           const Clocks& clocks) {
  const std::string path = config.directory + "/" + std::string(file_name);
  if (auto prepared = prepare_file(path); !prepared)
    return std::unexpected(Trouble{Kind::disk, prepared.error().text});
  auto db = Database::open(path, Database::Mode::write);
  if (!db) return std::unexpected(Trouble{Kind::disk, db.error().text});
  const SchemaState state = read_schema_state(*db);
  if (db->failed()) return std::unexpected(trouble_of(*db, path));
  if (state.problem() != SchemaProblem::none)
    return std::unexpected(Trouble{Kind::refused, describe(state, path)});
  configure(*db, config);
  if (const std::string found = damage(*db); !found.empty() && !db->failed())
    return std::unexpected(Trouble{Kind::corrupt, path + " is damaged: " + found});
  create_or_migrate(*db, state);
  Run run;
  db->execute("BEGIN IMMEDIATE");
  run.open(*db, config, clocks);
  db->execute("COMMIT");
  if (db->failed()) return std::unexpected(trouble_of(*db, path));
  auto impl = std::make_unique<Impl>(config, *std::move(db), run);
  if (impl->db.failed()) return std::unexpected(trouble_of(impl->db, path));
  impl->totals = {size_on_disk(path), static_cast<uint64_t>(run.events),
                  impl->retention.oldest_wall(), run.last_event};
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

std::expected<void, Trouble> Store::write(std::span<const Item> batch, const Clocks& clocks) {
  return impl_->write(batch, clocks);
}

std::expected<void, Trouble> Store::close(const Clocks& clocks) {
  return impl_->close(clocks);
}

bool Store::in_place() const {
  return impl_->inode != 0 && inode_of(impl_->path) == impl_->inode;
}

bool Store::is_new_run() const {
  return impl_->run.is_new;
}

size_t Store::batch_size(uint64_t max_bytes) {
  constexpr uint64_t bytes_per_item = 4096; // in the log, when the oldest are deleted as well
  return std::clamp<uint64_t>(max_bytes / bytes_per_item, 512, 8192);
}

const Totals& Store::totals() const {
  return impl_->totals;
}

} // namespace bindlens::history
