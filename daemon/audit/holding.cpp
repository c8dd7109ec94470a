// Sockets that hold a port and should not, or not that one.

#include "programs.h"
#include "report.h"

#include <bindlens/rules/wording.h>

#include <algorithm>

namespace bindlens::audit {

using model::Blocker;
using model::FindingId;
using model::Process;
using model::Severity;
using model::Socket;
using model::SocketFlag;
using model::State;

namespace {

// Bound by number, by a process: not accepted, autobound, closed or the kernel's.
bool is_deliberate(const Socket& s) {
  return s.is(SocketFlag::port_locked) && !s.is(SocketFlag::kernel) &&
         !s.is(SocketFlag::timewait) && !s.is(SocketFlag::orphan);
}

MonoNs idle_time(Report& report, const Socket& s) {
  const Input& in = report.input();
  const MonoNs since = std::max(report.owner(s).bound_at, in.watched_since);
  return in.now > since ? in.now - since : 0;
}

std::string seconds_text(MonoNs t) {
  const uint64_t seconds = t / 1'000'000'000;
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  return std::to_string(seconds / 3600) + " h";
}

void find_bound_not_listening(Report& report, const model::Bucket& bucket) {
  Sockets idle;
  MonoNs longest = 0;
  for (const Socket& s : bucket.sockets) {
    if (s.state != State::bound || !is_deliberate(s)) continue;
    const MonoNs time = idle_time(report, s);
    if (time < report.input().idle) {
      report.expect_at(report.input().now + report.input().idle - time);
      continue;
    }
    idle.push_back(&s);
    longest = std::max(longest, time);
  }
  if (idle.empty()) return;
  report.add({.id = FindingId::bound_not_listening,
              .severity = Severity::warning,
              .summary = report.who(idle) + " has held tcp " + places(idle) + " for at least " +
                         seconds_text(longest) + " and does not listen",
              .detail = "Clients are refused, and another program that wants the port gets "
                        "EADDRINUSE while most tools show nobody there.",
              .advice = {"look whether " + report.who(idle) + " hangs between bind and listen",
                         "close the socket when it is not needed"}},
             idle);
}

// podman hands bound ports to conmon on purpose, to keep them.
bool keeps_ports_for_others(const Process& p) {
  return p.comm == "conmon";
}

// Started by the binder or later, and another program: not a server that bound
// before it went to the background, and not one for which a helper bound the port.
bool is_leftover(const Process& holder, const Process& binder) {
  return holder.pid != binder.pid && holder.exe != binder.exe && holder.comm != binder.comm &&
         !holder.exe.empty() && !binder.exe.empty() && holder.start_time > binder.start_time &&
         !keeps_ports_for_others(holder);
}

bool is_leaked(const Blocker& b) {
  if (!b.binder || !b.binder_exited || !b.holders_known || b.holders.empty()) return false;
  return std::ranges::all_of(
      b.holders, [&](const model::Holder& h) { return is_leftover(*h.process, *b.binder); });
}

void find_leaked_descriptor(Report& report, const Socket& s) {
  const Blocker& b = report.owner(s);
  if (!is_leaked(b)) return;
  const std::string binder = rules::process_name(*b.binder);
  const std::string holder = report.who(s);
  report.add({.id = FindingId::leaked_descriptor,
              .severity = Severity::warning,
              .summary = place(s) + " is held by " + holder + ", left over from " + binder +
                         ", which is gone",
              .detail = "The descriptor leaked into a child that runs another program: the port "
                        "stays taken until that one ends, and clients that connect wait for an "
                        "answer that never comes.",
              .advice = {"stop " + rules::process_name(*b.holders.front().process),
                         "open sockets with SOCK_CLOEXEC in " + binder.substr(0, binder.find('[')) +
                             ", so that programs which it starts do not inherit them"}},
             {&s});
}

std::string privileged_text(const std::optional<uint16_t>& start, uint16_t port) {
  if (!start) return "Who trusts ports below 1024 trusts this user, too.";
  if (port < *start)
    return "A capability or a helper gave the port to this user: who trusts ports below 1024 "
           "trusts this user, too.";
  return "net.ipv4.ip_unprivileged_port_start is " + std::to_string(*start) +
         " here: any user can take this port while its service is down, and clients that trust "
         "ports below 1024 are deceived.";
}

void find_privileged(Report& report, const model::Bucket& bucket) {
  if (bucket.port >= usual_privileged_ports) return;
  Sockets of_users;
  for (const Socket* s : reachable(bucket))
    if (is_deliberate(*s) && is_login_user(s->uid)) of_users.push_back(s);
  if (of_users.empty()) return;
  const std::string user = report.user(of_users.front()->uid);
  const auto start = report.facts(bucket.netns).unprivileged_port_start;
  const bool open = start && bucket.port >= *start;
  report.add({.id = FindingId::privileged_by_unprivileged,
              .severity = Severity::info,
              .summary = user + " holds the privileged port " + place(*of_users.front()) + " (" +
                         report.who(of_users) + ")",
              .detail = privileged_text(start, bucket.port),
              .advice = {open ? "raise net.ipv4.ip_unprivileged_port_start and give the service "
                                "CAP_NET_BIND_SERVICE"
                              : "run the service as a system user of its own"}},
             of_users);
}

} // namespace

void find_holding(Report& report, const model::Bucket& bucket) {
  if (is_tcp(bucket)) find_bound_not_listening(report, bucket);
  for (const Socket& s : bucket.sockets) {
    const bool held = s.state == State::listen || s.state == State::bound;
    if (held && is_deliberate(s)) find_leaked_descriptor(report, s);
  }
  find_privileged(report, bucket);
}

} // namespace bindlens::audit
