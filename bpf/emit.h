/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writing records: the only way into the ring buffer, so that no loss goes uncounted. */
#ifndef BINDLENS_EMIT_H
#define BINDLENS_EMIT_H

#include "maps.h"

/*
 * The number is taken after the room, and also when there is none: a reader
 * that has fewer records of a cpu than the highest number there has lost some.
 */
static __always_inline void* record_reserve(__u32 size, __u8 type, __u8 hook) {
  struct bl_header* h = bpf_ringbuf_reserve(&events, size, 0);
  __u32 zero = 0;
  __u64* seq = bpf_map_lookup_elem(&sequence, &zero);
  __u64 number = seq ? ++*seq : 0;
  if (!h) {
    __sync_fetch_and_add(&lost[BL_LOSS_RING_FULL], 1);
    return NULL;
  }
  h->version = BL_RECORD_VERSION;
  h->type = type;
  h->hook = hook;
  h->size = size;
  h->cpu = bpf_get_smp_processor_id();
  h->pad = 0;
  h->seq = number;
  h->time = bpf_ktime_get_ns();
  return h;
}

/* A wake-up per record would double the cost of a bind: see docs/architecture.md. */
static __always_inline void record_submit(void* record, bool urgent) {
  __u64 flags = BPF_RB_NO_WAKEUP;
  if (urgent || reader_sleeps || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > wake_bytes) {
    reader_sleeps = 0;
    flags = BPF_RB_FORCE_WAKEUP;
  }
  bpf_ringbuf_submit(record, flags);
}

#endif /* BINDLENS_EMIT_H */
