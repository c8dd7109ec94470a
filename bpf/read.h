/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading the kernel's memory, member by member and relocated to the running
 * kernel (CO-RE): READ(ptr, a, b.c, d) is ptr->a->b.c->d, 0 where that cannot
 * be read.
 *
 * From 6.2 (BL_DIRECT_LOADS) bpf_rdonly_cast() gives any address a kernel type,
 * and a member is one load instruction, which the kernel guards. Before, each is
 * a call of bpf_probe_read_kernel(), some twenty times slower.
 */
#ifndef BINDLENS_READ_H
#define BINDLENS_READ_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#ifdef BL_DIRECT_LOADS
extern void* bpf_rdonly_cast(const void* obj, __u32 btf_id) __ksym;
#define TYPED(ptr) ((typeof(ptr))bpf_rdonly_cast((ptr), bpf_core_type_id_kernel(typeof(*(ptr)))))
#define READ(ptr, member, ...)                                                                     \
  (___apply(___arrow, ___narg(ptr, member, ##__VA_ARGS__))(TYPED(ptr), member, ##__VA_ARGS__))
#define READ_BITS(ptr, member)                                                                     \
  ({                                                                                               \
    typeof(ptr) typed_ = TYPED(ptr);                                                               \
    BPF_CORE_READ_BITFIELD(typed_, member);                                                        \
  })
#else
#define READ(ptr, member, ...) BPF_CORE_READ(ptr, member, ##__VA_ARGS__)
#define READ_BITS(ptr, member) BPF_CORE_READ_BITFIELD_PROBED(ptr, member)
#endif

/* The pointer that is kept at an address. */
static __always_inline void* read_pointer(__u64 address) {
  return READ((struct hlist_head*)address, first);
}

/* For members that are no number: in6_addr. */
#define READ_INTO(dst, ptr, member) BPF_CORE_READ_INTO(dst, ptr, member)

#endif /* BINDLENS_READ_H */
