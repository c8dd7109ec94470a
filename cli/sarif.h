#pragma once

// Findings as SARIF 2.1.0, the format in which code scanners and CI systems
// exchange results.

#include <bindlens/protocol/view.h>

#include <string>
#include <string_view>
#include <vector>

namespace bindlens::cli {

// One finding: what was read of it, and the line as the daemon sent it.
struct SarifResult {
  protocol::FindingView finding;
  std::string json;
  std::string_view baseline_state; // "new", "updated"; empty without a baseline
};

// A whole document, with a newline at the end. The rules are the findings that
// this version knows, with their pages of docs/audit.md as help.
[[nodiscard]] std::string sarif_document(const std::vector<SarifResult>& results);

// "error", "warning", "note"
[[nodiscard]] std::string_view sarif_level(std::string_view severity);

} // namespace bindlens::cli
