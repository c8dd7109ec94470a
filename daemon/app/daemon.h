#pragma once

#include "options.h"

namespace bindlens::app {

// Runs until SIGINT or SIGTERM. Returns the exit code: 0 ended as asked, 3 no
// permission or another daemon answers, 1 anything else that kept it from running.
[[nodiscard]] int run_daemon(const Options& options);

} // namespace bindlens::app
