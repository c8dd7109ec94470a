#pragma once

#include "core.h"

#include <bindlens/history/query.h>
#include <bindlens/server/backend.h>

namespace bindlens::app {

// What memory has of an answer, in wall time. Events: oldest first, failures: newest
// first, both at most `query.limit`, and the newest.
[[nodiscard]] std::vector<model::PastItem> past_in_memory(const Core& core,
                                                          const server::Backend::PastQuery& query);

// An answer that is there already.
[[nodiscard]] std::unique_ptr<history::Query> items_query(std::vector<model::PastItem> items);

// One answer after the other. What cannot be read is said, and the next one goes on.
[[nodiscard]] std::unique_ptr<history::Query>
chained(std::vector<std::unique_ptr<history::Query>> parts);

} // namespace bindlens::app
