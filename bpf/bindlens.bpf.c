/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All programs, one object: what is not needed on a kernel is not loaded there.
 * Which programs are attached is decided by the daemon (attach_plan.h).
 */
#include <bindlens/record.h>

#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "hooks_cgroup.h"
#include "hooks_kprobe.h"
#include "hooks_tracepoint.h"
#include "hooks_trampoline.h"
#include "members.h"
#include "owners.h"
#include "release.h"
#include "share.h"
#include "timewait.h"
#include "walk.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
