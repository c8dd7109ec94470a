// Which rule to name for a holder that refused.

#include "tables.h"

#include <algorithm>

namespace bindlens::rules {

using model::Bucket;
using model::Rule;
using model::Socket;
using model::SocketFlag;
using model::State;

namespace {

// connect() chose the port: marked on the socket since 6.18, and shown before by
// a bucket that nobody but connect() has used.
bool bound_by_connect(const Bucket& b, const Socket& h) {
  if (h.is(SocketFlag::port_locked)) return false;
  return h.is(SocketFlag::connect_bind) || (b.fastreuse == -1 && b.fastreuseport == -1);
}

bool connected(const Socket& h) {
  return h.state != State::listen && h.state != State::bound;
}

Rule missing_option(const Asker& a, const Socket& h, const Variants& v) {
  const bool holder_port = h.is(SocketFlag::reuseport);
  if (a.reuseport && holder_port && a.uid != holder_uid(h, v)) return Rule::reuseport_uid;
  if (a.reuseaddr && !h.is(SocketFlag::reuseaddr)) return Rule::holder_no_reuseaddr;
  if (a.reuseport && !holder_port) return Rule::holder_no_reuseport;
  if (holder_port && !a.reuseport && !h.is(SocketFlag::reuseaddr))
    return Rule::requester_no_reuseport;
  // Same user, both options: only a program attached before bind is left.
  if (a.reuseport && holder_port) return Rule::requester_no_reuseport;
  return Rule::requester_no_reuseaddr;
}

} // namespace

// What the holder is comes before what the options are: who sees `time-wait` or
// `listener` knows at once where to look.
Rule tcp_rule(const Asker& a, const Bucket& b, const Socket& h, const Variants& v) {
  if (in_time_wait(h)) return Rule::time_wait;
  if (h.state == State::listen) {
    const bool same_options = a.reuseport && h.is(SocketFlag::reuseport);
    return same_options && holder_uid(h, v) != a.uid ? Rule::reuseport_uid : Rule::listener;
  }
  if (connected(h) && bound_by_connect(b, h)) return Rule::bucket_connect_only;
  if (connected(h) && !h.is(SocketFlag::port_locked)) return Rule::connected_child;
  return missing_option(a, h, v);
}

Rule udp_rule(const Asker& a, const Socket& h) {
  return a.reuseport && h.is(SocketFlag::reuseport) && !a.has_group ? Rule::udp_reuseport_uid
                                                                    : Rule::udp_no_reuse;
}

// A listener explains more than the connections it left, and those more than
// what is gone in a minute by itself.
Rule leading_rule(std::span<const Conflict> conflicts) {
  auto weight = [](Rule r) {
    switch (r) {
    case Rule::listener:
      return 0;
    case Rule::reuseport_uid:
    case Rule::udp_reuseport_uid:
      return 1;
    case Rule::connected_child:
      return 3;
    case Rule::bucket_connect_only:
      return 4;
    case Rule::time_wait:
      return 5;
    default:
      return 2;
    }
  };
  auto it =
      std::ranges::min_element(conflicts, {}, [&](const Conflict& c) { return weight(c.rule); });
  return it == conflicts.end() ? Rule::none : it->rule;
}

} // namespace bindlens::rules
