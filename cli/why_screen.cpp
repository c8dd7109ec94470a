#include "phrases.h"
#include "screens.h"
#include "text.h"

namespace bindlens::cli {
namespace {

using protocol::FailureView;
using protocol::ProcessView;
using protocol::SocketView;
using protocol::StatusView;

constexpr size_t margin = 2;
constexpr size_t label_width = 9; // "Holder   "
constexpr size_t most_holders = 4;

std::string spaces(size_t n) {
  return std::string(n, ' ');
}

// "nginx[4121] (nginx.service, www-data)"
std::string caller_text(const ProcessView& p) {
  std::string inside = place_text(p);
  if (const std::string user = user_text(p); !user.empty())
    inside += (inside.empty() ? "" : ", ") + user;
  return process_text(p) + (inside.empty() ? "" : " (" + inside + ")");
}

// The error, what was asked, and by whom; in two lines where one is too narrow.
std::string headline(const FailureView& f, const Style& style) {
  const std::string asked = f.call + " " + socket_text(f.asked);
  const std::string caller = f.process ? caller_text(*f.process) : "unknown process";
  const size_t indent = f.error.size() + margin;
  const std::string head = style.critical(f.error) + spaces(margin) + asked;
  if (indent + display_width(asked) + 3 + display_width(caller) <= style.text_width())
    return head + spaces(3) + caller + "\n";
  return head + "\n" + paragraph(caller, indent, 0, style);
}

std::string when_and_where(const FailureView& f, const Style& style, protocol::WallNs now) {
  std::string text = clock_time(f.time, now);
  if (f.count > 1)
    text += ", " + thousands(f.count) + " times since " + clock_time(f.first_time, now);
  text += ", namespace " + netns_text(f.asked);
  std::string_view separator = ", with ";
  for (const std::string& flag : flag_texts(f.asked)) {
    text += separator;
    text += flag;
    separator = ", ";
  }
  return paragraph(text, f.error.size() + margin, 0, style);
}

// The explanation, with the rule's id at the right of its last line.
std::string refusal(const FailureView& f, const Style& style) {
  const std::string explanation =
      f.explanation.empty() ? "the kernel refused and the reason is not known" : f.explanation;
  const size_t width = style.text_width();
  auto lines = wrap("Refused: " + explanation, width - margin);
  if (!f.rule.empty()) {
    const std::string rule = "rule " + f.rule;
    if (margin + display_width(lines.back()) + margin + rule.size() > width) lines.emplace_back();
    const size_t used = margin + display_width(lines.back());
    lines.back() += spaces(width - used - rule.size()) + rule;
  }
  std::string out;
  for (const std::string& line : lines)
    out += spaces(margin) + line + "\n";
  return out;
}

std::string first_holder_line(const SocketView& s) {
  std::string text = socket_text(s) + "  " + s.state;
  for (const std::string& flag : flag_texts(s))
    text += "  " + flag;
  if (s.backlog)
    text +=
        "  backlog " + std::to_string(s.backlog->current) + "/" + std::to_string(s.backlog->max);
  return text;
}

std::string bound_text(const SocketView& s, protocol::WallNs now) {
  if (s.timewait_left_ms) return "gone in " + duration(int64_t{*s.timewait_left_ms} * 1'000'000);
  if (!s.bound_at && !s.binder) return {};
  std::string text = "bound";
  if (s.bound_at) text += " " + duration(now - *s.bound_at) + " ago";
  if (s.binder) text += " by " + process_text(*s.binder);
  if (s.binder && s.binder_exited) text += ", which has exited";
  return text;
}

std::string one_holder(const ProcessView& p, const SocketView& s) {
  std::string text = process_text(p);
  if (p.fd) text += " fd " + std::to_string(*p.fd);
  std::string about;
  const auto add = [&](const std::string& what) { about += (about.empty() ? "" : ", ") + what; };
  if (s.binder && s.binder->pid != p.pid && p.ppid == s.binder->pid)
    add("child of " + std::to_string(p.ppid));
  if (const std::string user = user_text(p); !user.empty()) add("user " + user);
  if (const std::string place = place_text(p); !place.empty()) add(place);
  return about.empty() ? text : text + " (" + about + ")";
}

std::string open_text(const SocketView& s) {
  if (s.released_at)
    return "let go at " + clock_time(*s.released_at, *s.released_at) + ", after the refusal";
  if (s.kernel) return "made by the kernel itself, no process has it";
  if (s.state == "TIME_WAIT") return {};
  if (!s.holders) return "who has it open could not be listed in time";
  if (s.holders->empty() && s.orphan)
    return s.state == "ESTABLISHED" || s.state == "CLOSE_WAIT" || s.state == "SYN_RECV"
               ? "no process has accepted it yet"
               : "no process has it open any more: it was closed";
  if (s.holders->empty()) return "no process was found that has it open";
  std::string text = "open in ";
  size_t told = 0;
  for (const ProcessView& p : *s.holders) {
    if (told == most_holders) break;
    text += (told++ == 0 ? "" : ", ") + one_holder(p, s);
  }
  if (s.holders->size() > told)
    text += " and " + count_of(s.holders->size() - told, "more descriptor");
  return text;
}

std::string advice_lines(const FailureView& f, const Style& style) {
  if (f.advice.empty()) return {};
  std::string out = "\n" + spaces(margin) + (f.advice.size() > 1 ? "Do one of\n" : "Do\n");
  for (const std::string& sentence : f.advice)
    out += paragraph("- " + sentence, 2 * margin, 2, style);
  return out;
}

std::string evidence_text(const FailureView& f) {
  std::string text = f.evidence == "reconstructed" ? "Reconstructed after the call"
                                                   : "Observed at the moment of the call";
  return text + (f.complete ? "; no events were lost."
                            : "; events were lost around it, so holders may be missing.");
}

} // namespace

std::string paragraph(std::string_view text, size_t indent, size_t hang, const Style& style) {
  std::string out;
  size_t in = indent;
  for (const std::string& line : wrap(text, style.text_width() - indent - hang)) {
    out += spaces(in) + line + "\n";
    in = indent + hang;
  }
  return out;
}

std::string holder_lines(const std::vector<SocketView>& holders, size_t indent, const Style& style,
                         protocol::WallNs now) {
  std::string out;
  size_t told = 0;
  for (const SocketView& s : holders) {
    if (told++ == most_holders) break;
    const std::string first = first_holder_line(s);
    if (indent + display_width(first) <= style.text_width())
      out += spaces(indent) + first + "\n";
    else
      out += paragraph(first, indent, 2, style);
    for (const std::string& text : {bound_text(s, now), open_text(s)})
      if (!text.empty()) out += paragraph(text, indent, 2, style);
  }
  if (holders.size() > most_holders)
    out += paragraph("and " + count_of(holders.size() - most_holders, "more socket") +
                         " (--json lists them)",
                     indent, 0, style);
  return out;
}

std::string why_screen(const FailureView& f, const Style& style, protocol::WallNs now) {
  std::string out = headline(f, style) + when_and_where(f, style, now) + "\n" + refusal(f, style);
  if (!f.holders.empty()) {
    const std::string label = f.holders.size() > 1 ? "Holders" : "Holder";
    std::string lines = holder_lines(f.holders, margin + label_width, style, now);
    lines.replace(margin, label.size(), label);
    out += "\n" + lines;
  }
  if (f.bucket)
    out += "\n" + paragraph("The port is " + bucket_text(*f.bucket) + ".", margin, 0, style);
  out += advice_lines(f, style);
  return out + "\n" + paragraph(evidence_text(f), margin, 0, style);
}

std::string why_line(const FailureView& f, const Style& style, protocol::WallNs now) {
  std::string text = clock_time(f.time, now) + "  " + f.error + "  " + f.call + " " +
                     socket_text(f.asked) + "  " +
                     (f.process ? process_text(*f.process) : "unknown process");
  if (!f.rule.empty()) text += "  rule " + f.rule;
  if (f.count > 1) text += "  " + thousands(f.count) + " times";
  return (style.width == 0 ? text : cut(text, style.width)) + "\n";
}

std::string unseen_refusals(const StatusView& s) {
  std::string calls, reason;
  for (const StatusView::Hook& h : s.hooks) {
    if (h.state == "attached" || (h.name != "bind" && h.name != "listen" && h.name != "connect"))
      continue;
    calls += (calls.empty() ? "" : ", ") + h.name;
    reason = h.detail;
  }
  return calls.empty() ? "" : "refused calls of " + calls + " are not seen here: " + reason;
}

} // namespace bindlens::cli
