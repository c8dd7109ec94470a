#pragma once

#include <bindlens/kernel/owner_map.h>
#include <bindlens/kernel/session.h>
#include <bindlens/util/result.h>

#include <vector>

namespace bindlens::kernel {

// Runs the iterator over tasks to its end; reads all of /proc where the iterator
// is not to be had. May run on a thread of its own.
[[nodiscard]] Result<OwnerMap> sweep_owners(Session& session);

// Is descriptor `fd` of `pid` the socket with this inode, now?
[[nodiscard]] bool still_open(uint32_t pid, uint32_t fd, uint64_t inode);

// Those of a sweep that have the socket open now. One that was closed before the sweep
// may have left its address to another, which somebody else has open.
[[nodiscard]] std::vector<Descriptor> still_open(const model::Socket& socket,
                                                 const OwnerMap& sweep);

// Who has a socket open, mostly without a sweep: descriptors known from the last
// one, and those of the binder, are checked in /proc; when they are as many as
// the file has references, there are no others.
struct Owners {
  std::vector<Descriptor> descriptors;
  bool complete = false; // false: somebody else has it open too; a sweep is needed
};
[[nodiscard]] Owners quick_owners(const model::Socket& socket, const OwnerMap& last_sweep,
                                  uint32_t binder_pid);

} // namespace bindlens::kernel
