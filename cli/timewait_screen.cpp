#include "phrases.h"
#include "screens.h"
#include "text.h"

namespace bindlens::cli {
namespace {

using protocol::ReuseView;
using protocol::TimeWaitView;

constexpr size_t indent = 2;
constexpr size_t most_reuses = 5;

std::string seconds(uint32_t ms) {
  return std::to_string((ms + 999) / 1000) + " s";
}

std::string headline(const TimeWaitView& t) {
  std::string text = socket_text(t.local);
  if (t.local.netns_name != "host") text += "  namespace " + netns_text(t.local);
  text += "  " + thousands(t.count) + " in TIME_WAIT";
  if (t.fin_wait2 != 0)
    text += ", " + thousands(t.fin_wait2) + " of them FIN_WAIT2, which the peer has not closed yet";
  return text;
}

// Who may bind over them, and until when that matters.
std::string restart_text(const TimeWaitView& t) {
  if (t.count == 0) return "";
  const std::string whose = t.count == 1 ? "Its connection" : "All their connections";
  if (t.reuseaddr == t.count)
    return whose + " had SO_REUSEADDR: a bind with SO_REUSEADDR gets the port, while nobody "
                   "listens on it.";
  if (t.reuseport == t.count)
    return whose + " had SO_REUSEPORT: a bind with SO_REUSEPORT gets the port, of any user.";
  std::string text = t.reuseaddr == 0 ? whose + " lacked SO_REUSEADDR"
                                      : thousands(t.count - t.reuseaddr) + " of the connections "
                                                                           "lacked SO_REUSEADDR";
  text += ": no bind gets the port";
  if (t.last_left_ms) text += " for another " + seconds(*t.last_left_ms);
  return text + ". Set SO_REUSEADDR on the listener, or on the client that binds, before it "
                "connects or accepts.";
}

std::string owners_text(const TimeWaitView& t) {
  std::string text;
  uint64_t known = 0;
  for (const TimeWaitView::Owner& o : t.owners) {
    if (!text.empty()) text += ", ";
    text += process_text(o.process);
    if (const std::string place = place_text(o.process); !place.empty()) text += " (" + place + ")";
    text += " " + thousands(o.count);
    known += o.count;
  }
  if (text.empty()) return "";
  if (known < t.count) text += ", not known " + thousands(t.count - known);
  return "Bound by " + text + ".";
}

std::string times_text(const TimeWaitView& t) {
  if (t.count == 0 || !t.last_left_ms) return "";
  if (t.count == 1) return "Gone in " + seconds(*t.last_left_ms) + ".";
  std::string text = "The last is gone in " + seconds(*t.last_left_ms);
  if (t.next_left_ms) text += ", the first in " + seconds(*t.next_left_ms);
  return text + ".";
}

std::string counts_text(const TimeWaitView& t) {
  std::string text;
  const auto add = [&](uint64_t n, std::string_view what) {
    if (n == 0) return;
    text += (text.empty() ? "" : ", ") + thousands(n) + " by " + std::string(what);
  };
  add(t.bind_reuses, "bind");
  add(t.connect_reuses, "connect");
  add(t.syn_reuses, "a new SYN");
  if (!text.empty()) text = "Reused: " + text + ".";
  if (t.linger_zero != 0)
    text += (text.empty() ? "" : " ") + count_of(t.linger_zero, "connection") +
            " closed with SO_LINGER 0: reset, without TIME_WAIT.";
  return text;
}

std::string reuse_line(const ReuseView& r, const Style& style, protocol::WallNs now) {
  std::string text = clock_time(r.time, now) + "  ";
  text += reuse_text(r.kind, r.sockets);
  if (r.process) text += "  " + process_text(*r.process);
  if (!r.socket.peer.empty()) text += "  peer " + plain(r.socket.peer);
  if (!r.harmless) text += "  old segments can arrive in the new connection";
  if (r.evidence == "reconstructed") text += "  (reconstructed)";
  if (r.left_out != 0) text += "  (" + thousands(r.left_out) + " before it not told one by one)";
  return paragraph(text, indent, 2, style);
}

} // namespace

std::string timewait_screen(const TimeWaitView& t, const Style& style, protocol::WallNs now) {
  std::string out = paragraph(headline(t), 0, 2, style);
  for (const std::string& text : {times_text(t), owners_text(t), restart_text(t), counts_text(t)})
    if (!text.empty()) out += paragraph(text, indent, 0, style);
  size_t told = 0;
  for (const ReuseView& r : t.reuses)
    if (told++ < most_reuses) out += reuse_line(r, style, now);
  return out;
}

} // namespace bindlens::cli
