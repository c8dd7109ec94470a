#include "privileges.h"

#include <cap-ng.h>

namespace bindlens::app {

Result<void> drop_privileges() {
  ::capng_clear(CAPNG_SELECT_CAPS);
  const int added = ::capng_updatev(
      CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), CAP_BPF, CAP_PERFMON,
      CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN, CAP_NET_ADMIN, -1);
  if (added != 0 || ::capng_apply(CAPNG_SELECT_CAPS) != 0)
    return fail("giving up capabilities: the kernel refused");
  return {};
}

} // namespace bindlens::app
