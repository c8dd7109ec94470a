#pragma once

#include <bindlens/util/result.h>

namespace bindlens::app {

// Gives up every capability that following the kernel does not need, in the
// calling thread and those it makes from now on:
//   CAP_BPF, CAP_PERFMON     running the walk and the iterators
//   CAP_SYS_PTRACE           /proc/PID/{fd,exe,ns} of other users' processes
//   CAP_DAC_READ_SEARCH      directories on the way to them
//   CAP_SYS_ADMIN            setns() into a network namespace to read its facts
//   CAP_NET_ADMIN            sock_diag and the cgroup programs of others
[[nodiscard]] Result<void> drop_privileges();

} // namespace bindlens::app
