#include "sarif.h"

#include "audit_pages.h"
#include "phrases.h"

#include <bindlens/model/finding.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

namespace bindlens::cli {
namespace {

using Json = nlohmann::ordered_json;
using protocol::FindingView;

// Version 1 of what goes into "key"; another version would have another name.
constexpr const char* fingerprint = "bindlensKey/v1";

// The paragraph behind "**What.**", in one line.
std::string paragraph_of(std::string_view page, std::string_view heading) {
  const std::string mark = "**" + std::string(heading) + "**";
  const size_t begin = page.find(mark);
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = page.substr(begin + mark.size());
  std::string text;
  for (const char c : rest.substr(0, rest.find("\n\n")))
    text += c == '\n' ? ' ' : c;
  const size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? ""
                                    : text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

// Without the heading and the marks of bold and italic text.
std::string as_plain_text(std::string_view page) {
  page.remove_prefix(std::min(page.find('\n'), page.size()));
  page.remove_prefix(std::min(page.find_first_not_of('\n'), page.size()));
  std::string text;
  for (const char c : page)
    if (c != '*') text += c;
  return text;
}

Json rule_of(model::FindingId id) {
  const std::string name(to_string(id));
  const std::string page(audit_page(name).value_or(""));
  return {{"id", name},
          {"shortDescription", {{"text", paragraph_of(page, "What.")}}},
          {"fullDescription", {{"text", paragraph_of(page, "Why it hurts.")}}},
          {"help", {{"text", as_plain_text(page)}, {"markdown", page}}}};
}

std::optional<size_t> index_of(const std::string& id) {
  const auto all = model::all_finding_ids();
  const auto it = std::ranges::find(all, id, [](model::FindingId i) { return to_string(i); });
  if (it == all.end()) return std::nullopt; // of a newer daemon
  return static_cast<size_t>(it - all.begin());
}

std::string namespace_text(const std::string& name, uint32_t netns) {
  return name.empty() ? std::to_string(netns) : name;
}

// A socket is no place in a file: it has a name and a namespace around it.
Json location_of(const protocol::SocketView& s) {
  const std::string name = socket_text(s);
  return {{"name", name},
          {"fullyQualifiedName", namespace_text(s.netns_name, s.netns) + "/" + name},
          {"kind", "resource"}};
}

std::string message_of(const FindingView& f) {
  std::string text = f.summary + ".";
  if (!f.detail.empty()) text += " " + f.detail;
  for (const auto& d : f.delivery)
    text += "\n" + d.destination + " -> " + d.receiver;
  return text;
}

Json result_of(const SarifResult& r) {
  const FindingView& f = r.finding;
  Json locations = Json::array();
  for (const protocol::SocketView& s : f.sockets)
    locations.push_back(location_of(s));
  Json result = {{"ruleId", f.id}};
  if (const auto index = index_of(f.id)) result["ruleIndex"] = *index;
  result["level"] = sarif_level(f.severity);
  result["message"] = {{"text", message_of(f)}};
  if (!locations.empty())
    result["locations"] = Json::array({{{"logicalLocations", std::move(locations)}}});
  if (!r.baseline_state.empty()) result["baselineState"] = r.baseline_state;
  result["partialFingerprints"] = {{fingerprint, f.key}};
  result["properties"] = Json::parse(r.json);
  return result;
}

} // namespace

std::string_view sarif_level(std::string_view severity) {
  if (severity == "info") return "note";
  return severity == "warning" ? "warning" : "error"; // one that is not known is serious
}

std::string sarif_document(const std::vector<SarifResult>& results) {
  Json rules = Json::array();
  for (const model::FindingId id : model::all_finding_ids())
    rules.push_back(rule_of(id));
  Json all = Json::array();
  for (const SarifResult& r : results)
    all.push_back(result_of(r));
  const Json driver = {{"name", "bindlens"}, {"version", BINDLENS_VERSION}, {"rules", rules}};
  const Json document = {
      {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
      {"version", "2.1.0"},
      {"runs", Json::array({{{"tool", {{"driver", driver}}}, {"results", all}}})}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace bindlens::cli
