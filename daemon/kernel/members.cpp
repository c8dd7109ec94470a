#include <bindlens/kernel/members.h>

#include "bindlens.skel.h"

#include <bpf/bpf.h>

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

} // namespace bindlens::kernel
