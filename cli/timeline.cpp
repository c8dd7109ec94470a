#include "timeline.h"

#include "phrases.h"
#include "screens.h"
#include "text.h"

#include <cmath>
#include <cstdio>

namespace bindlens::cli {
namespace {

using protocol::EventView;
using protocol::FailureView;
using protocol::SocketView;

constexpr int64_t millisecond = 1'000'000;
constexpr int64_t second = 1000 * millisecond;
constexpr int64_t minute = 60 * second;
constexpr int64_t hour = 60 * minute;
constexpr size_t time_width = 15;       // "03:11:07.482113"
constexpr size_t difference_width = 10; // "+12.4 ms"
constexpr size_t narrow = 60;           // below, text goes under its time
constexpr size_t narrow_indent = 4;

std::string one_decimal(double value, const char* unit) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f %s", value, unit);
  return text;
}

// Microseconds: two things in one millisecond have an order.
std::string time_of_day(protocol::WallNs t) {
  return log_time(t).substr(log_time(t).find_last_of(' ') + 1);
}

std::string date_of(protocol::WallNs t) {
  const std::string text = clock_time(t, 0); // with its date, unless it is 1970
  return text.substr(0, text.find(' '));
}

std::string who(const EventView& e) {
  if (!e.process) return "the kernel";
  const std::string place = place_text(*e.process);
  return process_text(*e.process) + (place.empty() ? "" : " (" + place + ")");
}

std::string where(const SocketView& s) {
  return s.netns_name == "host" || s.netns == 0 ? "" : ", netns " + netns_text(s);
}

std::string flags_of(const SocketView& s) {
  std::string text;
  for (const std::string& flag : flag_texts(s))
    text += (text.empty() ? " with " : ", ") + flag;
  return text;
}

// "refused: bind tcp 0.0.0.0:8080 by nginx[4121] (nginx.service): EADDRINUSE, …"
std::string refusal(const FailureView& f) {
  std::string text = (f.process ? process_text(*f.process) : "unknown process") +
                     " refused: " + f.call + " " + socket_text(f.asked) + ", " + f.error;
  if (!f.rule.empty()) text += ", rule " + f.rule;
  if (!f.holders.empty()) {
    const SocketView& h = f.holders.front();
    const std::string owner = owner_text(h);
    text += ", held by " + (owner == "-" ? h.state : owner) + " on " + address_text(h);
  }
  if (f.holders.size() > 1) text += " and " + count_of(f.holders.size() - 1, "more socket");
  return text + where(f.asked);
}

std::string sentence(const EventView& e) {
  const std::string socket = socket_text(e.socket);
  if (e.type == "bind") return who(e) + " took " + socket + flags_of(e.socket) + where(e.socket);
  if (e.type == "autobind" || e.type == "connect")
    return who(e) + " got " + socket + " by " + e.type + where(e.socket);
  if (e.type == "listen") return who(e) + " listens on " + socket + where(e.socket);
  if (e.type == "release")
    return socket + " released" + (e.process ? ", bound by " + who(e) : "") + where(e.socket);
  if (e.failure) return refusal(*e.failure);
  if (e.finding)
    return "audit: " + plain(e.finding->id) + (e.resolved ? " is gone" : ", ") +
           (e.resolved ? "" : plain(e.finding->summary));
  if (e.type == "gap") return count_of(e.lost, "event") + " lost here " + plain(e.reason);
  return who(e) + " " + plain(e.type) + " " + socket + where(e.socket);
}

} // namespace

std::string difference_text(int64_t t) {
  const char* sign = t < 0 ? "-" : "+";
  const auto d = static_cast<double>(std::abs(t));
  if (std::abs(t) < second) return sign + one_decimal(d / 1e6, "ms");
  if (std::abs(t) < minute) return sign + one_decimal(d / 1e9, "s");
  if (std::abs(t) < hour) return sign + one_decimal(d / 60e9, "min");
  return sign + one_decimal(d / 3600e9, "h");
}

std::string missing_text(const EventView& e) {
  const std::string what = e.missing == "counted"
                               ? count_of(e.counted, "socket") + " not shown: " + plain(e.reason)
                           : e.lost != 0 ? count_of(e.lost, "event") + " lost: " + plain(e.reason)
                                         : plain(e.reason);
  if (e.time == 0) return what + ", until " + clock_time(e.until, 0);
  const bool same_day = date_of(e.time) == date_of(e.until);
  return what + ", from " + clock_time(e.time, 0) + " to " +
         clock_time(e.until, same_day ? e.until : 0);
}

std::string Timeline::since_last(protocol::WallNs t) {
  std::string text = last_ ? difference_text(t - *last_) : "";
  last_ = t;
  if (text.size() < difference_width) text.insert(0, difference_width - text.size(), ' ');
  return text;
}

std::string Timeline::lines(const EventView& e) {
  std::string out;
  if (const std::string date = date_of(e.time); date != date_ && e.time != 0) {
    date_ = date;
    out += "-- " + date + " --\n";
  }
  if (!e.missing.empty()) return out + style_.warning("-- " + missing_text(e) + " --") + "\n";
  const std::string head = time_of_day(e.time) + " " + since_last(e.time) + "  ";
  const std::string text = sentence(e);
  const auto colored = [&](const std::string& line) {
    return e.type == "fail" ? style_.critical(line) : line;
  };
  if (style_.width == 0) return out + head + colored(text) + "\n";
  const size_t indent = style_.width < narrow ? narrow_indent : head.size();
  const auto parts = wrap(text, style_.width > indent ? style_.width - indent : 1);
  bool first = style_.width >= narrow;
  if (!first) out += head.substr(0, time_width + 1 + difference_width) + "\n";
  for (const std::string& line : parts) {
    out += (first ? head : std::string(indent, ' ')) + colored(line) + "\n";
    first = false;
  }
  return out;
}

} // namespace bindlens::cli
