#pragma once

// Why a search for a free port found none.

#include <bindlens/rules/explain.h>

#include <string>

namespace bindlens::rules {

[[nodiscard]] std::string exhausted_text(const ExplainInput& in);
// "app[12] (8) and curl[3] (1)": who bound ports to an address without a port number and
// without IP_BIND_ADDRESS_NO_PORT; empty when nobody did, or nobody knows who.
[[nodiscard]] std::string address_binders_text(const ExplainInput& in);
[[nodiscard]] std::string reserved_text(const ExplainInput& in);

} // namespace bindlens::rules
