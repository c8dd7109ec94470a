#pragma once

#include "allowance.h"

#include <bindlens/history/store.h>

#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <vector>

namespace bindlens::history {

// What waits to be written, in its order. Sockets that come and go while it waits leave it
// again, and are counted for each port and minute, when there are more of them than may be
// stored one by one: a day's worth of the file of those that got their port by themselves,
// and what the disk can be asked to bear of those that asked for it.
class Queue {
 public:
  explicit Queue(uint64_t file_bytes);

  // No items and nothing counted.
  [[nodiscard]] bool empty() const { return items_.empty() && counts_.empty(); }
  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] size_t bytes() const { return bytes_; } // of memory

  void push(Item item);
  // If the event ends a socket that came since the last take(), and that is only to be
  // counted (with `hurried`, each is), counts it and forgets what was told of it. Minutes
  // are those of monotonic time + `wall_offset`.
  [[nodiscard]] bool count(const model::Event& e, bool hurried, int64_t wall_offset);
  [[nodiscard]] std::vector<Item> take();

  [[nodiscard]] static size_t size_of(const model::Event& e);
  [[nodiscard]] static size_t size_of(const Item& item);

 private:
  // By minute, namespace, protocol, port and how it was bound.
  struct Key {
    int64_t minute;
    uint32_t netns;
    model::Proto proto;
    uint16_t port;
    model::BoundBy by;
    bool operator==(const Key&) const = default;
    friend size_t hash_value(const Key& k) {
      size_t seed = 0;
      boost::hash_combine(seed, static_cast<uint64_t>(k.minute) << 32 | k.netns);
      boost::hash_combine(seed, static_cast<uint32_t>(k.port) << 16 |
                                    static_cast<uint32_t>(k.proto) << 8 |
                                    static_cast<uint32_t>(k.by));
      return seed;
    }
  };
  static constexpr uint32_t none = UINT32_MAX;    // the first of its socket
  static constexpr uint32_t forgotten = none - 1; // left out by take()

  void link(const model::Event& e, uint32_t place);
  void forget(uint32_t last);

  std::vector<Item> items_;
  std::vector<uint32_t> earlier_; // for each item: the one before it of the same socket
  boost::unordered_flat_map<model::SocketId, uint32_t> lives_; // last items of sockets that came
  boost::unordered_flat_map<Key, int64_t> counts_;
  size_t bytes_ = 0;
  MonoNs table_ = 0; // what came before may have been found by this table
  Allowance by_itself_, asked_;
};

} // namespace bindlens::history
