#include "timewait.h"

#include <algorithm>
#include <map>

namespace bindlens::app {

namespace {

// Who had bound what is left in TIME_WAIT.
class Binders {
 public:
  explicit Binders(const Core& core) : dead_(core.dead_binders()) {
    core.table().for_each([this](const model::Binding& b) {
      if (b.binder && b.socket.state == model::State::listen)
        listeners_[{b.socket.netns, b.socket.local}] = b.binder;
    });
  }

  model::ProcessRef operator()(const model::Socket& timewait) const {
    if (auto binder = dead_.of_socket(timewait.cookie)) return binder;
    if (auto binder = of_listener(timewait.netns, timewait.local)) return binder;
    return dead_.of_listener(timewait.netns, timewait.local);
  }

 private:
  [[nodiscard]] model::ProcessRef of_listener(uint32_t netns, const model::Endpoint& local) const {
    for (const model::Address& a : {local.addr, model::Address::any(model::Family::inet),
                                    model::Address::any(model::Family::inet6)})
      if (const auto it = listeners_.find({netns, {a, local.port}}); it != listeners_.end())
        return it->second;
    return nullptr;
  }

  const model::DeadBinders& dead_;
  std::map<std::pair<uint32_t, model::Endpoint>, model::ProcessRef> listeners_;
};

// The kernel forgets the user of a socket in TIME_WAIT: it is the binder's.
bool is_owned_as_wanted(const model::Filter& f, const model::TimeWaitPort& p) {
  if (!f.needs_processes() && !f.uid) return true;
  return std::ranges::any_of(p.owners, [&](const model::TimeWaitOwner& o) {
    return f.matches(o.binder, {}) && (!f.uid || o.binder->uid == *f.uid);
  });
}

// What was counted of a port, and told.
struct Counted {
  model::ReuseCounts reuses;
  uint64_t linger_zero = 0;
  bool shown = false; // with one of its rows
};
using CountsByPort = std::map<std::pair<uint32_t, uint16_t>, Counted>;

CountsByPort read_counts(const Core& core, const kernel::Session& session) {
  CountsByPort all;
  for (const auto& [port, counts] : session.port_counts()) {
    Counted& c = all[{port.netns, port.port}];
    c.reuses[model::ReuseKind::connect] = counts.reuses[BL_REUSE_CONNECT];
    c.reuses[model::ReuseKind::syn] = counts.reuses[BL_REUSE_SYN];
    c.linger_zero = counts.linger_zero;
  }
  core.bind_reuses().for_each([&](uint32_t netns, uint16_t port, uint64_t n) {
    all[{netns, port}].reuses[model::ReuseKind::bind] = n;
  });
  return all;
}

void fill_counts(const Core& core, model::TimeWaitPort& port, const Counted& counted) {
  port.reuses = counted.reuses;
  port.linger_zero = counted.linger_zero;
  if (counted.reuses.sum() != 0) port.recent = core.reuses().of(port.netns, port.local.port);
}

// Reuses and closes stand with their port, also when none of its TIME_WAIT is left.
void add_counts(const Core& core, const kernel::Session& session, const model::Filter& filter,
                model::TimeWaitTable& table) {
  CountsByPort counts = read_counts(core, session);
  for (model::TimeWaitPort& p : table.ports)
    if (const auto it = counts.find({p.netns, p.local.port}); it != counts.end()) {
      fill_counts(core, p, it->second);
      it->second.shown = true;
    }
  for (const auto& [port, counted] : counts) {
    model::Socket s;
    s.netns = port.first;
    s.state = model::State::time_wait;
    s.local = {model::Address::any(model::Family::inet), port.second};
    if (counted.shown || filter.needs_processes() || !filter.matches(s)) continue;
    model::TimeWaitPort row;
    row.local = s.local;
    row.netns = s.netns;
    fill_counts(core, row, counted);
    if (!row.recent.empty()) row.local.addr = row.recent.front().socket.local.addr;
    table.ports.push_back(std::move(row));
  }
  const kernel::Session::AllCounts all = session.all_counts();
  table.reuses[model::ReuseKind::bind] = core.bind_reuses().all();
  table.reuses[model::ReuseKind::connect] = all.counts.reuses[BL_REUSE_CONNECT];
  table.reuses[model::ReuseKind::syn] = all.counts.reuses[BL_REUSE_SYN];
  table.linger_zero = all.counts.linger_zero;
  table.uncounted = all.uncounted + core.bind_reuses().uncounted();
}

} // namespace

Result<model::TimeWaitTable> read_timewait(Core& core, const kernel::Session& session,
                                           const model::Filter& filter) {
  model::Filter of_socket = filter;
  of_socket.uid.reset();
  kernel::WalkRequest request{{model::Proto::tcp}};
  request.port = filter.single_port().value_or(0);
  request.netns = filter.netns.value_or(0);
  request.files = false;
  request.timewait = true;
  model::TimeWaitGroups groups(monotonic_now(), Binders(core));
  const auto visit = [&](const model::Bucket& bucket) {
    for (const model::Socket& s : bucket.sockets)
      if (of_socket.matches(s)) groups.add(s);
  };
  const auto whole = core.source().for_each(request, visit, [&core] { core.take_records(); });
  if (!whole) return std::unexpected(whole.error());
  model::TimeWaitTable table;
  table.ports = groups.take();
  table.complete = *whole;
  std::erase_if(table.ports, [&](const auto& p) { return !is_owned_as_wanted(filter, p); });
  add_counts(core, session, filter, table);
  return table;
}

} // namespace bindlens::app
