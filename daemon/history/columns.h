#pragma once

#include <bindlens/model/address.h>

#include <cstdint>
#include <optional>
#include <string>

namespace bindlens::history {

// Enumerations are stored as their numbers.
template <typename Enum>
[[nodiscard]] int64_t number(Enum e) {
  return static_cast<int64_t>(e);
}

// NULL when there is no peer.
struct PeerColumns {
  std::optional<std::string> addr;
  std::optional<uint16_t> port;
  explicit PeerColumns(const model::Endpoint& peer) {
    if (peer.port == 0) return;
    addr = to_string(peer.addr);
    port = peer.port;
  }
};

} // namespace bindlens::history
