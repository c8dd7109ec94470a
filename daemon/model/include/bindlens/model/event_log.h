#pragma once

#include <bindlens/model/event.h>
#include <bindlens/model/filter.h>

#include <boost/container/deque.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

namespace bindlens::model {

// The last release of each socket, for at least the last `generation` of them.
class RecentReleases {
 public:
  static constexpr size_t generation = 32'768;
  void note(SocketId id, MonoNs time, uint64_t cookie = 0);
  // The address of a socket comes again: not when it was another, by its cookie.
  [[nodiscard]] MonoNs find(SocketId id, MonoNs since, uint64_t cookie = 0) const;

 private:
  struct Release {
    MonoNs time = 0;
    uint64_t cookie = 0; // 0 = not known
  };
  boost::unordered_flat_map<SocketId, Release> newer_, older_;
};

// Events since the start, oldest dropped first when `max_bytes` is reached.
class EventLog {
 public:
  explicit EventLog(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Numbers the event and keeps it; returns it as kept.
  const Event& add(Event&& e);
  [[nodiscard]] std::vector<Event> select(const Filter& f) const; // oldest first
  // When this socket was last released, at or after `since`; 0 = not seen lately.
  [[nodiscard]] MonoNs released_at(const Socket& s, MonoNs since) const {
    return releases_.find(s.id, since, s.cookie);
  }
  [[nodiscard]] size_t size() const { return events_.size(); }
  [[nodiscard]] size_t bytes() const { return events_.size() * sizeof(Event) + findings_bytes_; }
  [[nodiscard]] uint64_t seen() const { return next_id_ - 1; }
  [[nodiscard]] MonoNs oldest() const { return events_.empty() ? 0 : events_.front().time; }

 private:
  // The one of std has a block of memory for each event.
  using Blocks = boost::container::deque_options<boost::container::block_size<64>>::type;

  size_t max_bytes_;
  size_t findings_bytes_ = 0; // of those that the events tell of
  uint64_t next_id_ = 1;
  boost::container::deque<Event, void, Blocks> events_;
  RecentReleases releases_;
};

// Failures since the start. Identical ones in a row are one entry with a count;
// the oldest entry is dropped first when either limit is reached.
class FailureLog {
 public:
  FailureLog(size_t max_entries, size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes) {}

  // If the newest entry is the same refusal - same call, process, address,
  // flags, and the same sockets in the same hands - counts it there and returns it.
  [[nodiscard]] std::shared_ptr<const Failure> fold(const Failure& same, MonoNs time);
  // Numbers and keeps it.
  std::shared_ptr<const Failure> add(Failure f);
  // A socket gave its port back: said in the entries in whose way it stood.
  void note_release(const Socket& s, MonoNs time);
  [[nodiscard]] std::vector<std::shared_ptr<const Failure>> select(const Filter& f) const;
  [[nodiscard]] size_t size() const { return failures_.size(); }
  [[nodiscard]] size_t bytes() const { return bytes_; }
  [[nodiscard]] uint64_t seen() const { return seen_; }

 private:
  size_t max_entries_;
  size_t max_bytes_;
  size_t bytes_ = 0;
  uint64_t next_id_ = 1;
  uint64_t seen_ = 0;
  std::deque<std::shared_ptr<const Failure>> failures_; // newest last
  // Numbers of the entries a socket stands in, to be told of its release. One socket can
  // stand in all of them.
  boost::unordered_flat_map<SocketId, std::vector<uint64_t>> by_socket_;
  size_t numbers_ = 0; // in all of by_socket_
};

// The same thing happened again: everything that tells two refusals apart, but
// not when, nor what was worked out from it.
[[nodiscard]] bool is_same_refusal(const Failure& a, const Failure& b);

} // namespace bindlens::model
