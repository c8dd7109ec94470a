/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps and variables shared by all programs, and with user space. */
#ifndef BINDLENS_MAPS_H
#define BINDLENS_MAPS_H

#include <bindlens/record.h>

#include "compat.h"

/* Records to the daemon. The size is set at load time. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 8 * 1024 * 1024);
} events SEC(".maps");

/* One walk per refused call under way. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, __u64); /* pid_tgid */
  __type(value, struct bl_walk);
} walks SEC(".maps");

/* The walk that user space runs: where it is, and its rows. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bl_walk);
} walk_cursor SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, BL_WALK_ROWS);
  __type(key, __u32);
  __type(value, struct bl_row);
} walk_rows SEC(".maps");

/* The same for the sweep. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bl_sweep);
} sweep_cursor SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, BL_SWEEP_ROWS);
  __type(key, __u32);
  __type(value, struct bl_owner);
} sweep_rows SEC(".maps");

/* Members of reuseport groups, as user space asks for them. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bl_members);
} members_cursor SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, BL_MEMBER_ROWS);
  __type(key, __u32);
  __type(value, struct bl_member);
} member_rows SEC(".maps");

/* By port, and of all ports: what is counted whether it is told or not. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BL_PORT_COUNTS);
  __type(key, struct bl_port_key);
  __type(value, struct bl_port_counts);
} port_counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} sequence SEC(".maps");

/* What is counted of members of reuseport groups (share.h). */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, BL_SHARES);
  __type(key, struct bl_share_key);
  __type(value, struct bl_share);
} shares SEC(".maps");

/* Datagrams of some of them, found at once (share.h). */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, BL_SHARE_SLOTS);
  __type(key, __u32);
  __type(value, struct bl_share_slot);
} share_slots SEC(".maps");

/* Connections wait, or have waited, in the queue of a member: before the start too, as far
 * as is known then. Cleared by the daemon. */
volatile __u32 members_have_connections = 1;
/* Times that there was no room in `shares`. */
volatile __u64 shares_lost = 0;

/* Read and written by user space through the skeleton's memory maps. */
volatile __u64 lost[BL_LOSS_COUNT] = {};
/* Set by the daemon when it stops polling: the next record must wake it. */
volatile __u32 reader_sleeps = 1;
/* Wake the daemon when this many bytes wait, even while it polls. */
volatile __u32 wake_bytes = 1024 * 1024;
/* Jiffies per second, once the daemon has worked it out; 0 before. */
volatile __u32 jiffies_per_second = 0;

/* Of all ports, and what is in these sums alone, because port_counts is full. */
__u64 all_reuses[BL_REUSE_KINDS] = {};
__u64 all_linger_zero = 0;
__u64 uncounted = 0;

/* Set before load: which hooks are attached, so that no event is told twice. */
const volatile bool release_by_state = false;      /* TCP releases are seen as state changes */
const volatile bool in_kernel_by_cgroup = false;   /* binds without a system call, by post_bind */
const volatile bool children_unmarked = false;     /* no cgroup hooks: cookies mark nothing */
const volatile bool queued_is_counted = false;     /* connections queued, by whatever hook */
const volatile bool count_queued_ready = false;    /* the same, by sk_data_ready */
const volatile bool count_datagrams_ready = false; /* datagrams, by sk_data_ready */
const volatile bool stop_by_state = false;   /* listeners that stop are seen as state changes */
const volatile bool linger_by_state = false; /* closes with RST, too */

#endif /* BINDLENS_MAPS_H */
