// One sentence that names the rule.

#include <bindlens/rules/explain.h>
#include <bindlens/rules/wording.h>

#include "advice.h"
#include "clauses.h"
#include "kernel_view.h"
#include "search_text.h"
#include "unowned.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bindlens::rules {

using model::Blocker;
using model::Rule;
using model::SocketFlag;

model::Blocker to_blocker(const Conflict& c) {
  Blocker b;
  b.socket = *c.socket;
  b.rule = c.rule;
  b.relation = c.relation;
  b.necessary = c.necessary;
  return b;
}

namespace {

// The blocker that the verdict's rule is about; one that a process has open
// tells more than one that nobody has.
const Blocker* leading(const ExplainInput& in) {
  const Blocker* first = nullptr;
  for (const Blocker& b : in.blockers) {
    if (b.rule != in.verdict->rule) continue;
    if (unowned(b.socket) == Unowned::no) return &b;
    if (first == nullptr) first = &b;
  }
  if (first != nullptr) return first;
  return in.blockers.empty() ? nullptr : &in.blockers.front();
}

// Those of the verdict's rule that are not explained as unowned ones.
size_t count_rule(const ExplainInput& in) {
  return static_cast<size_t>(std::ranges::count_if(in.blockers, [&](const Blocker& b) {
    return b.rule == in.verdict->rule && unowned(b.socket) == Unowned::no;
  }));
}

std::string listener_text(const ExplainInput& in, const Blocker& b) {
  const bool set = in.request->flags.has(SocketFlag::reuseaddr);
  const bool second_listen = in.verdict->failing == Operation::listen;
  std::string out = who(b, in.names) + " listens on " + end_of(b.socket) + overlap_clause(in, b);
  if (unowned(b.socket) == Unowned::kernel) out += origin_clause(b);
  out += second_listen ? ", and while it listens no other socket may listen on an overlapping "
                         "address unless both have SO_REUSEPORT"
                       : ", and a listener blocks every overlapping address";
  out += set ? "; SO_REUSEADDR, which is set here, does not help against a listener"
             : "; SO_REUSEADDR would not help against a listener";
  return out;
}

std::string one_side_text(const ExplainInput& in, const Blocker& b, std::string_view option,
                          bool set_here) {
  const std::string holder = who(b, in.names);
  const std::string name(option);
  const std::string held = " holds " + end_of(b.socket) + overlap_clause(in, b);
  if (set_here)
    return holder + held + ", without " + name + "; it is set here, but both sockets need it";
  const bool there =
      b.socket.is(name == "SO_REUSEADDR" ? SocketFlag::reuseaddr : SocketFlag::reuseport);
  return holder + held +
         (there ? ", and has set " + name + "; this socket has not, and both need it"
                : "; sharing it would need " + name + " on both sockets, and neither has it");
}

std::string uid_text(const ExplainInput& in, const Blocker& b) {
  const uint32_t holder = b.socket.uid;
  const bool owned = unowned(b.socket) == Unowned::no;
  const std::string whose = owned ? "the one of " : "";
  std::string out = "both sockets have SO_REUSEPORT, but " + whose + who(b, in.names) + " on " +
                    end_of(b.socket) + " belongs to ";
  // Kernels up to 6.16 take a connection without a process for root's.
  if (holder == in.request->uid)
    return out + "user root for the kernel, because no process has it open";
  return out + "user " + user_name(holder, in.names) + " and this one to user " +
         user_name(in.request->uid, in.names) + ", and only sockets of one user may share a port";
}

std::string time_wait_text(const ExplainInput& in, const Blocker& b) {
  const size_t n = count_rule(in);
  uint32_t left = 0;
  size_t without = 0;
  for (const Blocker& x : in.blockers) {
    if (x.rule != Rule::time_wait) continue;
    left = std::max(left, seconds_left(x.socket));
    without += !x.socket.is(SocketFlag::reuseaddr);
  }
  const std::string clause = overlap_clause(in, b);
  std::string out = count_of(n, "TIME_WAIT socket") + (n == 1 ? " holds " : " hold ") +
                    end_of(b.socket) + clause + (clause.empty() ? "" : ",") + " for another " +
                    std::to_string(left) + " s";
  if (without == 0)
    return out + "; the closed connections had SO_REUSEADDR, but this socket has not set it";
  out += without == n ? "; the closed connections had not set SO_REUSEADDR, so "
                      : "; " + std::to_string(without) +
                            " of the closed connections had not set "
                            "SO_REUSEADDR, so ";
  return out + (in.request->flags.has(SocketFlag::reuseaddr)
                    ? "setting it here, as was done, is not enough"
                    : "setting it here would not be enough");
}

std::string child_text(const ExplainInput& in, const Blocker& b) {
  const size_t n = count_rule(in);
  std::string out = count_of(n, "accepted connection") +
                    (n == 1 ? " still holds " : " still hold ") + end_of(b.socket) +
                    overlap_clause(in, b) + ", open in " + who(b, in.names);
  const bool here = in.request->flags.has(SocketFlag::reuseaddr);
  const bool there = b.socket.is(SocketFlag::reuseaddr);
  if (here)
    out += "; it was accepted by a listener without SO_REUSEADDR, so that setting it here is not "
           "enough";
  else
    out += there ? "; it has SO_REUSEADDR, but this socket has not set it"
                 : "; neither it nor this socket has SO_REUSEADDR";
  return out + and_others(in, n);
}

std::string connect_text(const ExplainInput& in, const Blocker& b) {
  return "an outgoing connection of " + who(b, in.names) + " to " + to_string(b.socket.peer) +
         " was given port " + std::to_string(b.socket.local.port) + " by the kernel" +
         range_clause(in);
}

std::string udp_text(const ExplainInput& in, const Blocker& b) {
  const bool here = in.request->flags.has(SocketFlag::reuseaddr);
  const bool there = b.socket.is(SocketFlag::reuseaddr);
  std::string out = who(b, in.names) + " holds " + end_of(b.socket) + overlap_clause(in, b);
  if (here && !there)
    return out + ", without SO_REUSEADDR; it is set here, but both sockets need it";
  if (there && !here)
    return out + ", with SO_REUSEADDR; this socket has not set it, and both need it";
  if (in.request->flags.has(SocketFlag::reuseport) && b.socket.is(SocketFlag::reuseport))
    return out + ", and this socket had a reuseport program attached before bind, so that it "
                 "cannot join others";
  return out + "; sharing a UDP port needs SO_REUSEADDR, or SO_REUSEPORT of one user, on both "
               "sockets";
}

std::string privileged_text(const ExplainInput& in) {
  return "ports below " + std::to_string(in.facts->unprivileged_port_start.value_or(1024)) +
         " need CAP_NET_BIND_SERVICE, and the caller does not have it in the user namespace of "
         "this network namespace";
}

std::string invalid_text(const ExplainInput& in) {
  const Request& r = *in.request;
  const model::Address& a = r.local.addr;
  switch (in.verdict->error) {
  case EAFNOSUPPORT:
    return "the address is not of the socket's family";
  case ENODEV:
    return device_name(r.dev != 0 ? r.dev : r.scope_id, in.names) + " does not exist";
  case EOPNOTSUPP:
    return "a " + std::string(to_string(r.proto)) + " socket cannot listen";
  case EPROTONOSUPPORT:
    return "this kernel has no " + std::string(to_string(r.proto)) + " sockets";
  default:
    break;
  }
  if (r.op == Operation::listen) return "the socket is connected and cannot listen";
  if (a.is_v4_mapped() && r.flags.has(SocketFlag::v6only))
    return "a socket with IPV6_V6ONLY cannot take the IPv4 address " + asked(in);
  if (a.family == model::Family::inet6 && a.is_multicast())
    return "a TCP socket cannot take the multicast address " + asked(in);
  if (a.family == model::Family::inet6 && r.dev == 0 && r.scope_id == 0 && !a.is_v4_mapped())
    return "the link-local address " + asked(in) + " needs an interface (a scope id)";
  return std::string("the kernel found the arguments invalid (") +
         std::strerror(in.verdict->error) + ")";
}

std::string race_text(const ExplainInput& in) {
  if (in.verdict->error == EADDRINUSE)
    return "the kernel refused, but no socket that was there right afterwards explains it: its "
           "holder was gone within the moment between the refusal and the look";
  if (in.verdict->error == EADDRNOTAVAIL)
    return "either no local port was free for " + to_string(in.request->peer) +
           ", or no local address can be used to reach it";
  return std::string("the call failed with \"") + std::strerror(in.verdict->error) +
         "\", which no rule about ports explains";
}

bool is_about_ownership(Rule r) {
  return r == Rule::listener || r == Rule::reuseport_uid || r == Rule::udp_reuseport_uid ||
         r == Rule::tuple_in_use;
}

std::string tuple_text(const ExplainInput& in, const Blocker& b) {
  const std::string ends = to_string(b.socket.local) + " to " + to_string(b.socket.peer);
  if (unowned(b.socket) == Unowned::closed)
    return "a connection from " + ends + " was closed, but the kernel keeps it in " +
           ending_of(b.socket, *in.facts);
  if (in_time_wait(b.socket))
    return "a connection from " + ends + " is in TIME_WAIT for another " +
           std::to_string(seconds_left(b.socket)) +
           " s, and a new one replaces it only when both ends used TCP timestamps";
  return "a connection from " + ends + " exists already, in " + who(b, in.names);
}

std::string about_holder(const ExplainInput& in, const Blocker& b) {
  if (unowned(b.socket) != Unowned::no && !is_about_ownership(in.verdict->rule))
    return unowned_text(in, b);
  const auto set = [&](SocketFlag f) { return in.request->flags.has(f); };
  switch (in.verdict->rule) {
  case Rule::listener:
    return listener_text(in, b) + and_others(in);
  case Rule::holder_no_reuseaddr:
  case Rule::requester_no_reuseaddr:
    return one_side_text(in, b, "SO_REUSEADDR", set(SocketFlag::reuseaddr)) + and_others(in);
  case Rule::holder_no_reuseport:
    return one_side_text(in, b, "SO_REUSEPORT", set(SocketFlag::reuseport)) + and_others(in);
  case Rule::requester_no_reuseport:
    if (set(SocketFlag::reuseport))
      return "this socket had a reuseport program attached before bind, so that it cannot join the "
             "group of " +
             who(b, in.names) + " on " + end_of(b.socket);
    return one_side_text(in, b, "SO_REUSEPORT", false) + and_others(in);
  case Rule::reuseport_uid:
  case Rule::udp_reuseport_uid:
    return uid_text(in, b) + and_others(in);
  case Rule::time_wait:
    return time_wait_text(in, b);
  case Rule::connected_child:
    return child_text(in, b);
  case Rule::bucket_connect_only:
    return connect_text(in, b) + and_others(in);
  case Rule::udp_no_reuse:
    return udp_text(in, b) + and_others(in);
  case Rule::tuple_in_use:
    return tuple_text(in, b);
  default:
    return "";
  }
}

std::string without_holder(const ExplainInput& in) {
  switch (in.verdict->rule) {
  case Rule::ephemeral_exhausted:
    return exhausted_text(in);
  case Rule::reserved_port:
    return reserved_text(in);
  case Rule::tuple_in_use:
    return "a connection with the same addresses and ports exists already, or is still in "
           "TIME_WAIT";
  case Rule::privileged_port:
    return privileged_text(in);
  case Rule::address_not_local:
    return asked(in) + " is not an address of this network namespace" +
           (in.request->dev != 0 ? " on " + device_name(in.request->dev, in.names) : "");
  case Rule::already_bound:
    return "the socket has a port already, and a socket is bound only once";
  case Rule::policy:
    return "a cgroup BPF program or a security module refused the call before the port table was "
           "asked";
  case Rule::invalid_argument:
    return invalid_text(in);
  default:
    return race_text(in);
  }
}

std::string success_text(const ExplainInput& in) {
  switch (in.verdict->path) {
  case Path::empty:
    return "nobody holds the port";
  case Path::no_port:
    return "IP_BIND_ADDRESS_NO_PORT takes no port before connect";
  case Path::cached_port:
    return "the port's reuseport group of this user takes the socket in";
  case Path::cached_addr:
    return "everybody on the port has set SO_REUSEADDR and nobody has listened yet";
  case Path::search:
    return "a free port can be found in the range";
  default:
    return "no socket on the port stands in the way";
  }
}

} // namespace

Explanation explain(const ExplainInput& in) {
  Explanation out;
  std::string text;
  if (in.verdict->would_succeed) {
    text = success_text(in);
  } else {
    const Blocker* b = leading(in);
    if (b != nullptr) text = about_holder(in, *b);
    if (text.empty()) text = without_holder(in);
    out.advice = advice_for(in);
  }
  out.sentence = capitalized(std::move(text)) + ".";
  return out;
}

} // namespace bindlens::rules
