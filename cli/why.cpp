#include "commands.h"
#include "fetch.h"
#include "screens.h"
#include "text.h"
#include "timeline.h"

#include <bindlens/util/clock.h>

#include <algorithm>

namespace bindlens::cli {
namespace {

// Without --limit: the newest failure in full, as that is the answer, and a
// line for each of so many before it.
constexpr size_t earlier_lines = 8;

// The one port that was asked for, for commands to try next.
std::string port_of(const Query& query) {
  const auto& ports = query.spec.ports;
  const bool is_one = ports.size() == 1 && ports[0].first == ports[0].last;
  return is_one ? std::to_string(ports[0].first) : "PORT";
}

std::string nothing_found(const Query& query, const std::string& asked) {
  const std::string port = port_of(query);
  return "no failure seen" + (asked.empty() ? "" : " for " + asked) +
         ", as far as the daemon remembers. 'bindlens ls --all --port " + port +
         "' shows who holds a port, 'bindlens check tcp \"*:" + port +
         "\"' tells whether a bind would succeed now";
}

// Where nothing was seen because nothing can be.
std::string unseen(const Common& common) {
  const auto document = fetch_document(common, "/v1/status");
  if (!document) return {};
  const auto status = protocol::read_status(*document);
  const std::string calls = status ? unseen_refusals(*status) : "";
  return calls.empty() ? "" : "; " + calls;
}

std::string earlier(const std::vector<protocol::FailureView>& failures, size_t from,
                    const Style& style, protocol::WallNs now) {
  if (from >= failures.size()) return {};
  const size_t to = std::min(failures.size(), from + earlier_lines);
  std::string out = "\nEarlier\n";
  for (size_t i = from; i < to; ++i) {
    Style narrower = style;
    if (style.width > 2) narrower.width = style.width - 2;
    out += "  " + why_line(failures[i], narrower, now);
  }
  if (to < failures.size())
    out += paragraph("and more; --limit N shows the newest N in full", 2, 0, style);
  return out;
}

int why_json(const Common& common, const std::string& target) {
  bool any = false;
  const auto fetched = for_each_line(common, target, [&](std::string_view line) {
    any = any || !protocol::read_missing(line);
    return common.out->write(line) && common.out->write("\n");
  });
  if (!fetched) return fetched.error();
  return finish(common, any ? exit_done : exit_no);
}

} // namespace

int run_why(const Common& common, const Query& query, const std::string& asked) {
  auto parameters = query.parameters;
  if (common.json) return why_json(common, protocol::make_target("/v1/failures", parameters));
  const bool limited = query.spec.limit.has_value();
  // One more than is shown, to know whether there is more.
  if (!limited) parameters.emplace_back("limit", std::to_string(earlier_lines + 2));

  std::vector<protocol::FailureView> failures;
  std::string missing;
  Result<void> readable;
  const auto fetched = for_each_line(
      common, protocol::make_target("/v1/failures", parameters), [&](std::string_view line) {
        if (const auto gap = protocol::read_missing(line)) {
          missing += paragraph("Not seen: " + missing_text(*gap), 0, 2, common.style);
          return true;
        }
        auto failure = protocol::read_failure(line);
        if (!failure) readable = std::unexpected(failure.error());
        if (failure) failures.push_back(std::move(*failure));
        return readable.has_value();
      });
  if (!fetched) return fetched.error();
  if (!readable) return complain(exit_error, readable.error().text);
  if (failures.empty()) {
    common.out->write(missing);
    return finish(common, complain(exit_no, nothing_found(query, asked) + unseen(common)));
  }

  const auto now = static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
  const size_t in_full = limited ? failures.size() : 1;
  for (size_t i = 0; i < in_full; ++i) {
    if (i > 0) common.out->write("\n");
    common.out->write(why_screen(failures[i], common.style, now));
  }
  common.out->write(earlier(failures, in_full, common.style, now));
  if (!missing.empty()) common.out->write("\n" + missing);
  return finish(common, exit_done);
}

} // namespace bindlens::cli
