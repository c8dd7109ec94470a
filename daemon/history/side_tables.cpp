#include "side_tables.h"

namespace bindlens::history {

namespace {

constexpr size_t max_remembered = 32'768;

} // namespace

SideTables::SideTables(Database& db, int64_t boot, int64_t run)
    : boot_(boot), run_(run),
      insert_process_(db, "INSERT INTO process(boot, pid, start_time, ppid, uid, user, comm, exe, "
                          "cgroup, unit, container, last_event) "
                          "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      touch_process_(db, "UPDATE process SET last_event = ? WHERE id = ?"),
      insert_text_(db, "INSERT OR IGNORE INTO text(text) VALUES (?)"),
      find_text_(db, "SELECT id FROM text WHERE text = ?"),
      insert_namespace_(db, "INSERT INTO namespace(run, inode) VALUES (?, ?)"),
      find_namespace_(db, "SELECT id FROM namespace WHERE run = ? AND inode = ?"),
      name_namespace_(db, "UPDATE namespace SET name = ? WHERE id = ?") {}

std::optional<int64_t> SideTables::text(const std::string& value) {
  if (value.empty()) return std::nullopt;
  if (const auto it = texts_.find(value); it != texts_.end()) return it->second;
  if (texts_.size() >= max_remembered) texts_.clear();
  insert_text_.run(value);
  const int64_t id = find_text_.bind(value).step() ? find_text_.integer(0) : 0;
  find_text_.reset();
  texts_[value] = id;
  return id;
}

int64_t SideTables::insert(const model::Process& p, int64_t event) {
  return insert_process_.run(boot_, p.pid, known(static_cast<int64_t>(p.start_time)), p.ppid, p.uid,
                             text(p.user), p.comm, text(p.exe), text(p.cgroup), text(p.unit),
                             text(p.container), event);
}

int64_t SideTables::process(const model::ProcessRef& p, int64_t event) {
  if (!p) return 0;
  const auto it = processes_.find(p.get());
  if (it == processes_.end()) {
    if (processes_.size() >= max_remembered) processes_.clear();
    const int64_t id = insert(*p, event);
    processes_[p.get()] = {p, id, event};
    return id;
  }
  if (event - it->second.noted > touch_after) {
    touch_process_.run(event, it->second.id);
    it->second.noted = event;
  }
  return it->second.id;
}

int64_t SideTables::name_space(uint32_t inode) {
  if (const auto it = namespaces_.find(inode); it != namespaces_.end()) return it->second;
  if (namespaces_.size() >= max_remembered) namespaces_.clear();
  int64_t id = find_namespace_.bind(run_, inode).step() ? find_namespace_.integer(0) : 0;
  find_namespace_.reset();
  if (id == 0) id = insert_namespace_.run(run_, inode);
  namespaces_[inode] = id;
  return id;
}

void SideTables::set_name(uint32_t inode, const std::string& name) {
  name_namespace_.run(known(name), name_space(inode));
}

void SideTables::forget() {
  processes_.clear();
  texts_.clear();
}

} // namespace bindlens::history
