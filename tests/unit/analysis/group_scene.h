#pragma once

// Reuseport groups, made by hand.

#include <bindlens/analysis/judge.h>

namespace bindlens::test {

inline constexpr MonoNs second = 1'000'000'000;
inline constexpr MonoNs noon = 100'000 * second;

inline model::ProcessRef worker(uint32_t pid, std::string comm = "nginx") {
  model::Process p;
  p.pid = pid;
  p.comm = std::move(comm);
  p.exe = "/usr/sbin/" + p.comm;
  return std::make_shared<const model::Process>(std::move(p));
}

// A listener that has accepted so many, counted for 100 s until noon.
inline model::ReuseportMember listener(uint32_t pid, uint64_t accepted) {
  model::ReuseportMember m;
  m.socket.id = pid;
  m.socket.state = model::State::listen;
  m.socket.max_backlog = 511;
  m.holders = {{worker(pid), 6}};
  m.holders_known = true;
  m.counters.since = noon - 100 * second;
  m.counters.queued = accepted;
  m.counters.accepted = accepted;
  m.counters.drops = 0;
  m.counters.last_accept = noon;
  m.counters.queue_full_since = 0;
  return m;
}

inline model::ReuseportMember receiver(uint32_t pid, uint64_t datagrams) {
  model::ReuseportMember m = listener(pid, 0);
  m.socket.proto = model::Proto::udp;
  m.socket.state = model::State::bound;
  m.socket.max_backlog = 0;
  m.receive_buffer = 212992;
  m.counters = {};
  m.counters.since = noon - 100 * second;
  m.counters.datagrams = datagrams;
  m.counters.drops = 0;
  return m;
}

inline model::ReuseportGroup group_of(std::vector<model::ReuseportMember> members) {
  model::ReuseportGroup g;
  g.id = 1;
  g.proto = members.front().socket.proto;
  g.local.port = 443;
  g.members = std::move(members);
  return g;
}

// A full accept queue that nobody has taken anything from since then.
inline void hang(model::ReuseportMember& m, MonoNs since) {
  m.socket.backlog = m.socket.max_backlog + 1;
  m.counters.last_accept = since;
  m.counters.queue_full_since = since;
}

inline model::Distribution judged(const model::ReuseportGroup& g, MonoNs now = noon) {
  analysis::ShareMemory memory;
  return analysis::judge(g, memory.observe(g, now), {.now = now});
}

} // namespace bindlens::test
