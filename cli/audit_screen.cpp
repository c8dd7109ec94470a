#include "phrases.h"
#include "screens.h"
#include "text.h"

#include <algorithm>

namespace bindlens::cli {
namespace {

using protocol::FindingView;

constexpr size_t indent = 2;
constexpr size_t table_indent = 4;
constexpr std::string_view arrow = "  ->  ";

std::string colored(const std::string& severity, const Style& style) {
  if (severity == "critical") return style.critical(severity);
  if (severity == "warning") return style.warning(severity);
  return severity;
}

std::string headline(const FindingView& f, const Style& style, uint32_t own_netns) {
  constexpr size_t severity_width = 10; // "critical  "
  const size_t gap =
      f.severity.size() < severity_width ? severity_width - f.severity.size() : size_t{1};
  std::string out = colored(f.severity, style) + std::string(gap, ' ') + plain(f.id);
  if (f.netns != own_netns)
    out += "  namespace " + (f.netns_name.empty() ? std::to_string(f.netns) : plain(f.netns_name));
  return out + "\n";
}

// Destination and receiver; the receiver carries on below where a line is too short.
std::string delivery_table(const FindingView& f, const Style& style) {
  size_t widest = 0;
  for (const auto& d : f.delivery)
    widest = std::max(widest, display_width(plain(d.destination)));
  std::string out;
  for (const auto& d : f.delivery) {
    const std::string name = plain(d.destination);
    const std::string head = std::string(table_indent, ' ') + name +
                             std::string(widest - display_width(name), ' ') + std::string(arrow);
    const size_t room =
        style.text_width() > head.size() + 20 ? style.text_width() - head.size() : 20;
    std::string begin = head;
    for (const std::string& line : wrap(d.receiver, room)) {
      out += begin + line + "\n";
      begin.assign(table_indent + widest + arrow.size(), ' ');
    }
  }
  return out;
}

std::string counted(uint64_t n, std::string_view one, std::string_view many) {
  return std::to_string(n) + " " + std::string(n == 1 ? one : many);
}

} // namespace

std::string finding_screen(const FindingView& f, const Style& style, uint32_t own_netns) {
  std::string out = headline(f, style, own_netns) + paragraph(f.summary, indent, 0, style);
  out += delivery_table(f, style);
  if (!f.detail.empty()) out += paragraph(f.detail, indent, 0, style);
  for (const std::string& sentence : f.advice)
    out += paragraph("- " + sentence, indent, 2, style);
  return out;
}

std::string tally_text(const Tally& t) {
  const uint64_t all = t.critical + t.warnings + t.infos;
  if (all == 0) return "no findings";
  std::string text = count_of(all, "finding") + ": ";
  std::string_view separator;
  const auto add = [&](uint64_t n, std::string_view one, std::string_view many) {
    if (n == 0) return;
    text += separator;
    text += counted(n, one, many);
    separator = ", ";
  };
  add(t.critical, "critical", "critical");
  add(t.warnings, "warning", "warnings");
  add(t.infos, "info", "infos");
  return text + "; 'bindlens audit --explain ID' tells more";
}

} // namespace bindlens::cli
