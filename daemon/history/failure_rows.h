#pragma once

#include "side_tables.h"
#include "socket_rows.h"

#include <bindlens/model/failure.h>
#include <bindlens/model/finding.h>

namespace bindlens::history {

// Failures and findings with the sockets they are about, and the processes behind those.
class FailureRows {
 public:
  FailureRows(Database& db, SideTables& side, SocketRows& sockets, int64_t run);

  // What wall time goes with the times inside.
  struct At {
    int64_t clock = 0;
    int64_t offset = 0;
    int64_t event = 0;
  };
  // The row of a failure; that of the one before if this is the same, counted once more.
  int64_t note(const model::Failure& f, At at);
  // The row of a finding that appeared, or is resolved.
  int64_t note(const model::Finding& f, At at);
  // A socket gave its port back: said where it stood in the way.
  void note_release(int64_t socket, int64_t wall);

 private:
  void insert_blockers(const std::vector<model::Blocker>& blockers, std::optional<int64_t> failure,
                       std::optional<int64_t> finding, At at);
  int64_t insert(const model::Failure& f, At at);

  SideTables& side_;
  SocketRows& sockets_;
  int64_t run_;
  uint64_t last_number_ = 0; // of the newest failure
  int64_t last_row_ = 0;
  bool blocking_ = false; // sockets that hold their port stand in some failure's way
  Statement insert_failure_, count_failure_, insert_blocker_, insert_holder_, release_;
  Statement insert_finding_, insert_delivery_;
};

} // namespace bindlens::history
