#include <bindlens/kernel/diag_source.h>

#include <bindlens/kernel/sock_diag.h>
#include <bindlens/util/clock.h>

#include <algorithm>

namespace bindlens::kernel {

Result<model::PortView> DiagSource::walk(const WalkRequest& request, const Pause& pause) {
  const MonoNs start = monotonic_now();
  model::PortView view = diag_snapshot(request.port);
  std::erase_if(view.buckets, [&](const model::Bucket& b) {
    const bool wanted =
        std::find(request.protos.begin(), request.protos.end(), b.proto) != request.protos.end();
    return !wanted || (request.netns != 0 && b.netns != request.netns);
  });
  if (request.timewait)
    for (model::Bucket& b : view.buckets)
      std::erase_if(b.sockets,
                    [](const model::Socket& s) { return !s.is(model::SocketFlag::timewait); });
  if (pause) pause();
  report_ = {};
  report_.duration_ns = monotonic_now() - start;
  return view;
}

Result<bool> DiagSource::for_each(const WalkRequest& request, const Visit& visit,
                                  const Pause& pause) {
  const auto view = walk(request, pause);
  if (!view) return std::unexpected(view.error());
  std::ranges::for_each(view->buckets, visit);
  return !view->torn;
}

} // namespace bindlens::kernel
