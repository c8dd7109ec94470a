#pragma once

#include "side_tables.h"
#include "socket_rows.h"

#include <bindlens/history/store.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <vector>

namespace bindlens::history {

// Sockets that come and go within one batch, when there are too many of them to be
// stored one by one: counted for each port and minute.
class ShortLived {
 public:
  ShortLived(Database& db, uint64_t max_bytes);

  // Which items of the batch are counted here, and not to be stored. Sockets that
  // got their port by themselves are, when they come faster than their allowance;
  // all others only with `hurried`.
  std::vector<bool> sort_out(std::span<const Item> batch, const Clocks& clocks, bool hurried,
                             SideTables& side, const SocketRows& sockets);

 private:
  bool is_counted(const model::Event& release, bool hurried);
  void refill(MonoNs now);

  double rate_;      // sockets per second that may be stored one by one
  double allowance_; // as many may be now
  MonoNs refilled_ = 0;
  Statement count_;
};

} // namespace bindlens::history
