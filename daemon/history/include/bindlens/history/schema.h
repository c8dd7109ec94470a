#pragma once

#include <bindlens/history/database.h>

#include <string_view>

namespace bindlens::history {

// docs/history.md describes the file. Numbers of enumerations in it are those of
// daemon/model; the table `name` gives their names.

constexpr int64_t application_id = 0x62646c73; // "bdls", see file(1)
constexpr int64_t schema_version = 1;
constexpr std::string_view file_name = "history.db";

// What stands in the way of using a file.
enum class SchemaProblem : uint8_t { none, foreign, newer };

struct SchemaState {
  bool empty = false; // nothing in it yet
  int64_t application = 0;
  int64_t version = 0;
  [[nodiscard]] SchemaProblem problem() const;
};
[[nodiscard]] SchemaState read_schema_state(Database& db);
// A sentence with what to do about it; "" for none.
[[nodiscard]] std::string describe(const SchemaState& state, std::string_view path);

// Makes an empty file one of this version, or brings an older one forward, step by
// step, in one transaction. Errors stick to `db`.
void create_or_migrate(Database& db, const SchemaState& state);

} // namespace bindlens::history
