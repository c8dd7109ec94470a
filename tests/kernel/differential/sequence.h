#pragma once

// A sequence of socket calls, as data: made by a seed, shrunk when the engine and
// the kernel disagree about one of them, printed as a C program.

#include <cstdint>
#include <iosfwd>
#include <random>
#include <string>
#include <vector>

namespace differential {

inline constexpr unsigned slots = 14;       // sockets alive at once
inline constexpr unsigned ports = 4;        // numbers that are bound explicitly
inline constexpr unsigned ports_in_use = 9; // with the ephemeral range behind them

enum class Kind : uint8_t {
  open,      // a: protocol (see Transport), b: IPv6, c: user
  option,    // a: Option, b: value
  device,    // a: device number of the lab, 0 = none
  own_range, // a, b: offsets of IP_LOCAL_PORT_RANGE's ends, 255 = unset
  attach,    // SO_ATTACH_REUSEPORT_CBPF
  chown,     // a: user
  bind,      // a: address number of the lab, b: port offset, 255 = 0; c: without privilege
  listen,
  connect,    // a: slot of the listener to connect to
  accept,     // a: slot for the new socket
  disconnect, // connect(AF_UNSPEC)
  send,       // UDP: a datagram to nowhere
  shut,       // shutdown(SHUT_RDWR)
  close,
  reset, // close with SO_LINGER {1, 0}
  crowd, // a: port offset: eleven more UDP sockets on addresses of their own
  // Connections to the listener that end in TIME_WAIT at once: a: port offset of the
  // client, 255 = the kernel's choice, b: the server closes first, c: how many
  expire,
};

enum class Transport : uint8_t { tcp, udp, udplite, mptcp };

enum class Option : uint8_t {
  reuseaddr,
  reuseport,
  v6only,
  freebind,
  transparent,
  bind_no_port,
  repair,
};

struct Op {
  Kind kind = Kind::open;
  uint8_t slot = 0;
  uint8_t a = 0;
  uint8_t b = 0;
  uint8_t c = 0;
};

// What the namespace is set to while a sequence runs.
struct Setting {
  uint8_t range_first = 2; // ip_local_port_range, as offsets
  uint8_t range_last = 6;
  uint8_t reserved = 255; // ip_local_reserved_ports: one offset, 255 = none
  uint8_t privileged = 0; // ports below this offset need a privilege
  bool autobind_reuse = false;
  bool nonlocal = false; // ip_nonlocal_bind, both families
  uint8_t tw_reuse = 2;  // tcp_tw_reuse
};

struct Sequence {
  Setting setting;
  std::vector<Op> ops;
};

// What a sequence can choose from.
struct Choice {
  std::vector<bool> address_is_v6; // one for each address of the lab
  unsigned devices = 0;
};

// Each sequence keeps to a theme: many sockets of few kinds disagree sooner than
// few of many kinds.
[[nodiscard]] Sequence random_sequence(std::mt19937_64& random, unsigned length,
                                       const Choice& choice);

[[nodiscard]] std::string describe(const Op& op);
[[nodiscard]] std::string describe(const Setting& s);

} // namespace differential
