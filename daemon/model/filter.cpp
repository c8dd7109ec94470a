#include <bindlens/model/filter.h>

#include <algorithm>

namespace bindlens::model {

namespace {

template <typename T>
bool any_of_or_empty(const std::vector<T>& wanted, const T& value) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

bool in_ranges(const std::vector<PortRange>& ranges, uint16_t port) {
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [&](PortRange r) {
           return r.first <= port && port <= r.last;
         });
}

bool in_time(const Filter& f, MonoNs first, MonoNs last) {
  return (!f.since || last >= *f.since) && (!f.until || first <= *f.until);
}

bool process_matches(const Filter& f, const Process& p) {
  return (!f.pid || p.pid == *f.pid) && (f.comm.empty() || p.comm == f.comm) &&
         (f.unit.empty() || p.unit == f.unit) &&
         (f.container.empty() || p.container.starts_with(f.container));
}

} // namespace

bool Filter::matches(const Socket& s) const {
  return any_of_or_empty(protos, s.proto) && in_ranges(ports, s.local.port) &&
         (!addr || s.local.addr == *addr) && any_of_or_empty(states, s.state) &&
         (!uid || s.uid == *uid) && (!netns || s.netns == *netns);
}

bool Filter::needs_processes() const {
  return pid || !comm.empty() || !unit.empty() || !container.empty();
}

bool Filter::matches(const ProcessRef& binder, std::span<const Holder> holders) const {
  if (!needs_processes()) return true;
  if (binder && process_matches(*this, *binder)) return true;
  return std::any_of(holders.begin(), holders.end(),
                     [&](const Holder& h) { return process_matches(*this, *h.process); });
}

bool Filter::matches(const Failure& f) const {
  // The port that a person means by a failed connect is that of the destination.
  const bool port =
      in_ranges(ports, f.asked.port) || (f.call == Call::connect && in_ranges(ports, f.peer.port));
  return any_of_or_empty(protos, f.proto) && port && (!addr || f.asked.addr == *addr) &&
         (!uid || f.uid == *uid) && (!netns || f.netns == *netns) &&
         any_of_or_empty(rules, f.rule) && in_time(*this, f.first_time, f.time) &&
         matches(f.process, {});
}

bool Filter::matches(const Finding& f) const {
  return std::any_of(f.sockets.begin(), f.sockets.end(), [&](const Blocker& b) {
    return matches(b.socket) && matches(b.binder, b.holders);
  });
}

bool Filter::matches(const Event& e) const {
  if (!any_of_or_empty(types, e.type) || !in_time(*this, e.time, e.time)) return false;
  if (e.type == EventType::gap) return true; // whoever filters must still learn of a loss
  if (e.type == EventType::fail) return matches(*e.failure);
  if (e.type == EventType::audit) return matches(*e.finding);
  return matches(e.socket) && matches(e.process, {});
}

std::optional<uint16_t> Filter::single_port() const {
  if (ports.size() != 1 || ports[0].first != ports[0].last) return std::nullopt;
  return ports[0].first;
}

std::optional<std::vector<PortRange>> parse_ports(std::string_view text, std::string& bad) {
  std::vector<PortRange> ranges;
  for (size_t start = 0; start <= text.size();) {
    const size_t comma = std::min(text.find(',', start), text.size());
    const std::string_view part = text.substr(start, comma - start);
    const size_t dash = part.find('-');
    const auto first = parse_port(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_port(part.substr(dash + 1));
    if (!first || !last || *first > *last) {
      bad = part;
      return std::nullopt;
    }
    ranges.push_back({*first, *last});
    start = comma + 1;
  }
  return ranges;
}

} // namespace bindlens::model
