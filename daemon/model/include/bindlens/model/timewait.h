#pragma once

#include <bindlens/model/failure.h>

#include <cstdint>
#include <string_view>

namespace bindlens::model {

// What took the place of TIME_WAIT sockets.
enum class ReuseKind : uint8_t {
  bind,    // bind() got a port that TIME_WAIT sockets hold
  connect, // connect() took over the five-tuple of one (tcp_twsk_unique())
  syn,     // a new SYN of the peer revived one (TCP_TW_SYN)
};
[[nodiscard]] std::string_view to_string(ReuseKind k);

// One reuse of TIME_WAIT, at the moment it happened.
struct TimeWaitReuse {
  ReuseKind kind = ReuseKind::bind;
  Evidence evidence = Evidence::observed;
  Socket socket;         // the new one; syn: what little is known of it
  ProcessRef process;    // who called; null for syn, which is nobody's call
  uint64_t sockets = 1;  // TIME_WAIT sockets it went over
  bool harmless = true;  // see docs: timestamps or sequence numbers keep old segments out
  uint64_t left_out = 0; // reuses of this kind not told one by one since the last that was
};

} // namespace bindlens::model
