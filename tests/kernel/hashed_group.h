#pragma once

#include "actor.h"

#include <array>
#include <map>

namespace bindlens::test {

// A TCP reuseport group of two members, and a client whose source ports decide which of
// them gets its connections: the kernel hashes both ends.
class HashedGroup {
 public:
  // Both listen on `port` of 127.0.0.1. Tries source ports until it has one for each.
  HashedGroup(Actor& first, Actor& second, Actor& client, uint16_t port);

  [[nodiscard]] int listener(size_t member) const { return listeners_.at(member); }
  // A connection to that member, accepted and reset, so that its ports are free again.
  void connect_to(size_t member, int times = 1);
  // A connection to that member that nobody has accepted; the client's end of it, which
  // has to be closed before there can be another one.
  int leave_waiting(size_t member);
  // Accepts all that waits.
  void accept_all(size_t member);

 private:
  [[nodiscard]] int connect_from(uint16_t source);
  // The member that gets it.
  [[nodiscard]] size_t connect_and_reset(uint16_t source);
  [[nodiscard]] int accepted(size_t& member);

  std::array<Actor*, 2> members_;
  std::array<int, 2> listeners_{};
  Actor& client_;
  uint16_t port_;
  std::array<uint16_t, 2> sources_{};
};

} // namespace bindlens::test
