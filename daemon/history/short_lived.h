#pragma once

#include "side_tables.h"
#include "socket_rows.h"

#include <bindlens/history/store.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <map>
#include <tuple>
#include <vector>

namespace bindlens::history {

// Sockets that come and go within one batch, when there are too many of them to be
// stored one by one: counted for each port and minute.
class ShortLived {
 public:
  ShortLived(Database& db, uint64_t max_bytes);

  // Which items of the batch are counted here, and not to be stored: those of sockets
  // that come faster than their allowance, which is a day's worth of the file for those
  // that got their port by themselves, and what the disk can be asked to bear for those
  // that asked for it. With `hurried`: of all of them.
  std::vector<bool> sort_out(std::span<const Item> batch, const Clocks& clocks, bool hurried,
                             SideTables& side, const SocketRows& sockets);

 private:
  // So many sockets may be stored one by one.
  struct Allowance {
    double per_second = 0;
    double most = 0; // that can be saved up
    double left = 0;
    void refill(double seconds);
    bool take();
  };
  // By minute, namespace, protocol, port and how it was bound.
  using Key = std::tuple<int64_t, int64_t, int64_t, uint16_t, int64_t>;
  using Counts = std::map<Key, int64_t>;

  bool is_counted(const model::Event& release, bool hurried);
  void refill(MonoNs now);

  Allowance by_itself_, asked_;
  MonoNs refilled_ = 0;
  Statement count_;
};

} // namespace bindlens::history
