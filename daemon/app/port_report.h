#pragma once

#include "core.h"

#include <bindlens/server/backend.h>

namespace bindlens::app {

// Answers /v1/ports: a walk of all tables and a sweep over all descriptors side by
// side, counted; the pace of each destination from the events.
void report_ports(Core& core, const server::Backend::PortsQuery& query,
                  server::Backend::Done<model::PortReport> done);

} // namespace bindlens::app
