#pragma once

#include <bindlens/history/database.h>
#include <bindlens/history/store.h>

namespace bindlens::history {

// Keeps the file within its bounds: the oldest goes first, failures last.
class Retention {
 public:
  Retention(Database& db, const Config& config, int64_t events);

  // To be called inside a transaction, before `rows` more are written. False if
  // there is nothing left to delete and still no room.
  bool make_room(size_t rows, const Clocks& clocks);
  // Takes pages that are not needed from the file; outside of a transaction.
  void shrink();
  // Rows that others referred to were deleted: remembered numbers are of no use.
  [[nodiscard]] bool swept() { return std::exchange(swept_, false); }

  [[nodiscard]] int64_t events() const { return events_; } // rows in the file
  void added(int64_t rows) { events_ += rows; }
  [[nodiscard]] int64_t oldest_wall();
  // The write-ahead log may become so large, bytes.
  [[nodiscard]] static uint64_t wal_bytes(uint64_t max_bytes);

 private:
  struct Oldest {
    int64_t id = 0; // 0 = there is none
    int64_t wall = 0;
    bool too_old = false;
  };
  Oldest oldest(Statement& select, const Clocks& clocks);
  void delete_events(int64_t before);
  bool delete_failures(const Clocks& clocks, bool even_young);
  void sweep(int64_t before);
  uint64_t used_bytes();
  void delete_too_old(const Clocks& clocks);
  void delete_shares(const Clocks& clocks);

  Database& db_;
  uint64_t target_;
  int64_t most_shares_;
  int64_t max_age_;
  int64_t events_;
  int64_t from_;        // older events are failures' alone
  int64_t deleted_ = 0; // since the last sweep
  bool swept_ = false;
  uint64_t page_size_ = 4096;
  Statement pages_, free_pages_, nth_event_, nth_failure_, delete_events_, delete_sockets_,
      delete_gaps_, delete_reuses_, delete_shares_, delete_short_lived_, delete_failure_,
      oldest_share_, excess_shares_;
};

} // namespace bindlens::history
