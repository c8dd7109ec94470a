#include "commands.h"
#include "fetch.h"
#include "phrases.h"
#include "screens.h"
#include "text.h"

#include <bindlens/util/clock.h>

#include <algorithm>

namespace bindlens::cli {
namespace {

constexpr size_t indent = 5; // beside "yes" and "no"

std::string alternatives(const std::vector<std::string>& texts, std::string_view separator) {
  std::string out;
  for (const std::string& t : texts) {
    if (!out.empty()) out += separator;
    out += t;
  }
  return out;
}

std::string verdict(const protocol::CheckView& c, const Style& style) {
  if (c.would_succeed) return style.good("yes") + "  this would succeed now\n";
  std::string out = style.critical("no") + "   " + c.error;
  if (!c.rule.empty()) out += "   rule " + c.rule;
  return out + "\n";
}

} // namespace

std::string check_screen(const protocol::CheckView& c, const Style& style, protocol::WallNs now) {
  std::string out = verdict(c, style);
  if (!c.explanation.empty()) out += paragraph(c.explanation, indent, 0, style);
  out += holder_lines(c.holders, indent, style, now);
  if (c.bucket) out += paragraph("the port is " + bucket_text(*c.bucket), indent, 2, style);
  if (!c.minimal_change.empty())
    out +=
        paragraph("smallest change: " + alternatives(c.minimal_change, "; or "), indent, 2, style);
  for (const std::string& sentence : c.advice)
    if (std::ranges::find(c.minimal_change, sentence) == c.minimal_change.end())
      out += paragraph("- " + sentence, indent, 2, style);
  if (!c.unknown.empty())
    out +=
        paragraph("not decidable from outside: " + alternatives(c.unknown, "; "), indent, 2, style);
  return out;
}

int run_check(const Common& common, const std::string& body) {
  const auto answer = post_document(common, "/v1/check", body);
  if (!answer) return answer.error();
  const auto reply = protocol::read_check(*answer);
  if (!reply) return complain(exit_error, reply.error().text);
  const auto now = static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
  common.out->write(common.json ? *answer : check_screen(*reply, common.style, now));
  return finish(common, reply->would_succeed ? exit_done : exit_no);
}

} // namespace bindlens::cli
