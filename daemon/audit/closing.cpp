// What the way in which connections end does to the next start.

#include "report.h"

#include <bindlens/rules/engine.h>
#include <bindlens/rules/wording.h>

#include <algorithm>
#include <unordered_set>

namespace bindlens::audit {

using model::FindingId;
using model::Severity;
using model::Socket;
using model::SocketFlag;

namespace {

// The bind of a restarted listener, by a process that may bind any port.
rules::Request same_bind(const Socket& listener) {
  rules::Request q;
  q.then_listen = true;
  q.local = listener.local;
  q.flags = listener.flags;
  q.flags.set(SocketFlag::has_group, false);
  q.uid = listener.uid;
  q.dev = listener.dev;
  q.netns = listener.netns;
  return q;
}

model::PortView without_listener(const model::Bucket& bucket) {
  model::PortView view;
  model::Bucket& rest = view.buckets.emplace_back(bucket);
  std::erase_if(rest.sockets, [](const Socket& s) { return !s.is(SocketFlag::timewait); });
  rest.fastreuse = rest.fastreuseport = 0;
  return view;
}

// The TIME_WAIT sockets that would refuse the bind of this listener now.
Sockets blocking(Report& report, const model::Bucket& bucket, const Socket& listener,
                 model::PortView& left) {
  rules::HostFacts facts = report.facts(bucket.netns);
  facts.cap_net_bind_service = true;
  facts.nonlocal_bind4 = facts.nonlocal_bind6 = true;
  const auto verdict = rules::decide(same_bind(listener), left, facts, report.input().variants);
  Sockets out;
  if (verdict.rule == model::Rule::time_wait)
    for (const rules::Conflict& c : verdict.blockers)
      out.push_back(c.socket);
  return out;
}

void find_time_wait(Report& report, const model::Bucket& bucket, const Socket& listener) {
  model::PortView left = without_listener(bucket);
  const Sockets waiting = blocking(report, bucket, listener, left);
  if (waiting.empty()) return;
  uint32_t seconds = 0;
  for (const Socket* s : waiting)
    seconds = std::max(seconds, rules::seconds_left(*s));
  const std::string count = rules::count_of(waiting.size(), "TIME_WAIT socket");
  // Those of the walk: `left` is a copy and ends here.
  std::unordered_set<model::SocketId> ids; // a busy port has ten thousands
  for (const Socket* s : waiting)
    ids.insert(s->id);
  Sockets concerned = {&listener};
  for (const Socket& s : bucket.sockets)
    if (ids.contains(s.id)) concerned.push_back(&s);
  report.add({.id = FindingId::time_wait_blocks_restart,
              .severity = Severity::warning,
              .summary = "a restart of " + report.who(listener) + " on " + place(listener) +
                         " would fail with EADDRINUSE for " + std::to_string(seconds) + " s",
              .detail = "The listener has not set SO_REUSEADDR, and its closed connections keep "
                        "that setting: " +
                        count +
                        " would refuse the same bind now, and every "
                        "connection that this side closes adds another 60 s.",
              .advice = {"set SO_REUSEADDR before bind in " + report.who(listener) +
                             ": it has to be there when the connections are made",
                         "let the clients close first: then TIME_WAIT is on their side"}},
             concerned);
}

void find_linger_zero(Report& report, const Socket& listener) {
  if (!listener.is(SocketFlag::linger) || listener.linger != 0) return;
  report.add(
      {.id = FindingId::linger_zero,
       .severity = Severity::warning,
       .summary = report.who(listener) + " closes connections of " + place(listener) + " with RST",
       .detail = "SO_LINGER is on with 0 s, and every accepted connection inherits it: "
                 "close() throws away what was not sent yet, and the client gets "
                 "ECONNRESET, perhaps instead of the end of the answer.",
       .advice = {"leave SO_LINGER off; against TIME_WAIT at a restart, SO_REUSEADDR is "
                  "the remedy",
                  "switch it off on each accepted connection"}},
      {&listener});
}

} // namespace

void find_closing(Report& report, const model::Bucket& bucket) {
  if (!is_tcp(bucket)) return;
  const auto is_waiting = [](const Socket& s) { return s.is(SocketFlag::timewait); };
  bool waiting_told = false;
  for (const Socket& s : bucket.sockets) {
    if (s.state != model::State::listen) continue;
    find_linger_zero(report, s);
    if (waiting_told || s.is(SocketFlag::reuseaddr)) continue;
    if (!std::ranges::any_of(bucket.sockets, is_waiting)) continue;
    find_time_wait(report, bucket, s);
    waiting_told = true;
  }
}

} // namespace bindlens::audit
