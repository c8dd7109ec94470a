#pragma once

#include <bindlens/model/bucket.h>
#include <bindlens/model/process.h>
#include <bindlens/util/clock.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <functional>
#include <span>

namespace bindlens::model {

// A socket that holds a port, with what events told about it.
struct Binding {
  Socket socket;
  MonoNs changed_at = 0; // time of the newest fact in here
  MonoNs bound_at = 0;   // 0 = before the daemon saw anything
  ProcessRef binder;     // null = not seen
  BoundBy bound_by = BoundBy::unknown;
};

// The bind table: bound, listening and autobound sockets of all namespaces.
// Accepted children and TIME_WAIT sockets are not in it; they are read from the
// kernel when asked for.
//
// Every change carries the time at which the kernel made it, and an older fact
// never undoes a newer one: that is how a walk and the events that happened
// while it ran come together (merge()).
class BindTable {
public:
  // A socket got a port, or started to listen. Returns the entry.
  Binding& acquire(const Socket& s, MonoNs time, BoundBy by, ProcessRef binder);
  // The socket gave its port back. False if it was not in the table.
  bool release(SocketId id, MonoNs time);

  [[nodiscard]] const Binding* find(SocketId id) const;
  [[nodiscard]] size_t size() const { return entries_.size(); }
  [[nodiscard]] size_t namespaces() const;
  void for_each(const std::function<void(const Binding&)>& visit) const;

  struct MergeReport {
    size_t added = 0;   // walked, not in the table
    size_t removed = 0; // in the table, not walked
    size_t changed = 0; // another port, address or state
    [[nodiscard]] size_t differences() const { return added + removed + changed; }
  };
  // Makes the table equal to what a whole walk found, that began at `started`:
  // sockets acquired or released since are decided by their events.
  MergeReport merge(std::span<const Bucket> walked, MonoNs started);

  // Does a walked socket belong in the table, and not to the on-demand part?
  // Bound by number, listening, idle or UDP: yes. Connected without a number
  // asked for: only when connect() chose the port, which the kernel marks since
  // 6.18 and which shows as fastreuse = -1 of its bucket before.
  [[nodiscard]] static bool is_tracked(const Socket& s, const Bucket& bucket);

private:
  boost::unordered_flat_map<SocketId, Binding> entries_;
  // Releases seen lately, so that a walk that started before them does not
  // bring the socket back; trimmed at each merge.
  boost::unordered_flat_map<SocketId, MonoNs> released_;
  bool remember_releases_ = false;
};

} // namespace bindlens::model
