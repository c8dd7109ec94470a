#include "commands.h"
#include "fetch.h"
#include "phrases.h"
#include "screens.h"

namespace bindlens::cli {
namespace {

void count(Tally& tally, const protocol::FindingView& f) {
  if (f.severity == "critical")
    ++tally.critical;
  else if (f.severity == "warning")
    ++tally.warnings;
  else
    ++tally.infos;
}

} // namespace

int run_audit(const Common& common, const Query& query, const AuditChoice& choice) {
  const std::string target = protocol::make_target("/v1/audit", query.parameters);
  if (common.json && choice.takes_all()) {
    const auto copied = copy_answer(common, target);
    return copied ? finish(common, exit_done) : copied.error();
  }
  const uint32_t here = own_netns();
  Tally tally;
  bool failed = false;
  Result<void> readable;
  const auto take = [&](std::string_view line) {
    const auto finding = protocol::read_finding(line);
    if (!finding) {
      readable = std::unexpected(finding.error());
      return false;
    }
    if (!choice.tells_of(*finding)) return true;
    count(tally, *finding);
    failed = failed || choice.fails_on(*finding);
    if (common.json) return common.out->write(line) && common.out->write("\n");
    return common.out->write(finding_screen(*finding, common.style, here) + "\n");
  };
  const auto fetched = for_each_line(common, target, take);
  if (!fetched) return fetched.error();
  if (!readable) return complain(exit_error, readable.error().text);
  if (!common.json)
    common.out->write((choice.has_baseline ? "beyond the baseline: " : "") + tally_text(tally));
  return finish(common, failed ? exit_no : exit_done);
}

int run_explain(const Common& common, std::string_view page) {
  common.out->write(page);
  if (!page.ends_with('\n')) common.out->write("\n");
  return finish(common, exit_done);
}

} // namespace bindlens::cli
