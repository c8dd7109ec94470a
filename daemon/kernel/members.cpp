#include <bindlens/kernel/members.h>

#include "bindlens.skel.h"

#include <bpf/bpf.h>

#include <bpf/libbpf.h>

#include <algorithm>

namespace bindlens::kernel {

Result<std::unique_ptr<MemberReader>> MemberReader::open(Session& session) {
  std::unique_ptr<MemberReader> r(new MemberReader);
  if (session.has_programs()) r->program_ = ::bpf_program__fd(session.object().progs.members);
  if (r->program_ < 0)
    return fail("the kernel does not let programs read its memory, so reuseport groups cannot be "
                "read; 'bindlens status' says why",
                EPERM);
  const auto& maps = session.object().maps;
  auto cursor = MappedArray<bl_members>::of(::bpf_map__fd(maps.members_cursor), 1);
  auto rows = MappedArray<bl_member>::of(::bpf_map__fd(maps.member_rows), BL_MEMBER_ROWS);
  if (!cursor || !rows) return fail(cursor ? rows.error() : cursor.error(), "reuseport groups");
  r->cursor_ = *std::move(cursor);
  r->rows_ = *std::move(rows);
  return r;
}

Result<void> MemberReader::run(std::span<bl_member> rows) {
  while (!rows.empty()) {
    const auto part = rows.first(std::min<size_t>(rows.size(), BL_MEMBER_ROWS));
    std::ranges::copy(part, rows_.data());
    *cursor_ = {static_cast<uint32_t>(part.size()), 0};
    while (cursor_->next < cursor_->count) {
      LIBBPF_OPTS(bpf_test_run_opts, opts);
      if (::bpf_prog_test_run_opts(program_, &opts) != 0)
        return fail_errno("reading reuseport groups");
    }
    std::copy_n(rows_.data(), part.size(), part.begin());
    rows = rows.subspan(part.size());
  }
  return {};
}

Result<std::vector<bl_member>> MemberReader::read(std::span<const model::Socket> sockets) {
  std::vector<bl_member> rows(sockets.size());
  for (size_t i = 0; i < sockets.size(); ++i)
    rows[i].sk = sockets[i].id;
  if (auto ran = run(rows); !ran) return std::unexpected(ran.error());
  for (size_t i = 0; i < sockets.size(); ++i)
    if (rows[i].netns != sockets[i].netns || rows[i].port != sockets[i].local.port)
      rows[i].group = 0;
  return rows;
}

Result<std::vector<model::SocketId>> MemberReader::order(uint64_t group, uint32_t count) {
  std::vector<bl_member> rows(count);
  for (uint32_t i = 0; i < count; ++i) {
    rows[i].group = group;
    rows[i].index = i;
  }
  if (auto ran = run(rows); !ran) return std::unexpected(ran.error());
  std::vector<model::SocketId> order(count);
  std::ranges::transform(rows, order.begin(), &bl_member::sk);
  return order;
}

ShareReader::ShareReader(Session& session) {
  if (!session.has_programs()) return;
  map_ = ::bpf_map__fd(session.object().maps.shares);
  slots_ = ::bpf_map__fd(session.object().maps.share_slots);
  cpus_ = static_cast<size_t>(std::max(::libbpf_num_possible_cpus(), 1));
}

uint64_t ShareReader::datagrams_in_slots(uint64_t cookie) const {
  if (cookie == 0) return 0;
  std::vector<bl_share_slot> slots(cpus_);
  const uint32_t index = bl_share_slot_of(cookie);
  if (::bpf_map_lookup_elem(slots_, &index, slots.data()) != 0) return 0;
  uint64_t sum = 0;
  for (const bl_share_slot& s : slots)
    if (s.cookie == cookie) sum += s.datagrams;
  return sum;
}

bool ShareReader::read_key(const bl_share_key& key, bl_share& sum) const {
  std::vector<bl_share> values(cpus_);
  if (::bpf_map_lookup_elem(map_, &key, values.data()) != 0) return false;
  for (const bl_share& v : values) {
    sum.selected += v.selected;
    sum.queued += v.queued;
    sum.accepted += v.accepted;
    sum.datagrams += v.datagrams;
    sum.migrated += v.migrated;
    sum.last_accept = std::max(sum.last_accept, v.last_accept);
    sum.full_at = std::max(sum.full_at, v.full_at);
    sum.peak = std::max(sum.peak, v.peak);
    if (v.closed_at < sum.closed_at || v.closed_at == 0) continue;
    sum.closed_at = v.closed_at;
    sum.waiting = v.waiting;
    sum.may_migrate = v.may_migrate;
  }
  const auto left = left_.find(key.cookie);
  const bool was_here = left != left_.end();
  // The first datagram on each processor is counted beside the slot.
  if (sum.datagrams != 0 || was_here) sum.datagrams += datagrams_in_slots(key.cookie);
  if (was_here) sum.datagrams -= left->second;
  return true;
}

// A socket may have got its cookie while it was counted.
std::optional<bl_share> ShareReader::read(model::SocketId sk, uint64_t cookie) const {
  bl_share sum{};
  bool found = read_key({sk, 0}, sum);
  if (cookie != 0) found = read_key({sk, cookie}, sum) || found;
  return found ? std::optional(sum) : std::nullopt;
}

void ShareReader::add(model::SocketId sk, uint64_t cookie) const {
  const bl_share_key key{sk, cookie};
  const std::vector<bl_share> none(cpus_);
  ::bpf_map_update_elem(map_, &key, none.data(), BPF_NOEXIST);
}

void ShareReader::remove(model::SocketId sk, uint64_t cookie) {
  for (const bl_share_key key : {bl_share_key{sk, 0}, bl_share_key{sk, cookie}})
    ::bpf_map_delete_elem(map_, &key);
  // Of so many, the first have lost their slots to others.
  constexpr size_t most_left = 16 * BL_SHARE_SLOTS;
  if (left_.size() >= most_left) left_.clear();
  if (const uint64_t n = datagrams_in_slots(cookie); n != 0) left_[cookie] = n;
}

} // namespace bindlens::kernel
