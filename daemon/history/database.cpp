#include <bindlens/history/database.h>

#include <sqlite3.h>

namespace bindlens::history {

namespace {

// Readers and writers never block each other in WAL; opening and closing can for a moment.
constexpr int busy_ms = 2000;
constexpr int primary_code = 0xff;

int flags_of(Database::Mode mode) {
  switch (mode) {
  case Database::Mode::read:
    return SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
  case Database::Mode::write:
    return SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  case Database::Mode::create:
    return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  }
  return 0;
}

} // namespace

void Database::Close::operator()(sqlite3* db) const {
  ::sqlite3_close_v2(db); // waits for statements that are still around
}

void Database::note(State& state, sqlite3* db, std::string_view doing) {
  if (state.failed) return;
  state.failed = true;
  state.code = ::sqlite3_errcode(db) & primary_code;
  state.text = std::string(doing) + ": " + ::sqlite3_errmsg(db);
  if (const int system = ::sqlite3_system_errno(db); system != 0 && state.code != SQLITE_CORRUPT)
    state.text += " (" + std::generic_category().message(system) + ")";
}

Result<Database> Database::open(const std::string& path, Mode mode) {
  Database db;
  sqlite3* handle = nullptr;
  const int rc = ::sqlite3_open_v2(path.c_str(), &handle, flags_of(mode), nullptr);
  db.handle_.reset(handle);
  if (rc != SQLITE_OK) {
    if (handle == nullptr) return fail("opening " + path + ": out of memory");
    note(*db.state_, handle, "opening " + path);
    return fail(db.error(), ::sqlite3_system_errno(handle));
  }
  ::sqlite3_busy_timeout(handle, busy_ms);
  return db;
}

void Database::execute(const std::string& sql) {
  if (failed()) return;
  if (::sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    note(*state_, handle(), "the history");
}

int64_t Database::last_row() const {
  return ::sqlite3_last_insert_rowid(handle());
}

int64_t Database::changes() const {
  return ::sqlite3_changes64(handle());
}

Result<void> Database::take_error() {
  if (!failed()) return {};
  Error e{state_->text, 0};
  *state_ = {};
  return std::unexpected(std::move(e));
}

void Statement::Finalize::operator()(sqlite3_stmt* s) const {
  ::sqlite3_finalize(s);
}

Statement::Statement(Database& db, std::string_view sql)
    : db_(db.handle()), state_(db.state_.get()) {
  sqlite3_stmt* handle = nullptr;
  if (::sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                           &handle, nullptr) != SQLITE_OK)
    Database::note(*state_, db_, "the history");
  handle_.reset(handle);
}

bool Statement::step() {
  if (state_ == nullptr || state_->failed || !handle_) return false;
  const int rc = ::sqlite3_step(handle_.get());
  if (rc == SQLITE_ROW) return true;
  if (rc != SQLITE_DONE) Database::note(*state_, db_, "the history");
  ::sqlite3_reset(handle_.get());
  return false;
}

void Statement::finish() {
  while (step()) {
  }
}

int64_t Statement::last_row() const {
  return ::sqlite3_last_insert_rowid(db_);
}

void Statement::reset() {
  if (handle_) ::sqlite3_reset(handle_.get());
}

bool Statement::null(int column) const {
  return ::sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

int64_t Statement::integer(int column) const {
  return ::sqlite3_column_int64(handle_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* bytes = ::sqlite3_column_text(handle_.get(), column);
  const auto size = static_cast<size_t>(::sqlite3_column_bytes(handle_.get(), column));
  return bytes == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(bytes), size);
}

void Statement::bind_one(int at, int64_t value) {
  ::sqlite3_bind_int64(handle_.get(), at, value);
}

void Statement::bind_one(int at, std::string_view value) {
  ::sqlite3_bind_text(handle_.get(), at, value.data(), static_cast<int>(value.size()),
                      SQLITE_STATIC);
}

void Statement::bind_one(int at, std::nullptr_t) {
  ::sqlite3_bind_null(handle_.get(), at);
}

} // namespace bindlens::history
