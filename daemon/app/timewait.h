#pragma once

#include "core.h"

namespace bindlens::app {

// The TIME_WAIT sockets that the filter wants, walked now.
[[nodiscard]] Result<model::TimeWaitTable> read_timewait(Core& core, const kernel::Session& session,
                                                         const model::Filter& filter);

} // namespace bindlens::app
