#include <bindlens/kernel/walk.h>

#include <bindlens/model/decoder.h>
#include <bindlens/util/clock.h>

#include "bindlens.skel.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cmath>
#include <utility>

namespace bindlens::kernel {

namespace {

Fd open_socket(int type, int protocol) {
  Fd fd(::socket(AF_INET6, type | SOCK_CLOEXEC, protocol));
  if (!fd) fd.reset(::socket(AF_INET, type | SOCK_CLOEXEC, protocol));
  return fd;
}

uint32_t table_of(model::Proto proto) {
  if (proto == model::Proto::udp) return BL_TABLE_UDP;
  return proto == model::Proto::udplite ? BL_TABLE_UDPLITE : BL_TABLE_TCP;
}

} // namespace

Result<std::unique_ptr<Walker>> Walker::open(Session& session) {
  std::unique_ptr<Walker> w(new Walker);
  w->session_ = &session;
  if (session.has_programs()) w->program_ = ::bpf_program__fd(session.object().progs.walk);
  if (w->program_ < 0)
    return fail("the kernel does not let programs read its memory, so its tables cannot be walked",
                EPERM);
  const auto& maps = session.object().maps;
  auto cursor = MappedArray<bl_walk>::of(::bpf_map__fd(maps.walk_cursor), 1);
  auto rows = MappedArray<bl_row>::of(::bpf_map__fd(maps.walk_rows), BL_WALK_ROWS);
  if (!cursor || !rows) return fail(cursor ? rows.error() : cursor.error(), "the walk");
  w->cursor_ = *std::move(cursor);
  w->rows_ = *std::move(rows);
  w->tcp_ = open_socket(SOCK_STREAM, IPPROTO_TCP);
  w->udp_ = open_socket(SOCK_DGRAM, IPPROTO_UDP);
  w->udplite_ = open_socket(SOCK_DGRAM, IPPROTO_UDPLITE); // gone in 7.x: no table then
  if (!w->tcp_ || !w->udp_) return fail_errno("opening a socket to find the bind tables by");
  w->learn_jiffies();
  return w;
}

// jiffies start at 2^32 - 300 s (INITIAL_JIFFIES, include/linux/jiffies.h) and
// count with the monotonic clock, so the only HZ that fits is the kernel's.
void Walker::learn_jiffies() {
  *cursor_ = bl_walk{};
  cursor_->fd = tcp_.get();
  cursor_->done = 1;
  if (!run_once()) return;
  double best = 1e18;
  for (const uint32_t hz : {100u, 250u, 300u, 1000u}) {
    const double ticks = static_cast<double>(cursor_->jiffies) - 4294967296.0 + 300.0 * hz;
    const double off = std::abs(ticks / hz - static_cast<double>(cursor_->time) / 1e9);
    if (off >= best) continue;
    best = off;
    session_->object().bss->jiffies_per_second = hz;
  }
}

Result<void> Walker::run_once() {
  LIBBPF_OPTS(bpf_test_run_opts, opts);
  if (::bpf_prog_test_run_opts(program_, &opts) != 0) return fail_errno("running the walk");
  ++report_.runs;
  return {};
}

bool Walker::take_rows(model::RowAssembler& assembler) const {
  const std::span<const bl_row> rows{rows_.data(), cursor_->rows};
  const bool amid = cursor_->phase != 0;
  if (cursor_->withdrawn != 0) assembler.withdraw();
  if (amid && cursor_->split != 0) return assembler.append(rows);
  const size_t complete = amid ? cursor_->first_row : rows.size();
  if (!assembler.append(rows.first(complete))) return false;
  assembler.end(std::exchange(cursor_->grew, 0) != 0);
  if (amid) assembler.begin();
  return assembler.append(rows.subspan(complete));
}

Result<void> Walker::walk_table(model::Proto proto, const WalkRequest& request, const Visit& visit,
                                const Pause& pause, model::PortView& view) {
  const Fd& fd = proto == model::Proto::udp       ? udp_
                 : proto == model::Proto::udplite ? udplite_
                                                  : tcp_;
  if (!fd) return {};
  *cursor_ = bl_walk{};
  cursor_->table = table_of(proto);
  cursor_->fd = fd.get();
  cursor_->port = request.port;
  cursor_->netns = request.netns;
  cursor_->no_files = !request.files;
  cursor_->timewait = request.timewait;
  model::RowAssembler assembler(view);
  while (cursor_->done == 0) {
    if (auto ran = run_once(); !ran) return ran;
    if (!take_rows(assembler)) return fail("the walk wrote rows that make no sense");
    if (visit) assembler.take_complete(visit);
    if (pause) pause();
  }
  if (cursor_->done != 1) return fail("the kernel's table could not be found");
  view.torn = view.torn || cursor_->torn != 0;
  report_.retries += cursor_->retries;
  return {};
}

Result<void> Walker::walk_tables(const WalkRequest& request, const Visit& visit, const Pause& pause,
                                 model::PortView& view) {
  const MonoNs start = monotonic_now();
  report_ = {};
  for (const model::Proto proto : request.protos)
    if (proto != model::Proto::mptcp)
      if (auto walked = walk_table(proto, request, visit, pause, view); !walked)
        return fail(walked.error(), std::string(to_string(proto)));
  report_.duration_ns = monotonic_now() - start;
  return {};
}

Result<model::PortView> Walker::walk(const WalkRequest& request, const Pause& pause) {
  model::PortView view;
  if (auto walked = walk_tables(request, {}, pause, view); !walked)
    return std::unexpected(walked.error());
  return view;
}

Result<bool> Walker::for_each(const WalkRequest& request, const Visit& visit, const Pause& pause) {
  model::PortView view;
  if (auto walked = walk_tables(request, visit, pause, view); !walked)
    return std::unexpected(walked.error());
  return !view.torn;
}

} // namespace bindlens::kernel
