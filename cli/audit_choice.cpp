#include "audit_choice.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace bindlens::cli {
namespace {

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

model::Severity severity_of(const protocol::FindingView& f) {
  // One that this version does not know is taken seriously.
  return model::parse_severity(f.severity).value_or(model::Severity::critical);
}

} // namespace

std::string finding_ids_text() {
  std::string text;
  std::string_view separator;
  for (const model::FindingId id : model::all_finding_ids()) {
    text += separator;
    text += to_string(id);
    separator = ", ";
  }
  return text;
}

bool AuditChoice::tells_of(const protocol::FindingView& f) const {
  const bool is_ignored = std::ranges::any_of(
      ignored, [&](const Ignored& i) { return i.id == f.id && (i.port == 0 || i.port == f.port); });
  if (is_ignored) return false;
  const auto known = baseline.find(f.key);
  return known == baseline.end() || known->second < severity_of(f);
}

bool AuditChoice::fails_on(const protocol::FindingView& f) const {
  return fail_on && severity_of(f) >= *fail_on;
}

std::string_view AuditChoice::baseline_state(const protocol::FindingView& f) const {
  if (!has_baseline) return "";
  return baseline.contains(f.key) ? "updated" : "new";
}

std::expected<Ignored, std::string> parse_ignored(std::string_view text) {
  const size_t colon = text.find(':');
  const auto id = model::parse_finding_id(text.substr(0, colon));
  if (!id)
    return std::unexpected(in_quotes(text.substr(0, colon)) + " is no finding; there are " +
                           finding_ids_text());
  Ignored ignored{std::string(to_string(*id)), 0};
  if (colon == std::string_view::npos) return ignored;
  const auto port = model::parse_port(text.substr(colon + 1));
  if (!port || *port == 0)
    return std::unexpected(in_quotes(text.substr(colon + 1)) +
                           " is no port; a number from 1 to 65535 is expected");
  ignored.port = *port;
  return ignored;
}

std::expected<model::Severity, std::string> parse_fail_on(std::string_view text) {
  const auto severity = model::parse_severity(text);
  if (!severity) return std::unexpected(in_quotes(text) + " is not one of info, warning, critical");
  return *severity;
}

std::expected<Baseline, std::string> read_baseline(const std::string& path) {
  const std::string remedy = "; write one with 'bindlens audit --json > FILE'";
  errno = 0;
  std::ifstream file(path);
  if (!file) return std::unexpected(path + ": " + std::strerror(errno) + remedy);
  Baseline baseline;
  size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty()) continue;
    const auto finding = protocol::read_finding(line);
    if (!finding || finding->key.empty() || !model::parse_severity(finding->severity))
      return std::unexpected(path + ": line " + std::to_string(number) + " is no finding" + remedy);
    auto [it, fresh] = baseline.try_emplace(finding->key, severity_of(*finding));
    it->second = std::max(it->second, severity_of(*finding));
  }
  if (file.bad()) return std::unexpected(path + ": " + std::strerror(errno) + remedy);
  return baseline;
}

} // namespace bindlens::cli
