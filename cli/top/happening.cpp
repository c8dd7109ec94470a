#include "happening.h"

#include <charconv>

namespace bindlens::cli::top {
namespace {

constexpr int64_t second = 1'000'000'000;

Kind kind_of(std::string_view type) {
  if (type == "bind" || type == "autobind") return Kind::bind;
  if (type == "listen") return Kind::listen;
  if (type == "connect") return Kind::connect;
  if (type == "release") return Kind::release;
  if (type == "fail") return Kind::fail;
  if (type == "gap") return Kind::gap;
  if (type == "audit") return Kind::audit;
  return Kind::other;
}

// What stands behind `begin`, up to the next quote.
std::optional<std::string_view> quoted_after(std::string_view line, std::string_view begin,
                                             size_t from = 0) {
  const size_t at = line.find(begin, from);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = line.substr(at + begin.size());
  return rest.substr(0, rest.find('"'));
}

// Neighbours in the stream are of the same second nearly always, and reading a
// time costs more than all the rest.
std::optional<protocol::WallNs> time_of(std::string_view text) {
  constexpr std::string_view shape = "2026-03-01T03:11:07.482113905Z";
  constexpr size_t to_seconds = 19;
  thread_local std::string last_text;
  thread_local protocol::WallNs last_time = 0;
  if (text.size() != shape.size()) return std::nullopt;
  if (text.substr(0, to_seconds) != last_text) {
    const auto parsed = protocol::parse_time(text, 0);
    if (!parsed) return std::nullopt;
    last_text = text.substr(0, to_seconds);
    last_time = *parsed / second * second;
  }
  int64_t fraction = 0;
  const char* end = text.data() + text.size() - 1;
  const auto [rest, error] = std::from_chars(text.data() + to_seconds + 1, end, fraction);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return last_time + fraction;
}

} // namespace

std::optional<Happening> scan_happening(std::string_view line) {
  // A quote inside of a JSON text has a backslash before it, so none of these
  // can be found in the middle of a value.
  constexpr std::string_view process = ",\"process\":{\"pid\":";
  const auto type = quoted_after(line, "\"type\":\"");
  const auto time_text = quoted_after(line, "\"time\":\"");
  if (!type || !time_text || !line.ends_with('}')) return std::nullopt;
  Happening h;
  h.kind = kind_of(*type);
  if (h.kind >= Kind::fail) return std::nullopt;
  const auto time = time_of(*time_text);
  if (!time) return std::nullopt;
  h.time = *time;
  const size_t at = line.find(process);
  if (at == std::string_view::npos) return h;
  const char* begin = line.data() + at + process.size();
  if (std::from_chars(begin, line.data() + line.size(), h.pid).ec != std::errc{})
    return std::nullopt;
  const auto comm = quoted_after(line, ",\"comm\":\"", at);
  if (!comm || comm->find('\\') != std::string_view::npos) return std::nullopt;
  h.comm = *comm;
  return h;
}

Result<Happening> read_happening(std::string_view line) {
  if (auto scanned = scan_happening(line)) return std::move(*scanned);
  auto event = protocol::read_event(line);
  if (!event) return std::unexpected(event.error());
  Happening h;
  h.kind = kind_of(event->type);
  h.time = event->time;
  if (event->process) {
    h.pid = event->process->pid;
    h.comm = std::move(event->process->comm);
  }
  h.lost = event->lost;
  h.by_reader = event->id == 0 && !event->reason.empty();
  if (event->failure)
    h.failure = std::make_shared<const protocol::FailureView>(std::move(*event->failure));
  return h;
}

} // namespace bindlens::cli::top
