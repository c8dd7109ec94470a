#pragma once

#include "core.h"

#include <bindlens/history/history.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

namespace bindlens::app {

// Tells the history what happens: every event, and from time to time the whole bind
// table, from which it learns what no event told of.
class Recorder {
 public:
  Recorder(boost::asio::io_context& io, Core& core, history::Config config);

  // When the first snapshot is in, and privileges were given up.
  void start();

  // All reuseport groups as they fare: to be told as often as they are looked at. Each is
  // written once a minute.
  void note_shares(const std::vector<model::ReuseportGroup>& groups);

  [[nodiscard]] history::Status status() const { return history_->status(); }
  [[nodiscard]] history::History& history() { return *history_; }

 private:
  void record(const model::Event& e);
  void name(uint32_t netns);
  void give_table();
  void tick();

  boost::asio::io_context& io_;
  Core& core_;
  boost::asio::steady_timer timer_;
  boost::unordered_flat_set<uint32_t> named_; // namespaces whose names were told
  uint32_t last_named_ = 0;
  MonoNs table_given_ = 0;
  bool table_due_ = false;
  struct Given {
    MonoNs at = 0;
    uint64_t work = 0; // what its members had got by then
  };
  boost::unordered_flat_map<uint64_t, Given> given_; // groups, by their id
  // Ends before the members that its thread calls.
  std::unique_ptr<history::History> history_;
  std::shared_ptr<void> subscription_;
};

} // namespace bindlens::app
