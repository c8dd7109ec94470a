#include <bindlens/audit/audit.h>

#include "report.h"

#include <algorithm>
#include <tuple>

namespace bindlens::audit {

std::vector<model::Finding> audit(const Input& in, std::optional<MonoNs>* by_age) {
  Report report(in);
  for (const model::Bucket& bucket : in.view->buckets) {
    if (bucket.l3mdev != 0) continue;
    find_sharing(report, bucket);
    find_groups(report, bucket);
    find_ephemeral_overlap(report, bucket);
    find_holding(report, bucket);
    find_closing(report, bucket);
  }
  find_exhaustion(report);
  find_reuses(report);
  if (by_age != nullptr) *by_age = report.by_age();
  auto findings = report.take();
  const auto key = [](const model::Finding& f) {
    return std::tuple(-static_cast<int>(f.severity), f.id, f.netns, f.proto, f.port);
  };
  std::ranges::stable_sort(findings, {}, key);
  return findings;
}

} // namespace bindlens::audit
