#include "commands.h"
#include "fetch.h"
#include "screens.h"

namespace bindlens::cli {

int run_ports(const Common& common, const Query& query) {
  const auto answer = fetch_document(common, protocol::make_target("/v1/ports", query.parameters));
  if (!answer) return answer.error();
  const auto report = protocol::read_ports(*answer);
  if (!report) return complain(exit_error, report.error().text);
  common.out->write(common.json ? *answer : ports_screen(*report, common.style));
  return finish(common, exit_done);
}

} // namespace bindlens::cli
