#include "commands.h"
#include "fetch.h"
#include "phrases.h"
#include "sarif.h"
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

// What is told of the findings that were asked for.
class Telling {
 public:
  Telling(const Common& common, const AuditChoice& choice) : common_(common), choice_(choice) {}

  // False when there is no use in going on.
  bool take(std::string_view line) {
    auto finding = protocol::read_finding(line);
    if (!finding) {
      readable_ = std::unexpected(finding.error());
      return false;
    }
    if (!choice_.tells_of(*finding)) return true;
    count(tally_, *finding);
    failed_ = failed_ || choice_.fails_on(*finding);
    if (common_.json) return common_.out->write(line) && common_.out->write("\n");
    if (!choice_.sarif)
      return common_.out->write(finding_screen(*finding, common_.style, here_) + "\n");
    const std::string_view state = choice_.baseline_state(*finding);
    results_.push_back({*std::move(finding), std::string(line), state});
    return true;
  }

  int end() {
    if (!readable_) return complain(exit_error, readable_.error().text);
    if (choice_.sarif)
      common_.out->write(sarif_document(results_));
    else if (!common_.json)
      common_.out->write(
          paragraph((choice_.has_baseline ? "beyond the baseline: " : "") + tally_text(tally_), 0,
                    0, common_.style));
    return finish(common_, failed_ ? exit_no : exit_done);
  }

 private:
  const Common& common_;
  const AuditChoice& choice_;
  uint32_t here_ = own_netns();
  Tally tally_;
  bool failed_ = false;
  Result<void> readable_;
  std::vector<SarifResult> results_;
};

} // namespace

int run_audit(const Common& common, const Query& query, const AuditChoice& choice) {
  const std::string target = protocol::make_target("/v1/audit", query.parameters);
  if (common.json && choice.takes_all()) {
    const auto copied = copy_answer(common, target);
    return copied ? finish(common, exit_done) : copied.error();
  }
  Telling telling(common, choice);
  const auto fetched =
      for_each_line(common, target, [&](std::string_view line) { return telling.take(line); });
  return fetched ? telling.end() : fetched.error();
}

int run_explain(const Common& common, std::string_view page) {
  common.out->write(page);
  if (!page.ends_with('\n')) common.out->write("\n");
  return finish(common, exit_done);
}

} // namespace bindlens::cli
