#pragma once

#include "side_tables.h"

#include <bindlens/model/event.h>
#include <bindlens/model/table.h>

#include <boost/unordered/unordered_flat_map.hpp>

namespace bindlens::history {

// One row for each socket while it holds a port.
class SocketRows {
 public:
  SocketRows(Database& db, SideTables& side, int64_t run);

  // What is written about a socket: the wall time and number of the event.
  struct At {
    int64_t wall = 0;
    int64_t event = 0;
  };
  // The row that an event is about: made when there is none.
  int64_t note(const model::Event& e, At at);
  // A member of the table as it was found. `bound` is wall time, 0 = not known.
  void found(const model::Binding& b, int64_t bound, At at);
  // Ends the rows of sockets that were not found since begin_table().
  void begin_table();
  void end_table(At at);

  // The row of a socket that holds its port now; 0 = none.
  [[nodiscard]] int64_t living(model::SocketId id) const;
  [[nodiscard]] size_t size() const { return living_.size(); }

 private:
  struct Living {
    int64_t row = 0;
    uint64_t cookie = 0;
    uint32_t netns = 0;
    model::Endpoint local, peer;
    model::Proto proto = model::Proto::tcp;
    bool listens = false;
    uint32_t table = 0; // the last table that it was found in
    [[nodiscard]] bool is(const model::Socket& s) const;
  };
  int64_t insert(const model::Socket& s, model::BoundBy by, const model::ProcessRef& binder, At at,
                 std::optional<int64_t> bound, bool was_found);
  int64_t glimpse(const model::Event& e, At at);
  int64_t acquire(const model::Event& e, At at);
  int64_t release(const model::Event& e, At at);
  void listen(Living& l, const model::Socket& s, int64_t wall);
  Living& remember(const model::Socket& s, int64_t row);

  SideTables& side_;
  int64_t run_;
  uint32_t table_ = 0;
  boost::unordered_flat_map<model::SocketId, Living> living_;
  Statement insert_, listen_, release_;
};

} // namespace bindlens::history
