#include "members.h"

#include <algorithm>

namespace bindlens::analysis {

using model::Measure;
using model::ReuseportGroup;
using model::ReuseportMember;

namespace {

bool all_have(const ReuseportGroup& g, std::optional<uint64_t> model::ShareCounters::*counter) {
  return std::ranges::all_of(
      g.members, [&](const ReuseportMember& m) { return (m.counters.*counter).has_value(); });
}

bool is_udp(const ReuseportMember& m) {
  return m.socket.proto == model::Proto::udp || m.socket.proto == model::Proto::udplite;
}

} // namespace

bool is_datagram(const ReuseportGroup& g) {
  return g.proto == model::Proto::udp || g.proto == model::Proto::udplite;
}

Measure measure_of(const ReuseportGroup& g) {
  using C = model::ShareCounters;
  if (all_have(g, &C::selected)) return Measure::selected;
  if (is_datagram(g)) return all_have(g, &C::datagrams) ? Measure::datagrams : Measure::none;
  if (all_have(g, &C::queued)) return Measure::queued;
  return all_have(g, &C::accepted) ? Measure::accepted : Measure::none;
}

uint64_t distributed_to(const ReuseportMember& m, Measure measure) {
  const model::ShareCounters& c = m.counters;
  switch (measure) {
  case Measure::selected:
    return c.selected.value_or(0);
  case Measure::queued:
    return c.queued.value_or(0);
  case Measure::accepted: // and those that its program could have accepted
    return c.accepted.value_or(0) + m.socket.backlog;
  case Measure::datagrams: // what found no room was meant for it as well
    return c.datagrams.value_or(0) + c.drops.value_or(0);
  case Measure::none:
    break;
  }
  return 0;
}

uint64_t taken_by(const ReuseportMember& m) {
  return is_udp(m) ? m.counters.datagrams.value_or(0) : m.counters.accepted.value_or(0);
}

bool is_full(const ReuseportMember& m) {
  // A datagram is dropped when the queue is over the buffer with it, so that a full queue
  // is somewhat shorter than the buffer.
  if (is_udp(m)) return m.receive_buffer != 0 && m.receive_queue >= m.receive_buffer / 8 * 7;
  return m.socket.backlog > m.socket.max_backlog; // sk_acceptq_is_full()
}

bool is_waiting(const ReuseportMember& m) {
  if (is_udp(m)) return is_full(m);
  return m.socket.backlog != 0 && m.counters.accepted.has_value();
}

} // namespace bindlens::analysis
