#pragma once

#include <bindlens/model/socket.h>
#include <bindlens/record.h>
#include <bindlens/util/clock.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <span>
#include <vector>

namespace bindlens::kernel {

// Where a socket is open, and what else is known of that socket (bl_owner, without its address).
struct Descriptor {
  uint32_t pid;
  uint32_t fd;
  uint32_t cookie = 0;
  uint16_t port = 0;
  uint16_t peer_port = 0;
};

// Which process has which socket open: one sweep over all descriptors of all
// processes.
class OwnerMap {
 public:
  // What bl_owner.sk holds: the socket's address, or the inode of its file where
  // the kernel's memory cannot be read.
  enum class Key : uint8_t { socket, inode };

  OwnerMap() = default;
  OwnerMap(const std::vector<bl_owner>& swept, MonoNs taken_at, Key key);
  // Calls visit(const Descriptor&) for each descriptor once, by pid, then number. False where the
  // sweep found only other sockets at the address of this one: who has it open is not known.
  template <typename Visit>
  [[nodiscard]] bool for_each_of(const model::Socket& socket, Visit visit) const {
    const auto there = at_address_of(socket);
    const Descriptor* last = nullptr;
    for (const Descriptor& o : there) {
      if (!is_of(o, socket) || (last && last->pid == o.pid && last->fd == o.fd)) continue;
      last = &o;
      visit(o);
    }
    return last != nullptr || there.empty();
  }
  // Those of other sockets at that address too.
  [[nodiscard]] std::span<const Descriptor> at_address_of(const model::Socket& socket) const;
  [[nodiscard]] MonoNs taken_at() const { return taken_at_; }

 private:
  struct Range {
    static constexpr uint32_t nowhere = UINT32_MAX;
    uint32_t first = nowhere;
    uint32_t count = 0;
  };
  void drop_repeated(Range& range);
  [[nodiscard]] bool is_of(const Descriptor& owner, const model::Socket& socket) const;

  std::vector<Descriptor> owners_; // those of one socket side by side
  boost::unordered_flat_map<uint64_t, Range> sockets_;
  MonoNs taken_at_ = 0;
  Key key_ = Key::socket;
};

} // namespace bindlens::kernel
