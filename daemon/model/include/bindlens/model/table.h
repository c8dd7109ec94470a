#pragma once

#include <bindlens/model/bucket.h>
#include <bindlens/model/process.h>
#include <bindlens/util/clock.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace bindlens::model {

// A socket that holds a port, with what events told about it.
struct Binding {
  Socket socket;
  MonoNs changed_at = 0; // time of the newest fact in here
  MonoNs bound_at = 0;   // 0 = before the daemon saw anything
  ProcessRef binder;     // null = not seen
  BoundBy bound_by = BoundBy::unknown;
  uint32_t walk = 0; // number of the last walk that found it
};

// The bind table: bound, listening and autobound sockets of all namespaces.
// Accepted children and TIME_WAIT sockets are not in it; they are read from the
// kernel when asked for.
//
// Every fact carries the time at which the kernel made it, and an older fact
// never undoes a newer one: that is how a walk and the events that happened
// while it ran come together.
class BindTable {
 public:
  // A socket got a port, or started to listen. Returns the entry.
  Binding& acquire(const Socket& s, MonoNs time, BoundBy by, ProcessRef binder);
  // The socket gave its port back: its entry, which is not in the table any more. None
  // if it was not in the table, or came into it after `time`.
  std::optional<Binding> release(SocketId id, MonoNs time);
  // A listener stopped listening and keeps its port.
  void stop_listening(SocketId id, MonoNs time);

  [[nodiscard]] const Binding* find(SocketId id) const;
  [[nodiscard]] size_t size() const { return entries_.size(); }
  [[nodiscard]] size_t namespaces() const;
  void for_each(const std::function<void(const Binding&)>& visit) const;

  // What a walk found to be different from the table it met.
  struct MergeReport {
    std::vector<Socket> missing; // walked, and some event should have told of it
    std::vector<Socket> stale;   // in the table, not walked
    std::vector<Socket> changed; // another port or namespace, or (not) listening
    size_t reconstructed = 0;    // walked, of a kind that no event tells of
    [[nodiscard]] size_t differences() const {
      return missing.size() + stale.size() + changed.size();
    }
  };
  // To be called before the first row of a walk is read.
  void begin_walk(MonoNs now);
  // Makes the table equal to a whole walk. Sockets acquired or released since
  // begin_walk() are decided by their events. A torn walk (PortView::torn) shows
  // what is there, and not what is gone.
  MergeReport merge(std::span<const Bucket> walked, bool torn = false);
  // The walk failed: nothing is changed by it.
  void cancel_walk();

  // Does a walked socket belong in the table, and not to the on-demand part?
  // Bound by number, listening, idle or UDP: yes. Connected without a number
  // asked for: only when connect() chose the port, which the kernel marks since
  // 6.18 and which shows as fastreuse = -1 of its bucket before.
  [[nodiscard]] static bool is_tracked(const Socket& s, const Bucket& bucket);
  // Ports taken without any event: UDP autobind by sending, and kernel sockets;
  // and connections of which it is only guessed that the port is their own.
  [[nodiscard]] static bool is_silent(const Socket& s);

 private:
  void take(const Socket& s, const Bucket& bucket, MergeReport& report);

  boost::unordered_flat_map<SocketId, Binding> entries_;
  MonoNs walk_started_ = 0;
  uint32_t walk_ = 0;
  // Releases since walk_started_, kept while a walk is under way, so that rows
  // read before them do not bring the sockets back.
  boost::unordered_flat_map<SocketId, MonoNs> released_;
  bool walking_ = false;
};

} // namespace bindlens::model
