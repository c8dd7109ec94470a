#pragma once

// What a workload has logged, for answers of the history to be held against.

#include "daemon.h"
#include "workload.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace bindlens::test {

class Ledger {
 public:
  struct Entry {
    Operation op;
    pid_t pid = 0;
    // When it has happened for certain. A closed socket keeps its port for longer while
    // somebody else still looks at it; then the history says when that ended.
    uint64_t latest = 0;
  };
  // `offset`: wall time of the history minus monotonic time.
  Ledger(const Workload& workload, int64_t offset);

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] const Entry& operator[](size_t i) const { return entries_[i]; }
  [[nodiscard]] uint64_t monotonic(const Json& time) const; // of a time in an answer
  [[nodiscard]] int64_t wall(uint64_t monotonic) const;

  // The entry that an event tells of, when everything in the event is as in the log;
  // otherwise nothing, and `problem` says why.
  [[nodiscard]] std::optional<size_t> entry_of(const Json& event, std::string& problem);
  // The same of a failure: its first time.
  [[nodiscard]] std::optional<size_t> entry_of_failure(const Json& failure, std::string& problem);
  // Empty when what stood in the way is what the log says.
  [[nodiscard]] std::string compare_holders(const Entry& refused, const Json& failure) const;

  // Of a socket, by its cookie: indices of its bind, first listen and close; -1 = none.
  struct Life {
    ptrdiff_t bind = -1, listen = -1, close = -1;
  };
  [[nodiscard]] const std::unordered_map<uint64_t, Life>& lives() const { return lives_; }
  [[nodiscard]] static uint64_t cookie(const Json& socket);
  // Sockets that were closed while somebody else looked at them.
  [[nodiscard]] size_t released_late() const { return released_late_; }

 private:
  [[nodiscard]] std::optional<size_t> at(pid_t pid, uint64_t time) const;
  [[nodiscard]] std::optional<size_t> release_of(const Json& event, uint64_t time,
                                                 std::string& problem);
  [[nodiscard]] uint64_t bound_again(const Entry& closed) const;
  [[nodiscard]] bool let_go_meanwhile(const Entry& refused) const;
  [[nodiscard]] bool may_hold(uint64_t cookie, const Entry& refused) const;

  int64_t offset_;
  std::vector<Entry> entries_;
  std::unordered_map<pid_t, std::pair<size_t, size_t>> of_; // first and end, in order of time
  std::unordered_map<uint64_t, Life> lives_;
  // Ends of successful binds, by protocol and port.
  std::map<std::pair<bool, uint16_t>, std::set<uint64_t>> bound_;
  size_t released_late_ = 0;
};

} // namespace bindlens::test
