#include "commands.h"
#include "fetch.h"
#include "phrases.h"
#include "screens.h"
#include "text.h"
#include "timeline.h"

namespace bindlens::cli {
namespace {

using protocol::EventView;

constexpr size_t type_width = 9; // the usual types; longer ones push on

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string gap_text(const EventView& e) {
  if (!e.missing.empty()) return missing_text(e);
  const std::string reason = e.reason.empty() ? "" : ": " + plain(e.reason);
  return count_of(e.lost, "event") + " lost here" + reason;
}

std::string fail_text(const protocol::FailureView& f) {
  std::string text = f.error + "  " + f.call + " " + socket_text(f.asked);
  if (f.process) text += "  " + process_text(*f.process);
  if (!f.rule.empty()) text += "  rule " + f.rule;
  if (!f.holders.empty()) {
    const std::string owner = owner_text(f.holders.front());
    text += "  holder " + socket_text(f.holders.front()) + (owner == "-" ? "" : " " + owner);
  }
  return text;
}

std::string finding_text(const EventView& e) {
  const protocol::FindingView& f = *e.finding;
  std::string text =
      (e.resolved ? "gone" : plain(f.severity)) + "  " + plain(f.id) + "  " + plain(f.summary);
  if (f.netns_name != "host")
    text += "  netns " + (f.netns_name.empty() ? std::to_string(f.netns) : plain(f.netns_name));
  return text;
}

std::string change_text(const EventView& e) {
  if (e.type == "start" || e.type == "stop") return "bindlensd";
  std::string text = socket_text(e.socket);
  if (e.process || !e.reuse) // a SYN is nobody's call
    text += "  " + (e.process ? process_text(*e.process) : std::string("kernel"));
  if (e.process)
    if (const std::string place = place_text(*e.process); !place.empty())
      text += " (" + place + ")";
  for (const std::string& flag : flag_texts(e.socket))
    text += "  " + flag;
  // Nearly all happens in the host's namespace: only others are worth a word.
  if (e.socket.netns_name != "host") text += "  netns " + netns_text(e.socket);
  return text;
}

std::string reuse_text_of(const EventView& e) {
  std::string text = reuse_text(e.reuse->kind, e.reuse->sockets) + "  " + change_text(e);
  if (!e.reuse->harmless) text += "  not harmless";
  if (e.reuse->evidence == "reconstructed") text += "  (reconstructed)";
  if (e.reuse->left_out != 0) text += "  (" + thousands(e.reuse->left_out) + " more not told)";
  return text;
}

std::string event_text(const EventView& e) {
  if (e.type == "gap") return gap_text(e);
  if (e.failure) return fail_text(*e.failure);
  if (e.reuse) return reuse_text_of(e);
  return e.finding ? finding_text(e) : change_text(e);
}

// Colour for what is wrong, and not for what is no more.
std::string colored(const EventView& e, const std::string& text, const Style& style) {
  const std::string severity = e.finding && !e.resolved ? e.finding->severity : "";
  if (e.type == "fail" || severity == "critical") return style.critical(text);
  const bool harmful = e.reuse && !e.reuse->harmless;
  return e.type == "gap" || harmful || severity == "warning" ? style.warning(text) : text;
}

bool is_one_port(const Query& query) {
  const auto& ports = query.spec.ports;
  return ports.size() == 1 && ports[0].first == ports[0].last;
}

void say_where_to_look(const Query& query) {
  const protocol::FilterSpec& s = query.spec;
  const bool in_memory = !s.since && !s.until && !s.limit && !s.follow;
  if (in_memory)
    complain(exit_done, "no event matches since the daemon's start; --since 1h looks further back");
}

} // namespace

std::string event_line(const EventView& e, const Style& style) {
  // A narrow terminal is better used for who it was than for which day.
  constexpr size_t narrow = 72, date_width = 7;
  std::string text =
      log_time(e.time) + "  " + padded(plain(e.type), type_width) + "  " + event_text(e);
  if (style.width != 0 && style.width < narrow) text.erase(0, date_width);
  if (style.width != 0) text = cut(text, style.width);
  return colored(e, text, style) + "\n";
}

int run_events(const Common& common, const Query& query) {
  const std::string target = protocol::make_target("/v1/events", query.parameters);
  if (query.spec.follow) common.out->write_directly();
  if (common.json) {
    const auto copied = copy_answer(common, target);
    return copied ? finish(common, exit_done) : copied.error();
  }
  Timeline timeline(common.style);
  const bool one_port = is_one_port(query);
  bool any = false;
  Result<void> readable;
  const auto fetched = for_each_line(
      common, target,
      [&](std::string_view line) {
        const auto event = protocol::read_event(line);
        if (!event) readable = std::unexpected(event.error());
        any = true;
        return event && common.out->write(one_port ? timeline.lines(*event)
                                                   : event_line(*event, common.style));
      },
      [&] { common.out->flush(); });
  if (!fetched) return fetched.error();
  if (!readable) return complain(exit_error, readable.error().text);
  if (!any && !common.out->gone()) say_where_to_look(query);
  return finish(common, exit_done);
}

} // namespace bindlens::cli
