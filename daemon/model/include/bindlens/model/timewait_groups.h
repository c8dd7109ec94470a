#pragma once

#include <bindlens/model/table.h>
#include <bindlens/model/timewait.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <deque>
#include <functional>

namespace bindlens::model {

// Who had bound sockets that are gone, as far as their TIME_WAIT may be left: the
// last so many. A TIME_WAIT socket has the cookie of its dead socket; one of an
// accepted connection has none, and is its listener's.
class DeadBinders {
 public:
  static constexpr size_t generation = 65'536; // sockets; at least so many are remembered
  static constexpr size_t listeners = 4'096;

  // The socket gave its port back.
  void note(const Binding& released);
  [[nodiscard]] ProcessRef of_socket(uint64_t cookie) const;
  // Of the listener on that address, or on the wildcard address, of this port.
  [[nodiscard]] ProcessRef of_listener(uint32_t netns, const Endpoint& local) const;

 private:
  using Key = std::tuple<uint32_t, Endpoint>;
  struct KeyHash {
    size_t operator()(const Key& k) const;
  };
  // They come fast and are asked for seldom: what has come is put into the index when
  // somebody asks.
  struct Generation {
    std::vector<std::pair<uint64_t, ProcessRef>> noted; // by cookie
    mutable boost::unordered_flat_map<uint64_t, size_t> index;
    mutable size_t indexed = 0; // of noted
    [[nodiscard]] ProcessRef find(uint64_t cookie) const;
  };
  Generation newer_, older_;
  boost::unordered_flat_map<Key, ProcessRef, KeyHash> newer_listeners_, older_listeners_;
};

// Puts the TIME_WAIT sockets of a walk together by namespace, port and address.
class TimeWaitGroups {
 public:
  using BinderOf = std::function<ProcessRef(const Socket&)>;
  // `now`: when the walk was made.
  TimeWaitGroups(MonoNs now, BinderOf binder_of) : now_(now), binder_of_(std::move(binder_of)) {}

  void add(const Socket& timewait);
  // By namespace, port and address. Nothing is left.
  [[nodiscard]] std::vector<TimeWaitPort> take();

 private:
  using Key = std::tuple<uint32_t, uint16_t, Address>;
  struct KeyHash {
    size_t operator()(const Key& k) const;
  };
  MonoNs now_;
  BinderOf binder_of_;
  std::vector<TimeWaitPort> ports_;
  boost::unordered_flat_map<Key, size_t, KeyHash> index_;
};

// Is the TIME_WAIT socket one that the bound socket went over: do their addresses overlap?
[[nodiscard]] bool lies_below(const Socket& bound, const Socket& timewait);

// Is it what is left of the bound socket itself, or younger than the bind? Read at `now`;
// the kernel knows its age to a tick, so one born within 10 ms after the bind passes for older.
[[nodiscard]] bool came_after(const Socket& timewait, const Socket& bound, MonoNs bound_at,
                              MonoNs now);

// Binds over TIME_WAIT: all are counted, and not all are told.
class BindReuses {
 public:
  static constexpr uint64_t told_per_second = 50;
  static constexpr size_t ports = 16'384; // counted one by one

  // True: tell it; `left_out` were not since the last that was.
  [[nodiscard]] bool count(uint32_t netns, uint16_t port, MonoNs time, uint64_t& left_out);
  // Binds of which nobody looked whether they went over TIME_WAIT.
  void leave_out(uint64_t n) { uncounted_ += n; }
  [[nodiscard]] uint64_t all() const { return all_; }
  [[nodiscard]] uint64_t uncounted() const { return uncounted_; }
  [[nodiscard]] uint64_t of(uint32_t netns, uint16_t port) const;
  void for_each(const std::function<void(uint32_t netns, uint16_t port, uint64_t n)>& visit) const;

 private:
  boost::unordered_flat_map<uint64_t, uint64_t> by_port_; // namespace and port
  uint64_t all_ = 0;
  uint64_t uncounted_ = 0;
  MonoNs since_ = 0;
  uint64_t told_ = 0;
  uint64_t left_out_ = 0;
};

// The last reuses that were told of.
class RecentReuses {
 public:
  static constexpr size_t capacity = 4'096;
  static constexpr size_t per_port = 8;

  void add(const TimeWaitReuse& r);
  // Of that namespace and port: the newest first, `per_port` of them.
  [[nodiscard]] std::vector<TimeWaitReuse> of(uint32_t netns, uint16_t port) const;
  // All that happened then or later: the newest first.
  [[nodiscard]] std::vector<TimeWaitReuse> since(MonoNs time) const;

 private:
  std::deque<TimeWaitReuse> reuses_; // oldest first
};

} // namespace bindlens::model
