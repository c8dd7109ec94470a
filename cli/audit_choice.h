#pragma once

// Which findings `bindlens audit` tells of, and which make it fail.

#include <bindlens/model/finding.h>
#include <bindlens/protocol/view.h>

#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::cli {

// ID, or ID:PORT.
struct Ignored {
  std::string id;
  uint16_t port = 0; // 0 = every port
};

// The findings of an earlier audit: key and how severe each was.
using Baseline = std::map<std::string, model::Severity, std::less<>>;

struct AuditChoice {
  std::vector<Ignored> ignored;
  Baseline baseline;
  bool has_baseline = false;
  std::optional<model::Severity> fail_on;
  bool sarif = false; // the form of the answer

  // Nothing is left out and nothing fails.
  [[nodiscard]] bool takes_all() const { return ignored.empty() && !has_baseline && !fail_on; }
  // Neither ignored nor known: what was less severe in the baseline is new.
  [[nodiscard]] bool tells_of(const protocol::FindingView& f) const;
  [[nodiscard]] bool fails_on(const protocol::FindingView& f) const;
  // Of one that is told of, as SARIF names it: "new", or "updated" when the baseline
  // has it as less severe; empty without a baseline.
  [[nodiscard]] std::string_view baseline_state(const protocol::FindingView& f) const;
};

// The errors name what is wrong and what there is.
[[nodiscard]] std::expected<Ignored, std::string> parse_ignored(std::string_view text);
[[nodiscard]] std::expected<model::Severity, std::string> parse_fail_on(std::string_view text);
// `path` holds what `bindlens audit --json` printed.
[[nodiscard]] std::expected<Baseline, std::string> read_baseline(const std::string& path);

// "wildcard-conflict, dual-stack-overlap, …"
[[nodiscard]] std::string finding_ids_text();

} // namespace bindlens::cli
