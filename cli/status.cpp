#include "commands.h"
#include "fetch.h"
#include "screens.h"
#include "text.h"

#include <map>

namespace bindlens::cli {
namespace {

using protocol::StatusView;

constexpr size_t label_width = 15;

// "label          text", the text wrapped beside its label.
std::string entry(std::string_view label, std::string_view text, const Style& style) {
  std::string lines = paragraph(text, label_width, 0, style);
  lines.replace(0, label.size(), label);
  return lines;
}

std::string listed(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& t : texts)
    out += (out.empty() ? "" : ", ") + t;
  return out.empty() ? "nothing" : out;
}

int64_t ns(uint64_t t) {
  return static_cast<int64_t>(t);
}

std::string table_text(const StatusView& s) {
  std::string text = count_of(s.sockets, "socket") + " in " + count_of(s.namespaces, "namespace");
  if (s.verified_ago_ns)
    text += ", verified " + duration(ns(*s.verified_ago_ns)) + " ago, " +
            count_of(s.differences, "difference");
  else
    text += ", not yet verified";
  if (!s.source.empty())
    text += "; last snapshot by " + s.source + " in " + duration(ns(s.snapshot_ns));
  return text;
}

std::string events_text(const StatusView& s) {
  const std::string skipped =
      s.skipped_runs == 0
          ? ""
          : " (the kernel left out " + count_of(s.skipped_runs, "run") + " of a hook)";
  const std::string uncounted =
      s.uncounted == 0 ? "" : "; " + thousands(s.uncounted) + " not counted of reuseport members";
  return thousands(s.events_seen) + " seen, " + thousands(s.events_lost) + " lost" + skipped +
         ", " + count_of(s.resyncs, "resync") + uncounted;
}

std::string kept_text(const StatusView& s) {
  return thousands(s.failures_seen) +
         " seen; kept in memory: " + count_of(s.failures_kept, "failure") + ", " +
         count_of(s.events_kept, "event");
}

std::string megabytes(uint64_t bytes) {
  const uint64_t tenths = (bytes * 10 + (1u << 19)) >> 20;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MB";
}

std::string history_text(const StatusView::HistoryFile& h) {
  std::string text = h.path + ": " + megabytes(h.bytes) + " of " + megabytes(h.max_bytes) + ", " +
                     count_of(h.events, "event");
  if (h.oldest) text += " since " + log_time(*h.oldest);
  if (h.lost != 0) text += "; " + count_of(h.lost, "event") + " could not be written";
  return text;
}

std::string history_entries(const StatusView& s, const Style& style) {
  if (!s.history_file) return entry("history", "in memory alone (--state-dir none)", style);
  const StatusView::HistoryFile& h = *s.history_file;
  std::string out = entry("history", history_text(h), style);
  if (h.state == "waiting") out += entry("", "kept in memory for now: " + h.problem, style);
  if (!h.set_aside.empty()) out += entry("", "a damaged file is now " + h.set_aside, style);
  return out;
}

std::string audit_text(const StatusView::Audit& a) {
  if (a.interval_s == 0) return "looked for only when 'bindlens audit' asks";
  std::string text = thousands(a.findings) + " known; looked for " + count_of(a.runs, "time");
  if (a.runs != 0) text += ", " + duration(ns(a.cpu_ns / a.runs)) + " of a processor each";
  return text;
}

std::string rules_text(const StatusView& s) {
  std::string text;
  for (const auto& v : s.rules)
    text += (text.empty() ? "" : ", ") + v.name + " " + v.value + (v.assumed ? " (assumed)" : "");
  if (s.calibration_ns != 0) text = "calibrated in " + duration(ns(s.calibration_ns)) + ": " + text;
  return text;
}

// What works is one word each, by tier; what does not gets its own line and
// reason.
std::string hook_entries(const StatusView& s, const Style& style) {
  std::map<std::string, std::string> attached; // tier to names
  std::string missing;
  for (const auto& h : s.hooks) {
    if (h.state == "attached") {
      std::string& names = attached[h.tier];
      names += (names.empty() ? "" : ", ") + h.name;
      continue;
    }
    std::string text = h.name + " " + h.state;
    if (!h.detail.empty()) text += ": " + h.detail;
    if (!h.effect.empty()) text += "; " + h.effect;
    missing += entry("", text, style);
  }
  std::string out;
  for (const auto& [tier, names] : attached)
    out += entry(out.empty() ? "hooks" : "", tier + ": " + names, style);
  return (out.empty() ? entry("hooks", "none attached", style) : out) + missing;
}

} // namespace

std::string status_screen(const StatusView& s, const Style& style) {
  std::string head =
      "bindlensd " + s.version + ", up " + duration(ns(s.uptime_ns)) + ", tier " + s.tier;
  if (!s.tier_reason.empty()) head += " (" + s.tier_reason + ")";
  std::string out = paragraph(head, 0, 2, style);
  out += entry("table", table_text(s), style);
  if (!s.complete)
    out += entry("", "incomplete now: events were lost, a new snapshot is on its way", style);
  out += entry("events", events_text(s), style);
  out += entry("failures", kept_text(s), style);
  if (s.audit) out += entry("findings", audit_text(*s.audit), style);
  out += history_entries(s, style);
  out += hook_entries(s, style);
  out += entry("observed", listed(s.observed), style);
  if (!s.reconstructed.empty()) out += entry("reconstructed", listed(s.reconstructed), style);
  if (!s.rules.empty()) out += entry("rules", rules_text(s), style);
  return out;
}

int run_status(const Common& common) {
  if (common.json) {
    const auto copied = copy_answer(common, "/v1/status");
    return copied ? finish(common, exit_done) : copied.error();
  }
  const auto body = fetch_document(common, "/v1/status");
  if (!body) return body.error();
  const auto status = protocol::read_status(*body);
  if (!status) return complain(exit_error, status.error().text);
  common.out->write(status_screen(*status, common.style));
  return finish(common, exit_done);
}

} // namespace bindlens::cli
