#pragma once

// Processes that make many sockets. They stop when told, and then hold what
// they have until they are killed.

#include "place.h"

#include <atomic>

namespace bindlens::test {

// Shared with the processes.
struct StormBoard {
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> calls{0};
  std::atomic<int> finished{0};
};

class Board {
 public:
  Board();
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;
  StormBoard* operator->() const { return board_; }
  StormBoard* get() const { return board_; }

 private:
  StormBoard* board_;
};

// Random socket, bind, listen, connect, accept and close, with up to `most`
// sockets open, until told to stop.
// A process that has a listener and a UDP socket on each port of the churn, at an
// address of its own, and keeps them.
[[nodiscard]] Child start_holding(const Netns& netns, const Board& board);
[[nodiscard]] Child start_churn(const Netns& netns, const Board& board, uint32_t seed, size_t most);

// `count` times socket(), bind() and close(); then `kept` sockets stay bound.
[[nodiscard]] Child start_bind_storm(const Netns& netns, const Board& board, int count, int kept);

} // namespace bindlens::test
