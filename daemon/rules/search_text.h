#pragma once

// Why a search for a free port found none.

#include <bindlens/rules/explain.h>

#include <string>

namespace bindlens::rules {

[[nodiscard]] std::string exhausted_text(const ExplainInput& in);
[[nodiscard]] std::string reserved_text(const ExplainInput& in);

} // namespace bindlens::rules
