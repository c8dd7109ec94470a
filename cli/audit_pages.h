#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace bindlens::cli {

// docs/audit.md, as it was when the program was built.
[[nodiscard]] std::string_view audit_document();
// Its page about one finding, "## ID" and what follows; nothing when there is none.
[[nodiscard]] std::optional<std::string_view> audit_page(std::string_view id);
// The ids that have a page, in its order.
[[nodiscard]] std::vector<std::string_view> audit_page_ids();

} // namespace bindlens::cli
