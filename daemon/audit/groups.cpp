// SO_REUSEPORT groups.

#include "programs.h"
#include "report.h"

#include <bindlens/audit/receivers.h>

#include <algorithm>
#include <array>

namespace bindlens::audit {

using model::FindingId;
using model::Severity;
using model::Socket;
using model::SocketFlag;

namespace {

// Groups are compared with their first member only: workers of one program are
// many, and alike.
std::vector<Sockets> groups_of(const model::Bucket& bucket) {
  std::vector<Sockets> groups;
  for (const Socket* s : reachable(bucket)) {
    if (!s->is(SocketFlag::reuseport) || !s->is(SocketFlag::has_group)) continue;
    if (s->local.addr.is_multicast()) continue;
    const auto group = std::ranges::find_if(
        groups, [&](const Sockets& g) { return in_one_group(*g.front(), *s); });
    if (group != groups.end())
      group->push_back(s);
    else
      groups.push_back({s});
  }
  return groups;
}

void find_hijack(Report& report, const model::Bucket& bucket, const Sockets& group) {
  const Socket& first = *group.front();
  const bool tcp = is_tcp(bucket);
  if (!tcp && first.local.port == 5353) return; // mDNS is shared by design
  const bool mixed = std::ranges::any_of(group, [&](const Socket* s) {
    return unlike_programs(report.owner(first), report.owner(*s));
  });
  if (!mixed && !is_login_user(first.uid)) return;
  const std::string what = tcp ? "connections" : "datagrams";
  const std::string user = report.user(first.uid);
  report.add(
      {.id = FindingId::reuseport_single_user_hijack,
       .severity = mixed ? Severity::warning : Severity::info,
       .summary = mixed ? report.who(group) + " share the reuseport group of " + place(first)
                        : "any process of " + user + " can join the reuseport group of " +
                              place(first) + " (" + report.who(group) + ")",
       .detail = mixed ? "The kernel spreads new " + what +
                             " over the group by a hash: each "
                             "program gets a part, and answers alternate between them."
                       : "SO_REUSEPORT asks for the same user and nothing else: a second program "
                         "of " +
                             user + " that binds the port gets its share of new " + what +
                             ", without an error in either.",
       .advice = mixed ? std::vector<std::string>{"stop the program that does not belong there",
                                                  "give each service a user of its own"}
                       : std::vector<std::string>{"run the service as a user of its own",
                                                  "leave SO_REUSEPORT out where one socket is "
                                                  "enough"}},
      group);
}

// sk_acceptq_is_full()
bool is_full(const Socket* s) {
  return s->backlog > s->max_backlog;
}

void find_stalled(Report& report, const Sockets& group) {
  Sockets stalled;
  std::ranges::copy_if(group, std::back_inserter(stalled), is_full);
  if (stalled.empty() || stalled.size() == group.size()) return; // else all of it is overloaded
  const std::string count = std::to_string(stalled.size()) + " of " + std::to_string(group.size());
  report.add({.id = FindingId::reuseport_stalled_member,
              .severity = Severity::warning,
              .summary = count + " members of the reuseport group of " + place(*group.front()) +
                         " have a full accept queue: " + report.who(stalled),
              .detail = "The hash keeps sending them their share, " + count +
                        " of new clients; those wait and time out while the other members are "
                        "idle. The queue was full at the moment of this audit.",
              .advice = {"restart " + report.who(stalled),
                         "let every worker accept, or close its socket, before it does anything "
                         "long"}},
             stalled);
}

} // namespace

void find_groups(Report& report, const model::Bucket& bucket) {
  for (const Sockets& group : groups_of(bucket)) {
    find_hijack(report, bucket, group);
    if (is_tcp(bucket)) find_stalled(report, group);
  }
}

} // namespace bindlens::audit
