#include <bindlens/analysis/port_use.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace bindlens::analysis {

using model::Bucket;
using model::Socket;
using model::SocketFlag;

namespace {

constexpr size_t most_processes = 5;
constexpr uint32_t time_wait_ms = 60'000; // TCP_TIMEWAIT_LEN

// Ports by process.
class Holders {
 public:
  void add(const std::vector<model::ProcessRef>& owners) {
    for (const model::ProcessRef& p : owners) {
      auto& [process, ports] = counts_[p->pid];
      process = p;
      ++ports;
    }
  }
  [[nodiscard]] std::vector<model::ProcessPorts> top() const {
    std::vector<model::ProcessPorts> all;
    for (const auto& [pid, entry] : counts_)
      all.push_back({entry.first, entry.second});
    std::ranges::sort(all, [](const auto& a, const auto& b) {
      return std::tuple(b.ports, a.process->pid) < std::tuple(a.ports, b.process->pid);
    });
    if (all.size() > most_processes) all.resize(most_processes);
    return all;
  }

 private:
  std::unordered_map<uint32_t, std::pair<model::ProcessRef, uint64_t>> counts_;
};

// What is looked up for the destinations that are told of, and only for them.
struct Detail {
  Holders holders;
  uint32_t fresh = 0;    // TIME_WAIT sockets that began within the window
  uint32_t expiring = 0; // … that end within the next one
};

class Reporter {
 public:
  explicit Reporter(const PortQuestion& q)
      : q_(q),
        census_(count_ports(*q.view, q.facts,
                            q.netns ? std::vector<uint32_t>{*q.netns} : std::vector<uint32_t>{})) {
    if (q.meter != nullptr)
      window_s_ = static_cast<double>(q.now - q.meter->window_start(q.now)) / 1e9;
    // Less is no rate.
    if (window_s_ < 1) window_s_ = 0;
  }

  model::PortReport report() {
    model::PortReport out;
    out.time = q_.now;
    out.window_s = window_s_;
    for (const auto& [netns, use] : census_.namespaces) {
      if (q_.netns && *q_.netns != netns) continue;
      if (use.known)
        out.namespaces.push_back(start(netns, use));
      else
        out.unknown.push_back(netns);
    }
    choose_destinations(out);
    look_closer();
    for (model::PortUse& n : out.namespaces)
      finish(n);
    std::ranges::stable_sort(out.namespaces, std::greater{}, worst_share);
    return out;
  }

 private:
  static model::PortUse start(uint32_t netns, const NamespaceUse& use) {
    model::PortUse n;
    n.netns = netns;
    n.range = {use.range.first, use.range.last};
    for (const rules::PortRange& r : use.reserved)
      n.reserved.push_back({r.first, r.last});
    n.ports = use.ports;
    n.listening = use.listening;
    n.bound = use.bound;
    n.connected = use.connected;
    n.time_wait = use.time_wait;
    n.closed_to_connect = use.closed_to_connect;
    n.udp = use.udp;
    n.tcp_severity = fullness(n.tcp_used(), n.ports);
    n.closed_severity = fullness(n.closed_to_connect, n.ports);
    n.udp_severity = fullness(n.udp, n.ports);
    return n;
  }

  [[nodiscard]] bool is_asked_for(const Route& r) const {
    return (!q_.from || *q_.from == r.from) && (!q_.to || *q_.to == r.to.addr) &&
           (q_.to_port == 0 || q_.to_port == r.to.port);
  }

  void choose_destinations(model::PortReport& out) {
    using Entry = std::pair<const Route*, const RouteUse*>;
    std::map<uint32_t, std::vector<Entry>> by_namespace;
    for (const auto& [route, use] : census_.routes)
      if (is_asked_for(route)) by_namespace[route.netns].push_back({&route, &use});
    for (model::PortUse& n : out.namespaces) {
      auto& all = by_namespace[n.netns];
      const size_t count = std::min(q_.destinations, all.size());
      std::ranges::partial_sort(
          all, all.begin() + static_cast<std::ptrdiff_t>(count),
          [](const Entry& a, const Entry& b) {
            return std::tuple(b.second->ports(), b.second->time_wait, a.first->to, a.first->from) <
                   std::tuple(a.second->ports(), a.second->time_wait, b.first->to, b.first->from);
          });
      n.destinations_left_out = all.size() - count;
      for (size_t i = 0; i < count; ++i)
        add(n, *all[i].first, *all[i].second);
    }
  }

  void add(model::PortUse& n, const Route& route, const RouteUse& use) {
    model::DestinationUse d;
    d.from = route.from;
    d.to = route.to;
    d.connections = use.connections;
    d.time_wait = use.time_wait;
    d.reusable = use.reusable;
    const uint32_t used = census_.used(route, use);
    d.left = n.ports > used ? n.ports - used : 0;
    d.severity = fullness(used, n.ports);
    n.destinations.push_back(std::move(d));
    details_[route];
  }

  // The second pass: processes are looked up only for what is shown.
  void look_closer() {
    for (const Bucket& b : q_.view->buckets) {
      if (b.l3mdev != 0 || b.sockets.empty()) continue;
      const auto place = census_.namespaces.find(b.netns);
      if (place == census_.namespaces.end() || !place->second.gives_out(b.port)) continue;
      if (q_.netns && *q_.netns != b.netns) continue;
      if (b.proto != model::Proto::tcp && b.proto != model::Proto::mptcp) continue;
      if (b.fastreuse >= 0 || b.fastreuseport >= 0)
        add_closers(b);
      else
        for (const Socket& s : b.sockets)
          add_detail(s);
    }
  }

  // A process counts once for a port, however many sockets it has there.
  void add_closers(const Bucket& b) {
    if (!q_.owners) return;
    std::vector<model::ProcessRef> once;
    for (const Socket& s : b.sockets) {
      if (s.is(SocketFlag::timewait)) continue;
      for (model::ProcessRef& p : q_.owners(s))
        if (std::ranges::none_of(once, [&](const auto& o) { return o->pid == p->pid; }))
          once.push_back(std::move(p));
    }
    closers_[b.netns].add(once);
  }

  void add_detail(const Socket& s) {
    if (s.peer.port == 0) return;
    const auto it = details_.find(route_of(s));
    if (it == details_.end()) return;
    if (!s.is(SocketFlag::timewait)) {
      if (q_.owners) it->second.holders.add(q_.owners(s));
    } else if (s.tw_left_ms != 0) {
      const double window_ms = window_s_ * 1000;
      it->second.fresh += s.tw_left_ms + window_ms >= time_wait_ms ? 1 : 0;
      it->second.expiring += s.tw_left_ms <= window_ms ? 1 : 0;
    }
  }

  void finish(model::PortUse& n) const {
    n.closers_known = static_cast<bool>(q_.owners);
    if (const auto it = closers_.find(n.netns); it != closers_.end()) n.closers = it->second.top();
    for (model::DestinationUse& d : n.destinations) {
      const Route route{n.netns, d.from, d.to};
      const Detail& detail = details_.at(route);
      d.processes = detail.holders.top();
      d.processes_known = static_cast<bool>(q_.owners);
      if (window_s_ > 0) d.pace = pace(d, q_.meter->count(route, q_.now), detail);
    }
  }

  // A port that is given back by connect's side may wait in TIME_WAIT: those that
  // began to wait have not come back, and those whose time ends do.
  [[nodiscard]] model::ConnectPace pace(const model::DestinationUse& d, ConnectMeter::Count c,
                                        const Detail& detail) const {
    model::ConnectPace out;
    double growth = static_cast<double>(c.opened) - static_cast<double>(c.closed);
    // What connect() may take over is as good as given back.
    if (d.reusable == 0) growth += double{1} * detail.fresh - detail.expiring;
    out.opened_per_s = static_cast<double>(c.opened) / window_s_;
    out.grows_per_s = growth / window_s_;
    if (d.left == 0)
      out.exhausted_in_s = 0;
    else if (growth > 0)
      out.exhausted_in_s = d.left / out.grows_per_s;
    return out;
  }

  static double worst_share(const model::PortUse& n) {
    if (n.ports == 0) return 0;
    uint32_t used = std::max(n.tcp_used(), n.udp);
    for (const model::DestinationUse& d : n.destinations)
      used = std::max(used, n.ports - d.left);
    return double{1} * used / n.ports;
  }

  const PortQuestion& q_;
  Census census_;
  double window_s_ = 0;
  boost::unordered_flat_map<Route, Detail, RouteHash> details_;
  std::map<uint32_t, Holders> closers_;
};

} // namespace

model::PortReport report_ports(const PortQuestion& q) {
  return Reporter(q).report();
}

} // namespace bindlens::analysis
