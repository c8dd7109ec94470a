#pragma once

#include <bindlens/history/database.h>
#include <bindlens/model/past.h>

#include <memory>
#include <string>
#include <unordered_map>

namespace bindlens::history {

// Rows of the tables as objects, those that many rows refer to remembered. Times
// are wall time, see model/past.h.
class ReadRows {
 public:
  explicit ReadRows(Database& db);

  struct Namespace {
    uint32_t inode = 0;
    std::string name;
  };
  struct SocketRow {
    model::PastSocket past;
    Namespace netns;
    int64_t run = 0;
    int64_t since = 0;
    std::optional<int64_t> listened, released;
    bool found = false, vanished = false;
  };
  [[nodiscard]] model::ProcessRef process(int64_t id); // null for 0, and for what is gone
  [[nodiscard]] const Namespace& name_space(int64_t id);
  // Null for what is gone. Valid until the next call.
  [[nodiscard]] const SocketRow* socket(int64_t id);
  // From `socket_columns` of the row where `s` stands; they begin with column `at`.
  [[nodiscard]] SocketRow socket_of(const Statement& s, int at);
  // Null for what is gone.
  [[nodiscard]] std::shared_ptr<const model::Failure> failure(int64_t id);
  [[nodiscard]] std::shared_ptr<const model::Finding> finding(int64_t id);
  // The figures that an event tells of; null when they are gone.
  [[nodiscard]] std::shared_ptr<const model::ShareCounters> share(int64_t id, int64_t event);

  static constexpr const char* socket_columns =
      "namespace, proto, addr, port, peer_addr, peer_port, uid, dev, flags, cookie, linger, state, "
      "backlog, bound_by, binder, bound_at, run, since, listened, released, found, vanished";

 private:
  std::string text(int64_t id);
  model::Blocker blocker_of(const Statement& s);
  std::vector<model::Blocker> blockers(Statement& select, int64_t of);
  void fill_request(model::Failure& f);

  std::unordered_map<int64_t, model::ProcessRef> processes_;
  std::unordered_map<int64_t, Namespace> namespaces_;
  std::unordered_map<int64_t, std::string> texts_;
  std::unordered_map<int64_t, SocketRow> sockets_;
  std::unordered_map<int64_t, std::shared_ptr<const model::Failure>> failures_;
  Statement process_, namespace_, text_, socket_, failure_, blockers_, found_blockers_, holders_,
      finding_, deliveries_, share_;
};

[[nodiscard]] inline std::optional<int64_t> optional_at(const Statement& s, int column) {
  return s.null(column) ? std::nullopt : std::optional(s.integer(column));
}

} // namespace bindlens::history
