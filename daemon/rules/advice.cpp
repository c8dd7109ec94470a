#include "advice.h"

#include <bindlens/rules/change.h>
#include <bindlens/rules/wording.h>

#include "kernel_view.h"
#include "search_text.h"
#include "unowned.h"

#include <algorithm>
#include <cerrno>

namespace bindlens::rules {

using model::Blocker;
using model::Rule;
using model::SocketFlag;

namespace {

void time_wait_advice(const ExplainInput& in, std::vector<std::string>& out) {
  const bool lacking = std::ranges::any_of(in.blockers, [](const Blocker& b) {
    return b.rule == Rule::time_wait && !b.socket.is(SocketFlag::reuseaddr);
  });
  if (lacking)
    out.emplace_back("set SO_REUSEADDR on the listener before it accepts connections: they keep "
                     "its setting into TIME_WAIT");
}

void closed_advice(const ExplainInput& in, std::vector<std::string>& out) {
  const bool lacking = std::ranges::any_of(in.blockers, [](const Blocker& b) {
    return unowned(b.socket) == Unowned::closed && b.rule != Rule::bucket_connect_only &&
           !b.socket.is(SocketFlag::reuseaddr);
  });
  if (lacking)
    out.emplace_back("set SO_REUSEADDR before bind in every program that uses the port, so that "
                     "it is there next time: a connection keeps its setting when it is closed");
}

void connect_advice(const ExplainInput& in, std::vector<std::string>& out) {
  const std::string port = std::to_string(in.request->local.port);
  out.push_back("keep connections off the port from now on: sysctl "
                "net.ipv4.ip_local_reserved_ports with " +
                port + " added");
}

void leaked_advice(const ExplainInput& in, std::vector<std::string>& out) {
  for (const Blocker& b : in.blockers) {
    if (!b.binder || b.holders.empty()) continue;
    const bool still_has = std::ranges::any_of(
        b.holders, [&](const model::Holder& h) { return h.process->pid == b.binder->pid; });
    if (still_has) continue;
    out.push_back(process_name(*b.holders.front().process) + " has the descriptor from " +
                  process_name(*b.binder) +
                  (b.binder_exited ? ", which is gone" : ", which has closed it") +
                  ": open sockets with SOCK_CLOEXEC to keep them out of child processes");
    return;
  }
}

// Ports that connect() took are shared between destinations; those that bind
// took are not, and the option on one more socket does not change that.
std::string no_port_advice(const Verdict& v) {
  const std::string set = "set IP_BIND_ADDRESS_NO_PORT before bind ";
  const uint32_t shared = v.search.taken - v.search.bound;
  if (!v.reproduced || v.search.range == 0)
    return set + "in every program that binds without a port number and then connects: connect "
                 "shares ports between destinations";
  if (shared == 0)
    return set + "in every program that binds without a port number and then connects: on this "
                 "socket alone it does not help, because bind took all these ports, and connect "
                 "passes over such ports";
  return set + "if a connect follows: it shares the " +
         (shared == 1 ? "1 port" : std::to_string(shared) + " ports") +
         " that connect took with connections to other destinations";
}

void exhausted_advice(const ExplainInput& in, std::vector<std::string>& out) {
  const PortSearch& s = in.verdict->search;
  const bool tcp = is_tcp(in.request->proto);
  const bool connects = tcp && in.request->op == Operation::connect;
  const bool counted = in.verdict->reproduced && s.range != 0;
  if (tcp && in.request->op == Operation::bind) out.push_back(no_port_advice(*in.verdict));
  out.emplace_back("widen net.ipv4.ip_local_port_range");
  if (connects && (!counted || s.taken > s.bound))
    out.emplace_back("connect from, or to, another address: ports are counted per destination");
  if (!connects || !counted || s.bound == 0) return;
  const std::string who = address_binders_text(in);
  out.push_back("set IP_BIND_ADDRESS_NO_PORT before bind in the programs that bind without a "
                "port number and then connect" +
                (who.empty() ? "" : ", here " + who) +
                ": connect passes over the ports that bind took");
}

void general_advice(const ExplainInput& in, std::vector<std::string>& out) {
  const std::string port = std::to_string(in.request->local.port);
  switch (in.verdict->rule) {
  case Rule::time_wait:
    return time_wait_advice(in, out);
  case Rule::bucket_connect_only:
    return connect_advice(in, out);
  case Rule::ephemeral_exhausted:
    return exhausted_advice(in, out);
  case Rule::reserved_port:
    out.emplace_back("take ports out of net.ipv4.ip_local_reserved_ports");
    return;
  case Rule::privileged_port:
    out.push_back("lower the limit: sysctl net.ipv4.ip_unprivileged_port_start=" + port);
    return;
  case Rule::address_not_local:
    out.push_back("add " + to_string(in.request->local.addr) +
                  " to an interface before the program starts");
    return;
  case Rule::already_bound:
    out.emplace_back("make a new socket for another bind");
    return;
  case Rule::tuple_in_use:
    out.emplace_back("connect from another port, or leave the port to the kernel");
    return;
  case Rule::policy:
    out.emplace_back("look for cgroup programs of the types bind4, bind6 and post_bind with "
                     "bpftool cgroup tree, and for denials in the audit log");
    return;
  case Rule::none:
    if (in.verdict->error == EADDRINUSE)
      out.emplace_back("try again: whoever held the port has let go of it");
    return;
  default:
    return;
  }
}

} // namespace

std::vector<std::string> advice_for(const ExplainInput& in) {
  std::vector<std::string> out;
  for (const Change& c : in.changes)
    out.push_back(c.text);
  leaked_advice(in, out);
  closed_advice(in, out);
  general_advice(in, out);
  return out;
}

} // namespace bindlens::rules
