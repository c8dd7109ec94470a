#pragma once

// Real sockets, one per slot, and what has to be known of each to ask the engine
// about its next call.

#include "lab.h"

#include <bindlens/rules/engine.h>
#include <bindlens/util/fd.h>

#include <array>

namespace differential {

struct Slot {
  bindlens::Fd fd;
  Transport transport = Transport::tcp;
  bool v6 = false;
  // struct socket's own state, which no option shows: bind and listen look at it.
  bool connected = false;
  bool listening = false;
  bool attached = false; // SO_ATTACH_REUSEPORT_CBPF before it had a port
  uint64_t inode = 0;
};

class World {
 public:
  World(const Lab& lab, uint16_t base) : lab_(lab), base_(base) {}

  // Makes the call. 0, or the positive errno; -1 when there was nothing to call
  // (an empty slot, a call without an outcome of its own).
  int perform(const Op& op);

  // What the engine is to be asked before `op`; false when it has no say in it.
  [[nodiscard]] bool request_for(const Op& op, bindlens::rules::Request& r) const;
  // The port that the socket of the slot names as its own.
  [[nodiscard]] uint16_t own_port(unsigned slot) const;
  // Adds what only the kernel's table shows of the asking socket. `view` has the
  // walk of own_port().
  void complete_from(const bindlens::model::PortView& view, const Op& op,
                     bindlens::rules::Request& r) const;

  [[nodiscard]] const Slot& at(unsigned slot) const { return sockets_[slot]; }
  [[nodiscard]] uint16_t port_of(uint8_t offset) const {
    return offset == 255 ? 0 : static_cast<uint16_t>(base_ + offset);
  }
  // The descriptor of a socket by its inode, -1 if it is none of ours.
  [[nodiscard]] int descriptor_of(uint64_t inode) const;
  // Closes without leaving TIME_WAIT behind.
  void reset_by_inode(uint64_t inode);

 private:
  int open(const Op& op);
  int set_option(const Op& op);
  int set_device(const Op& op);
  int bind(const Op& op);
  int listen(const Op& op);
  int connect(const Op& op);
  int accept(const Op& op);
  int send(const Op& op);
  int make_crowd(const Op& op);
  int expire(const Op& op);
  bool expire_one(const Op& op);
  [[nodiscard]] bool in_syn_sent(unsigned slot) const;
  [[nodiscard]] bool name_as_peer(unsigned slot, sockaddr_storage& to, socklen_t& size) const;

  const Lab& lab_;
  uint16_t base_;
  std::array<Slot, slots> sockets_;
  std::vector<Slot> crowd_;
};

} // namespace differential
