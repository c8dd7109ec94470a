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
  if (pause) pause();
  report_ = {};
  report_.duration_ns = monotonic_now() - start;
  return view;
}

} // namespace bindlens::kernel
