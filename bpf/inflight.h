/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a call was asked, from its entry to its exit, found by its thread.
 *
 * A thread has one call under way. Its place is a slot chosen by its number;
 * where another thread has that, or the machine has no atomic exchange (before
 * 5.12), it is a hash map, whose update, lookup and removal cost ten times as
 * much.
 */
#ifndef BINDLENS_INFLIGHT_H
#define BINDLENS_INFLIGHT_H

#include "maps.h"

struct inflight {
  __u64 thread; /* pid_tgid; 0 for a slot that is free */
  __u64 sk;     /* 0 for an MPTCP socket that has no subflow yet */
  __s32 fd;     /* -1: not through a descriptor */
  __u32 flags;
  __u32 type; /* enum bl_record_type */
  __u16 old_port;
  __u16 family;
  __u16 port;
  __u16 pad;
  __u32 scope;
  __u32 stamp; /* connect: time stamps that the socket had before (tcp_options_received) */
  __u32 stamped;
  __u8 addr[16];
};

#define INFLIGHT_SLOTS 4096
#define INFLIGHT_MORE 4096

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, INFLIGHT_SLOTS);
  __type(key, __u32);
  __type(value, struct inflight);
} inflight_slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, INFLIGHT_MORE);
  __type(key, __u64); /* pid_tgid */
  __type(value, struct inflight);
} inflight_more SEC(".maps");

static __always_inline struct inflight* inflight_slot(__u64 thread) {
  __u32 index = thread & (INFLIGHT_SLOTS - 1);
  return bpf_map_lookup_elem(&inflight_slots, &index);
}

static __always_inline bool inflight_take_slot(struct inflight* slot, __u64 thread) {
#ifdef BL_ATOMICS
  __u64 before = __sync_val_compare_and_swap(&slot->thread, 0, thread);
  return before == 0 || before == thread;
#else
  return false;
#endif
}

/* Keeps `f` for the calling thread; `f->thread` is filled in. */
static __always_inline void inflight_keep(struct inflight* f) {
  f->thread = bpf_get_current_pid_tgid();
  struct inflight* slot = inflight_slot(f->thread);
  if (slot && inflight_take_slot(slot, f->thread))
    __builtin_memcpy(slot, f, sizeof(*f));
  else if (bpf_map_update_elem(&inflight_more, &f->thread, f, BPF_ANY))
    __sync_fetch_and_add(&lost[BL_LOSS_INFLIGHT_FULL], 1);
}

/* The call that a thread, the calling one, began, NULL when none. */
static __always_inline struct inflight* inflight_of(__u64 thread) {
  struct inflight* slot = inflight_slot(thread);
  if (slot && slot->thread == thread) return slot;
  return bpf_map_lookup_elem(&inflight_more, &thread);
}

static __always_inline struct inflight* inflight_find(void) {
  return inflight_of(bpf_get_current_pid_tgid());
}

static __always_inline void inflight_end(struct inflight* f) {
  __u64 thread = f->thread;
  if (f == inflight_slot(thread))
    *(volatile __u64*)&f->thread = 0;
  else
    bpf_map_delete_elem(&inflight_more, &thread);
}

#endif /* BINDLENS_INFLIGHT_H */
