#pragma once

#include <bindlens/model/distribution.h>

namespace bindlens::test {

// Four workers, the second of which hangs: everything that can be told is told.
inline model::JudgedGroup judged_group() {
  constexpr MonoNs second = 1'000'000'000;
  constexpr MonoNs now = 100'000 * second;
  constexpr uint64_t accepted[] = {256'100, 243'350, 241'380, 240'390};
  model::JudgedGroup g;
  g.group.local.port = 443;
  g.group.netns = 4026531840;
  g.group.uid = 33;
  for (uint32_t i = 0; i < 4; ++i) {
    model::Process p;
    p.pid = 812 + i;
    p.comm = "nginx";
    p.exe = "/usr/sbin/nginx";
    model::ReuseportMember m;
    m.socket.id = p.pid;
    m.socket.cookie = p.pid;
    m.socket.netns = g.group.netns;
    m.socket.uid = g.group.uid;
    m.socket.state = model::State::listen;
    m.socket.local.port = 443;
    m.socket.max_backlog = 511;
    m.socket.flags.set(model::SocketFlag::reuseport);
    m.holders = {{std::make_shared<const model::Process>(p), 6}};
    m.holders_known = true;
    m.counters.since = now - 3600 * second;
    m.counters.queued = m.counters.accepted = accepted[i];
    m.counters.last_accept = now;
    m.counters.queue_full_since = 0;
    m.per_second = 1200 + i;
    g.group.members.push_back(m);
    model::MemberShare s;
    s.counted = accepted[i];
    s.share = static_cast<double>(accepted[i]) / 981'220;
    s.expected = 0.25;
    g.distribution.members.push_back(s);
  }
  model::ReuseportMember& hung = g.group.members[1];
  hung.socket.backlog = 512;
  hung.per_second = 0;
  hung.counters.drops = 4112;
  hung.counters.last_accept = hung.counters.queue_full_since = now - 9 * second;
  g.distribution.members[1].stalled = true;
  g.distribution.members[1].stalled_since = now - 9 * second;
  g.distribution.verdict = model::Verdict::stalled;
  g.distribution.cause = model::Cause::hung_process;
  g.distribution.measure = model::Measure::queued;
  g.distribution.total = 981'220;
  g.distribution.since = now - 3600 * second;
  g.distribution.skew = 1.044;
  g.distribution.p_value = 0.41;
  g.distribution.explanation = "nginx[813] has not accepted for 9 s, and its accept queue is "
                               "full: 25 % of new clients wait and time out.";
  g.distribution.advice = {"restart nginx[813]"};
  return g;
}

} // namespace bindlens::test
