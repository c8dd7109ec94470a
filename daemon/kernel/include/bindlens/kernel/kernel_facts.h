#pragma once

#include <bindlens/kernel/attach_plan.h>

namespace bindlens::kernel {

// Asks the running kernel what it allows, by loading programs of two
// instructions and opening probes that are closed again at once. Never by
// version. Attaches nothing for good. Needs CAP_BPF and CAP_PERFMON; without
// them everything comes out as missing, with the reason.
[[nodiscard]] KernelFacts probe_kernel();

// A name of the mount point of the cgroup v2 hierarchy; empty when there is none.
[[nodiscard]] std::string cgroup2_mount();

// Number of a tracepoint for perf_event_open(2), "syscalls/sys_enter_bind".
// tracefs need not be mounted: a mount of our own, that nobody sees, is used.
// -1 when the tracepoint does not exist.
[[nodiscard]] long tracepoint_id(const std::string& name);

} // namespace bindlens::kernel
