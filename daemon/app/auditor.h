#pragma once

#include "core.h"

#include <bindlens/server/backend.h>

namespace bindlens::app {

// Answers /v1/audit: a walk of all tables and a sweep over all descriptors side by
// side, then the checks. `watched_since`: when the daemon began to see binds.
void audit_host(Core& core, MonoNs watched_since, server::Backend::AuditQuery query,
                server::Backend::Done<std::vector<model::Finding>> done);

} // namespace bindlens::app
