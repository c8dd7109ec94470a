#include "listing.h"

#include <bindlens/rules/bucket_state.h>

#include <algorithm>
#include <tuple>

namespace bindlens::app {

std::string_view NameCache::netns(uint32_t netns) {
  auto [it, fresh] = netns_.try_emplace(netns);
  if (fresh) it->second = backend_.netns_name(netns);
  return it->second;
}

std::string_view NameCache::user(uint32_t uid) {
  auto [it, fresh] = users_.try_emplace(uid);
  if (fresh) it->second = backend_.user_name(uid);
  return it->second;
}

std::string_view NameCache::dev(uint32_t netns, uint32_t index) {
  if (index == 0) return {};
  auto [it, fresh] = devs_.try_emplace(uint64_t{netns} << 32 | index);
  if (fresh) it->second = backend_.dev_name(netns, index);
  return it->second;
}

Listing::Listing(Core& core, server::Backend& names, server::Backend::SocketQuery query,
                 model::PortView view)
    : core_(core), query_(std::move(query)), view_(std::move(view)), names_(names) {
  for (const model::Bucket& b : view_.buckets)
    for (const model::Socket& s : b.sockets)
      if (is_wanted(s, b)) entries_.push_back({&s, &b});
  const auto key = [](const Entry& e) {
    const model::Socket& s = *e.socket;
    return std::tie(s.local.port, s.proto, s.netns, s.local.addr);
  };
  std::stable_sort(entries_.begin(), entries_.end(),
                   [&](const Entry& a, const Entry& b) { return key(a) < key(b); });
}

// The table is what holds a port of its own. Accepted children and TIME_WAIT
// come in when asked for: by --all, by state, or by asking about one port.
bool Listing::is_wanted(const model::Socket& s, const model::Bucket& b) const {
  const bool everything =
      query_.all || !query_.filter.states.empty() || query_.filter.single_port().has_value();
  if (!query_.filter.matches(s)) return false;
  return everything || model::BindTable::is_tracked(s, b) || core_.table().find(s.id) != nullptr;
}

std::vector<model::Socket> Listing::candidates() const {
  std::vector<model::Socket> sockets;
  for (const Entry& e : entries_)
    sockets.push_back(*e.socket);
  return sockets;
}

void Listing::add_owners(model::SocketId id, std::vector<kernel::Descriptor> owners) {
  owners_[id] = std::move(owners);
}

bool Listing::next(protocol::SocketRow& row) {
  while (at_ < entries_.size()) {
    fill(row, entries_[at_++]);
    if (query_.filter.matches(row.binder, row.holders)) return true;
  }
  return false;
}

model::BoundBy Listing::bound_by(const Entry& e, const model::Binding* known) const {
  if (known != nullptr && known->bound_by != model::BoundBy::unknown) return known->bound_by;
  if (e.socket->is(model::SocketFlag::port_locked)) return model::BoundBy::bind;
  if (e.socket->is(model::SocketFlag::connect_bind)) return model::BoundBy::connect;
  const bool child = known == nullptr && !model::BindTable::is_tracked(*e.socket, *e.bucket) &&
                     !e.socket->is(model::SocketFlag::timewait);
  return child ? model::BoundBy::accept : model::BoundBy::unknown;
}

void Listing::fill(protocol::SocketRow& row, const Entry& e) {
  const model::Socket& s = *e.socket;
  const model::Binding* known = core_.table().find(s.id);
  row.socket = s;
  row.bound_by = bound_by(e, known);
  row.bound_at = known != nullptr ? known->bound_at : 0;
  row.binder = known != nullptr ? known->binder : nullptr;
  row.user = s.is(model::SocketFlag::timewait) ? std::string_view{} : names_.user(s.uid);
  row.netns_name = names_.netns(s.netns);
  row.dev = names_.dev(s.netns, s.dev);
  row.bucket = query_.wide ? state_of(*e.bucket) : nullptr;
  fill_holders(row);
}

const model::BucketState* Listing::state_of(const model::Bucket& b) {
  // sock_diag tells nothing of buckets, and UDP has none.
  if (b.proto != model::Proto::tcp || core_.source().name() != "walk") return nullptr;
  auto [it, fresh] = states_.try_emplace(&b);
  if (fresh) it->second = rules::bucket_state(b, core_.host().variants);
  return &it->second;
}

void Listing::fill_holders(protocol::SocketRow& row) {
  row.holders.clear();
  const auto add = [&](const kernel::Descriptor& o) {
    if (auto p = process(o.pid)) row.holders.push_back({std::move(p), static_cast<int>(o.fd)});
  };
  if (const auto it = owners_.find(row.socket.id); it != owners_.end()) {
    row.holders_known = true;
    std::ranges::for_each(it->second, add);
  } else {
    row.holders_known = sweep_ && sweep_->for_each_of(row.socket, add);
  }
}

model::ProcessRef Listing::process(uint32_t pid) {
  auto [it, fresh] = processes_.try_emplace(pid);
  if (fresh) it->second = core_.processes().current(pid);
  return it->second;
}

} // namespace bindlens::app
