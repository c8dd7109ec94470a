#pragma once

#include <bindlens/util/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace bindlens::history {

// One connection to an SQLite file; for one thread at a time.
//
// Errors stick: after the first one, statements of this connection do nothing
// until take_error(). So a batch of a hundred statements is written without a
// test after each, and looked at once, before its COMMIT.
class Database {
 public:
  enum class Mode : uint8_t { read, write, create };
  [[nodiscard]] static Result<Database> open(const std::string& path, Mode mode);

  // Runs statements that give no rows.
  void execute(const std::string& sql);
  [[nodiscard]] int64_t last_row() const;
  [[nodiscard]] int64_t changes() const;

  [[nodiscard]] bool failed() const { return state_->failed; }
  [[nodiscard]] std::string error() const { return state_->text; }
  // SQLITE_FULL and so on; the primary code.
  [[nodiscard]] int error_code() const { return state_->code; }
  // What went wrong first, if anything; statements work again afterwards.
  [[nodiscard]] Result<void> take_error();

  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }

 private:
  friend class Statement;
  struct State { // where statements find it, wherever the connection was moved
    bool failed = false;
    int code = 0;
    std::string text;
  };
  struct Close {
    void operator()(sqlite3* db) const;
  };
  Database() = default;
  static void note(State& state, sqlite3* db, std::string_view doing);

  std::unique_ptr<State> state_ = std::make_unique<State>();
  std::unique_ptr<sqlite3, Close> handle_;
};

// A prepared statement, to be run many times. Parameters are bound in order:
//
//   Statement find(db, "SELECT id FROM text WHERE text = ?");
//   find.bind(name);
//   while (find.step()) use(find.integer(0));
class Statement {
 public:
  Statement() = default;
  Statement(Database& db, std::string_view sql);

  // Starts anew, with these parameters.
  template <typename... Values>
  Statement& bind(const Values&... values) {
    reset();
    int at = 0;
    (bind_one(++at, values), ...);
    return *this;
  }
  // The next row; false at the end, and after an error.
  bool step();
  // bind() and step() to the end; returns the id of the row inserted, if any was.
  template <typename... Values>
  int64_t run(const Values&... values) {
    bind(values...);
    finish();
    return last_row();
  }
  void reset();

  [[nodiscard]] bool null(int column) const;
  [[nodiscard]] int64_t integer(int column) const;  // 0 for NULL
  [[nodiscard]] std::string text(int column) const; // "" for NULL

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* s) const;
  };
  void finish();
  [[nodiscard]] int64_t last_row() const;
  void bind_one(int at, int64_t value);
  void bind_one(int at, uint64_t value) { bind_one(at, static_cast<int64_t>(value)); }
  void bind_one(int at, int value) { bind_one(at, int64_t{value}); }
  void bind_one(int at, uint32_t value) { bind_one(at, int64_t{value}); }
  void bind_one(int at, uint16_t value) { bind_one(at, int64_t{value}); }
  void bind_one(int at, bool value) { bind_one(at, int64_t{value}); }
  void bind_one(int at, std::string_view value); // must live until the row was stepped to
  void bind_one(int at, const std::string& value) { bind_one(at, std::string_view(value)); }
  void bind_one(int at, std::nullptr_t);
  template <typename T>
  void bind_one(int at, const std::optional<T>& value) {
    if (value)
      bind_one(at, *value);
    else
      bind_one(at, nullptr);
  }

  sqlite3* db_ = nullptr;
  Database::State* state_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// NULL for zero, and for an empty text.
[[nodiscard]] inline std::optional<int64_t> known(int64_t value) {
  return value == 0 ? std::nullopt : std::optional(value);
}
[[nodiscard]] inline std::optional<std::string_view> known(std::string_view text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

} // namespace bindlens::history
