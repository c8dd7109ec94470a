#include "daemon.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

namespace {

// To stderr; the journal adds time and name itself and takes the severity as <N>.
void set_up_log() {
  spdlog::set_default_logger(spdlog::stderr_logger_st("bindlensd"));
  const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  spdlog::set_pattern(journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%e %l: %v");
}

} // namespace

int main(int argc, char** argv) {
  set_up_log();
  const auto parsed = bindlens::app::parse_options(argc, argv);
  return parsed.run ? bindlens::app::run_daemon(parsed.options) : parsed.exit_code;
}
