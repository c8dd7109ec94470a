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

} // namespace

void find_groups(Report& report, const model::Bucket& bucket) {
  for (const Sockets& group : groups_of(bucket)) {
    find_hijack(report, bucket, group);
    find_stalled(report, group);
    find_skew(report, group);
  }
}

} // namespace bindlens::audit
