#pragma once

#include "core.h"

#include <bindlens/history/history.h>

#include <bindlens/kernel/calibration.h>
#include <bindlens/protocol/types.h>

namespace bindlens::app {

[[nodiscard]] protocol::Status make_status(const Core& core, const kernel::Session& session,
                                           const kernel::Calibration& calibration,
                                           MonoNs started_at);

void add_history_status(protocol::Status& s, const history::Status& h);

} // namespace bindlens::app
