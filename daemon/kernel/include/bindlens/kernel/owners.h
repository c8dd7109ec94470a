#pragma once

#include <bindlens/kernel/session.h>
#include <bindlens/model/socket.h>
#include <bindlens/record.h>
#include <bindlens/util/clock.h>
#include <bindlens/util/result.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <span>
#include <vector>

namespace bindlens::kernel {

// Which process has which socket open: one sweep over all descriptors of all
// processes.
class OwnerMap {
 public:
  // What bl_owner.sk holds: the socket's address, or the inode of its file where
  // the kernel's memory cannot be read.
  enum class Key : uint8_t { socket, inode };

  OwnerMap() = default;
  OwnerMap(const std::vector<bl_owner>& swept, MonoNs taken_at, Key key);
  // Each once, by pid, then descriptor. Valid as long as the map.
  [[nodiscard]] std::span<const bl_owner> of(const model::Socket& socket) const;
  [[nodiscard]] MonoNs taken_at() const { return taken_at_; }

 private:
  struct Range {
    static constexpr uint32_t nowhere = UINT32_MAX;
    uint32_t first = nowhere;
    uint32_t count = 0;
  };
  void drop_repeated(Range& range);

  std::vector<bl_owner> owners_; // those of one socket side by side
  boost::unordered_flat_map<uint64_t, Range> sockets_;
  MonoNs taken_at_ = 0;
  Key key_ = Key::socket;
};

// Runs the iterator over tasks to its end; reads all of /proc where the iterator
// is not to be had. May run on a thread of its own.
[[nodiscard]] Result<OwnerMap> sweep_owners(Session& session);

// Is descriptor `fd` of `pid` the socket with this inode, now?
[[nodiscard]] bool still_open(uint32_t pid, uint32_t fd, uint64_t inode);

// Those of a sweep that have the socket open now. One that was closed before the sweep
// may have left its address to another, which somebody else has open.
[[nodiscard]] std::vector<bl_owner> still_open(const model::Socket& socket, const OwnerMap& sweep);

// Who has a socket open, mostly without a sweep: descriptors known from the last
// one, and those of the binder, are checked in /proc; when they are as many as
// the file has references, there are no others.
struct Owners {
  std::vector<bl_owner> descriptors;
  bool complete = false; // false: somebody else has it open too; a sweep is needed
};
[[nodiscard]] Owners quick_owners(const model::Socket& socket, const OwnerMap& last_sweep,
                                  uint32_t binder_pid);

} // namespace bindlens::kernel
