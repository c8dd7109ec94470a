#pragma once

#include <bindlens/rules/explain.h>

namespace bindlens::rules {

// What to do about a refusal: the verified changes first, then what keeps it
// from coming back.
[[nodiscard]] std::vector<std::string> advice_for(const ExplainInput& in);

} // namespace bindlens::rules
