#include "unowned.h"

#include <bindlens/rules/wording.h>

#include "clauses.h"
#include "kernel_view.h"

#include <algorithm>

namespace bindlens::rules {

using model::Blocker;
using model::Socket;
using model::SocketFlag;
using model::State;

Unowned unowned(const Socket& s) {
  if (in_time_wait(s)) return Unowned::no;
  if (s.is(SocketFlag::orphan)) {
    // close() leaves these states before it takes the file away.
    const bool open =
        s.state == State::established || s.state == State::close_wait || s.state == State::syn_recv;
    return open ? Unowned::queued : Unowned::closed;
  }
  return s.is(SocketFlag::kernel) ? Unowned::kernel : Unowned::no;
}

bool takes_options(const Socket& s) {
  return !in_time_wait(s) && unowned(s) == Unowned::no;
}

std::string origin_clause(const Blocker& b) {
  return b.binder ? ", set up by " + binder_name(b) : "";
}

std::string closed_connection(const Blocker& b, const Names& names) {
  std::string whose = b.binder ? binder_name(b) : "user " + user_name(b.socket.uid, names);
  if (b.binder && b.binder_exited) whose += ",";
  if (b.socket.peer.port == 0) return "a socket of " + whose + " that is being closed";
  return "a closed connection of " + whose + " to " + to_string(b.socket.peer);
}

namespace {

size_t count_unowned(const ExplainInput& in, Unowned kind) {
  return static_cast<size_t>(std::ranges::count_if(
      in.blockers, [&](const Blocker& b) { return unowned(b.socket) == kind; }));
}

std::string held(const ExplainInput& in, const Blocker& b, size_t n, std::string_view how = "") {
  const bool chosen = in.verdict->rule == model::Rule::bucket_connect_only;
  return " " + std::string(how) + (n == 1 ? "holds " : "hold ") + end_of(b.socket) +
         overlap_clause(in, b) + (chosen ? range_clause(in) : "");
}

// What SO_REUSEADDR does against a socket on which nobody can set it any more.
std::string option_clause(const ExplainInput& in, const Blocker& b, std::string_view it) {
  const bool here = in.request->flags.has(SocketFlag::reuseaddr);
  const bool there = b.socket.is(SocketFlag::reuseaddr);
  const std::string subject(it);
  if (there)
    return here ? "" : "; " + subject + " has SO_REUSEADDR, but this socket has not set it";
  return here ? "; SO_REUSEADDR, which is set here, does not help, because " + subject +
                    " does not have it and nobody can set it there"
              : "; SO_REUSEADDR here would not help, because " + subject +
                    " does not have it and nobody can set it there";
}

std::string kernel_text(const ExplainInput& in, const Blocker& b) {
  return "the kernel itself" + held(in, b, 1) + origin_clause(b) +
         option_clause(in, b, "its socket") + and_others(in);
}

// Distinct states of the closed connections, in the order of the blockers.
std::vector<const Socket*> one_of_each_state(std::span<const Blocker> blockers) {
  std::vector<const Socket*> out;
  for (const Blocker& b : blockers)
    if (unowned(b.socket) == Unowned::closed &&
        std::ranges::find(out, b.socket.state, &Socket::state) == out.end())
      out.push_back(&b.socket);
  return out;
}

std::string closed_text(const ExplainInput& in, const Blocker& b) {
  const size_t n = count_unowned(in, Unowned::closed);
  if (n == 1)
    return closed_connection(b, in.names) + held(in, b, n, "still ") +
           ": no process has it open, and the kernel keeps it in " +
           ending_of(b.socket, *in.facts) + option_clause(in, b, "it") + and_others(in, n);
  std::vector<std::string> states;
  for (const Socket* s : one_of_each_state(in.blockers))
    states.emplace_back(to_string(s->state));
  return count_of(n, "closed connection") + held(in, b, n, "still ") +
         ": no process has them open, and the kernel finishes them (" + join(states) + ")" +
         option_clause(in, b, "the first") + and_others(in, n);
}

std::string queued_text(const ExplainInput& in, const Blocker& b) {
  const size_t n = count_unowned(in, Unowned::queued);
  return count_of(n, "connection") + " that no process has accepted yet" + held(in, b, n) +
         option_clause(in, b, n == 1 ? "it" : "the first") + and_others(in, n);
}

} // namespace

std::string unowned_text(const ExplainInput& in, const Blocker& b) {
  switch (unowned(b.socket)) {
  case Unowned::kernel:
    return kernel_text(in, b);
  case Unowned::closed:
    return closed_text(in, b);
  case Unowned::queued:
    return queued_text(in, b);
  case Unowned::no:
    return "";
  }
  return "";
}

namespace {

constexpr uint32_t time_wait_s = 60; // TCP_TIMEWAIT_LEN

// tcp_rcv_state_process() and tcp_keepalive_timer(): what is over 60 s is waited
// for twice, first by the socket and then by a mini-socket.
std::string fin_wait2_limit(const HostFacts& facts) {
  if (!facts.tcp_fin_timeout_s) return "net.ipv4.tcp_fin_timeout is over";
  const uint32_t timeout = *facts.tcp_fin_timeout_s;
  const uint32_t longest = timeout <= time_wait_s ? timeout : 2 * (timeout - time_wait_s);
  return std::to_string(longest) + " s are over (net.ipv4.tcp_fin_timeout is " +
         std::to_string(timeout) + ")";
}

} // namespace

std::string ending_of(const Socket& s, const HostFacts& facts) {
  const std::string unanswered = "the other end acknowledges the close, or the kernel gives up "
                                 "repeating it (net.ipv4.tcp_orphan_retries)";
  switch (s.state) {
  case State::fin_wait1:
    return "FIN_WAIT1 until " + unanswered + "; then FIN_WAIT2 and TIME_WAIT follow";
  case State::fin_wait2:
    return "FIN_WAIT2 until the other end closes it too, which leaves 60 s of TIME_WAIT, or " +
           fin_wait2_limit(facts);
  case State::closing:
    return "CLOSING until " + unanswered + "; then 60 s of TIME_WAIT follow";
  case State::last_ack:
    return "LAST_ACK until " + unanswered;
  default:
    return std::string(to_string(s.state)) + " for a moment";
  }
}

std::string wait_for_closed_text(std::span<const Blocker> blockers, const HostFacts& facts) {
  std::vector<std::string> endings;
  for (const Socket* s : one_of_each_state(blockers))
    endings.push_back("in " + ending_of(*s, facts));
  return "wait until the kernel has ended the connections that were closed: they stay " +
         join(endings);
}

std::string remove_from_kernel_text(const Socket& s) {
  return std::string("remove what in the kernel uses the port (") +
         (is_tcp(s.proto) ? "an NFS, RPC or other service or mount of the kernel"
                          : "a WireGuard, VXLAN or other tunnel interface, an NFS or RPC mount") +
         ")";
}

} // namespace bindlens::rules
