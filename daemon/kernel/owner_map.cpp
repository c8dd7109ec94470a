#include <bindlens/kernel/owner_map.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace bindlens::kernel {

// Grouped by counting, not by sorting: as a rule a socket has one owner.
OwnerMap::OwnerMap(const std::vector<bl_owner>& swept, MonoNs taken_at, Key key)
    : owners_(swept.size()), taken_at_(taken_at), key_(key) {
  sockets_.reserve(swept.size());
  std::vector<uint64_t> shared;
  for (const bl_owner& o : swept)
    if (++sockets_[o.sk].count == 2) shared.push_back(o.sk);
  uint32_t free = 0;
  for (const bl_owner& o : swept) {
    Range& range = sockets_.find(o.sk)->second;
    if (range.first == Range::nowhere) {
      range.first = std::exchange(free, free + range.count);
      range.count = 0;
    }
    owners_[range.first + range.count++] = {o.pid, o.fd, o.cookie, o.port, o.peer_port};
  }
  for (const uint64_t sk : shared)
    drop_repeated(sockets_.find(sk)->second);
}

// Threads of one process can have tables of their own, with the same in them.
void OwnerMap::drop_repeated(Range& range) {
  const auto key = [](const Descriptor& o) {
    return std::tuple(o.pid, o.fd, o.cookie, o.port, o.peer_port);
  };
  const auto all = std::span(owners_).subspan(range.first, range.count);
  std::ranges::sort(all, {}, key);
  range.count -= static_cast<uint32_t>(std::ranges::unique(all, {}, key).size());
}

// A socket can get its cookie between sweep and walk: from `ss`, for one.
bool OwnerMap::is_of(const Descriptor& owner, const model::Socket& socket) const {
  if (key_ == Key::inode) return true;
  const auto cookie = static_cast<uint32_t>(socket.cookie);
  if (owner.cookie != 0 && cookie != 0) return owner.cookie == cookie;
  return owner.port == socket.local.port && owner.peer_port == socket.peer.port;
}

std::span<const Descriptor> OwnerMap::at_address_of(const model::Socket& socket) const {
  const uint64_t id = key_ == Key::inode ? socket.inode : socket.id;
  const auto found = sockets_.find(id);
  if (id == 0 || found == sockets_.end()) return {};
  return std::span(owners_).subspan(found->second.first, found->second.count);
}

} // namespace bindlens::kernel
