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

void add_reuses(const Core& core, model::TimeWaitTable& table) {
  for (model::TimeWaitPort& p : table.ports)
    p.recent = core.reuses().of(p.netns, p.local.port);
}

} // namespace

Result<model::TimeWaitTable> read_timewait(Core& core, const model::Filter& filter) {
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
  add_reuses(core, table);
  return table;
}

} // namespace bindlens::app
