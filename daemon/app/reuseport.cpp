#include "reuseport.h"

#include <algorithm>
#include <unordered_map>

namespace bindlens::app {

namespace {

using model::ReuseportGroup;
using model::ReuseportMember;
using model::Socket;
using model::SocketFlag;

std::vector<Socket> members_in(const model::PortView& view) {
  std::vector<Socket> all;
  for (const model::Bucket& b : view.buckets)
    std::ranges::copy_if(b.sockets, std::back_inserter(all), is_group_member);
  return all;
}

ReuseportGroup make_group(const Socket& first, const bl_member& row) {
  ReuseportGroup g;
  g.id = row.group;
  g.proto = is_datagram(first.proto) ? first.proto : model::Proto::tcp;
  g.local = first.local;
  g.netns = first.netns;
  g.dev = first.dev;
  g.v6only = first.is(SocketFlag::v6only);
  g.uid = first.uid;
  g.steering = static_cast<model::Steering>(row.steering);
  const auto* end = std::ranges::find(row.program, '\0');
  g.program.assign(std::begin(row.program), end);
  g.program_id = row.program_id;
  g.migrates = row.migrates != 0 && g.proto == model::Proto::tcp;
  g.closed = row.closed;
  return g;
}

ReuseportMember make_member(const Socket& s, const bl_member& row) {
  ReuseportMember m;
  m.socket = s;
  m.incoming_cpu = row.incoming_cpu;
  if (is_datagram(s.proto)) {
    m.receive_queue = row.receive_queue;
    m.receive_buffer = row.receive_buffer;
    const bool connected = row.state == static_cast<uint8_t>(model::State::established);
    m.socket.flags.set(SocketFlag::connected, connected);
  } else {
    m.socket.backlog = row.backlog;
    m.socket.max_backlog = row.max_backlog;
  }
  return m;
}

// Processes, each looked up once for an answer.
class Processes {
 public:
  explicit Processes(Core& core) : core_(core) {}

  void set_holders(ReuseportMember& m, std::span<const kernel::Descriptor> owners) {
    m.holders.clear();
    for (const kernel::Descriptor& o : owners)
      add(m, o);
    m.holders_known = true;
  }
  void set_holders(ReuseportMember& m, const kernel::OwnerMap& swept) {
    m.holders.clear();
    m.holders_known = swept.for_each_of(m.socket, [&](const kernel::Descriptor& o) { add(m, o); });
  }

 private:
  void add(ReuseportMember& m, const kernel::Descriptor& o) {
    if (auto p = process(o.pid)) m.holders.push_back({std::move(p), static_cast<int>(o.fd)});
  }
  model::ProcessRef process(uint32_t pid) {
    auto [it, fresh] = known_.try_emplace(pid);
    if (fresh) it->second = core_.processes().current(pid);
    return it->second;
  }

  Core& core_;
  std::unordered_map<uint32_t, model::ProcessRef> known_;
};

void for_each_member(Reuseport::Groups& groups, const std::function<void(ReuseportMember&)>& f) {
  for (ReuseportGroup& g : groups)
    std::ranges::for_each(g.members, f);
}

// True when no sweep is needed to know who has them open.
bool find_holders_quickly(Core& core, Reuseport::Groups& groups) {
  Processes processes(core);
  bool complete = true;
  for_each_member(groups, [&](ReuseportMember& m) {
    if (!complete) return;
    const uint32_t binder = m.binder ? m.binder->pid : 0;
    const kernel::Owners owners = kernel::quick_owners(m.socket, core.sweeper().last(), binder);
    complete = owners.complete;
    processes.set_holders(m, owners.descriptors);
  });
  return complete;
}

void find_holders(Core& core, const kernel::OwnerMap& owners, Reuseport::Groups& groups) {
  Processes processes(core);
  for_each_member(groups, [&](ReuseportMember& m) { processes.set_holders(m, owners); });
}

void keep_matching(Reuseport::Groups& groups, const model::Filter& filter) {
  std::erase_if(groups, [&](const ReuseportGroup& g) {
    return std::ranges::none_of(g.members, [&](const ReuseportMember& m) {
      return filter.matches(m.socket) && filter.matches(m.binder, m.holders);
    });
  });
}

} // namespace

Reuseport::Reuseport(boost::asio::io_context& io, Core& core, kernel::Session& session)
    : core_(core), reader_(kernel::MemberReader::open(session)) {
  if (reader_) counts_.emplace(io, core, session, **reader_);
}

void Reuseport::start(std::function<void(Groups)> look) {
  if (!counts_) return;
  counts_->when_sampled([this, look = std::move(look)] {
    if (auto groups = read_groups(counts_->sockets())) look(*std::move(groups));
  });
  counts_->start();
}

Result<model::PortView> Reuseport::walk(const model::Filter& filter) {
  if (const auto port = filter.single_port())
    return core_.source().walk({.port = *port, .netns = filter.netns.value_or(0)});
  auto walked = core_.snapshot();
  if (!walked) return std::unexpected(walked.error());
  return std::move(walked->view);
}

Result<Reuseport::Groups> Reuseport::read_groups(const std::vector<Socket>& sockets) {
  const auto rows = counts_->read(sockets);
  if (!rows) return std::unexpected(rows.error());
  Groups groups;
  std::unordered_map<uint64_t, size_t> places;
  for (size_t i = 0; i < sockets.size(); ++i) {
    const bl_member& row = (*rows)[i];
    if (row.group == 0) continue; // it left meanwhile
    const auto [place, fresh] = places.try_emplace(row.group, groups.size());
    if (fresh) groups.push_back(make_group(sockets[i], row));
    ReuseportMember m = make_member(sockets[i], row);
    if (const model::Binding* known = core_.table().find(m.socket.id)) m.binder = known->binder;
    counts_->fill(m);
    groups[place->second].members.push_back(std::move(m));
  }
  if (auto ordered = put_in_order(groups); !ordered) return std::unexpected(ordered.error());
  return groups;
}

Result<void> Reuseport::put_in_order(Groups& groups) {
  for (ReuseportGroup& g : groups) {
    const auto order = (*reader_)->order(g.id, static_cast<uint32_t>(g.members.size()));
    if (!order) return std::unexpected(order.error());
    std::unordered_map<model::SocketId, size_t> places;
    for (size_t i = 0; i < order->size(); ++i)
      places.emplace((*order)[i], i);
    // One that is not there has left, or joined, meanwhile.
    const auto place = [&](const ReuseportMember& m) {
      const auto it = places.find(m.socket.id);
      return it == places.end() ? places.size() : it->second;
    };
    std::ranges::stable_sort(g.members, {}, place);
  }
  return {};
}

void Reuseport::groups(model::Filter filter, Done done) {
  if (!reader_) return done(std::unexpected(reader_.error()));
  core_.catch_up();
  auto view = walk(filter);
  if (!view) return done(std::unexpected(view.error()));
  auto read = read_groups(members_in(*view));
  if (!read) return done(std::move(read));
  auto groups = std::make_shared<Groups>(*std::move(read));
  const auto finish = [groups, filter = std::move(filter), done = std::move(done)] {
    keep_matching(*groups, filter);
    done(std::move(*groups));
  };
  if (find_holders_quickly(core_, *groups)) return finish();
  core_.sweeper().request([this, groups, finish](const Sweeper::Result& swept) {
    if (swept)
      find_holders(core_, **swept, *groups);
    else
      for_each_member(*groups, [](ReuseportMember& m) { m.holders_known = false; });
    finish();
  });
}

Reuseport::Groups Reuseport::counted(const kernel::OwnerMap& owners) {
  if (!counts_) return {};
  auto groups = read_groups(counts_->sockets());
  if (!groups) return {};
  find_holders(core_, owners, *groups);
  return *std::move(groups);
}

} // namespace bindlens::app
