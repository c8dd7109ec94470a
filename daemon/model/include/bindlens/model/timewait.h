#pragma once

#include <bindlens/model/failure.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace bindlens::model {

// What took the place of TIME_WAIT sockets.
enum class ReuseKind : uint8_t {
  bind,    // bind() got a port that TIME_WAIT sockets hold
  connect, // connect() took over the five-tuple of one (tcp_twsk_unique())
  syn,     // a new SYN of the peer revived one (TCP_TW_SYN)
};
constexpr size_t reuse_kind_count = 3;
[[nodiscard]] std::string_view to_string(ReuseKind k);

// One reuse of TIME_WAIT, at the moment it happened.
struct TimeWaitReuse {
  MonoNs time = 0;
  ReuseKind kind = ReuseKind::bind;
  Evidence evidence = Evidence::observed;
  Socket socket;        // the new one; syn: the TIME_WAIT socket it ended
  ProcessRef process;   // who called; null for syn, which is nobody's call
  uint64_t sockets = 1; // TIME_WAIT sockets it went over
  bool harmless =
      true; // see docs/timewait.md: timestamps or sequence numbers keep old segments out
  uint64_t left_out = 0; // reuses of this kind not told one by one since the last that was
};

// Reuses by kind since the daemon's start, those not told one by one included.
struct ReuseCounts {
  std::array<uint64_t, reuse_kind_count> of{};
  [[nodiscard]] uint64_t operator[](ReuseKind k) const { return of.at(static_cast<size_t>(k)); }
  [[nodiscard]] uint64_t& operator[](ReuseKind k) { return of.at(static_cast<size_t>(k)); }
  [[nodiscard]] uint64_t sum() const { return of[0] + of[1] + of[2]; }
};

// Who had bound the sockets of which these are what is left. The binder of an
// accepted connection is that of its listener.
struct TimeWaitOwner {
  ProcessRef binder; // never null
  uint64_t count = 0;
};

// The TIME_WAIT sockets of one local address and port, in one namespace.
struct TimeWaitPort {
  Proto proto = Proto::tcp;
  Endpoint local;
  uint32_t netns = 0;
  uint64_t count = 0;     // all of them, FIN_WAIT2 included
  uint64_t fin_wait2 = 0; // of them: closed here, the peer has not closed yet
  // How long they were closed and how long they stay. Not known: absent.
  std::optional<MonoNs> oldest;         // when the oldest began its TIME_WAIT; FIN_WAIT2 left out
  std::optional<uint32_t> next_left_ms; // until the first of them is gone
  std::optional<uint32_t> last_left_ms; // until all are
  // The flags they remember: of how many.
  uint64_t reuseaddr = 0;
  uint64_t reuseport = 0;
  std::vector<TimeWaitOwner> owners; // most sockets first; what is missing to `count` is not known
  // Of this namespace and port, whatever the address.
  ReuseCounts reuses;
  std::vector<TimeWaitReuse> recent; // reuses, newest first, the last few
  uint64_t linger_zero = 0;          // closes with SO_LINGER of 0 s: RST, and no TIME_WAIT
};

// What is known about TIME_WAIT now. A port is there when it has TIME_WAIT sockets, and also
// (count 0) when it had reuses or closes with RST.
struct TimeWaitTable {
  std::vector<TimeWaitPort> ports; // by namespace, port and address
  // Of the whole host, since the daemon's start.
  ReuseCounts reuses;
  uint64_t linger_zero = 0;
  uint64_t uncounted = 0; // reuses and closes that are in these sums alone: too many ports
  bool complete = true;   // false: a bucket kept changing while it was read
};

} // namespace bindlens::model
