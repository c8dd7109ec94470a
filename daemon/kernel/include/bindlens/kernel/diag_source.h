#pragma once

#include <bindlens/kernel/table_source.h>

namespace bindlens::kernel {

// The table as sock_diag shows it, for kernels that do not let programs read
// their memory: no reuse flags, no caches, no bound sockets that do not listen
// before 6.8. Needs CAP_SYS_ADMIN to look into other namespaces.
class DiagSource : public TableSource {
 public:
  [[nodiscard]] Result<model::PortView> walk(const WalkRequest& request,
                                             const Pause& pause = {}) override;
  [[nodiscard]] Result<bool> for_each(const WalkRequest& request, const Visit& visit,
                                      const Pause& pause = {}) override;
  [[nodiscard]] std::string_view name() const override { return "sock_diag"; }
};

} // namespace bindlens::kernel
