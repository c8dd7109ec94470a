/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every difference between kernels, and nothing else. One block per change:
 * what changed and when, the flavours of the type (libbpf ignores everything
 * from "___" on), one accessor. Callers never see a flavour. A block can go
 * when the older side of it is below the oldest kernel supported (5.10).
 *
 * The check for a field stands before any other condition: on a kernel that
 * lacks it the access is poisoned, and the verifier must not reach it.
 */
#ifndef BINDLENS_COMPAT_H
#define BINDLENS_COMPAT_H

#include "read.h"

#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* 6.8: all sockets of a bucket hang below its address buckets ("tcp: Link sk
 * and twsk to tb2->owners using skc_bind_node"). Before, below the bucket. */
struct inet_bind_bucket___before_6_8 {
  struct hlist_head owners;
};
struct inet_bind_bucket___from_6_8 {
  struct hlist_head bhash2;
};
struct inet_bind2_bucket___from_6_8 {
  struct hlist_node bhash_node;
  struct hlist_head owners;
};
struct inet_connection_sock___from_6_8 {
  void* icsk_bind2_hash;
};
struct inet_timewait_sock___from_6_8 {
  void* tw_tb2;
};

/* 6.2: the UDP table can belong to the namespace ("udp: Introduce optional
 * per-netns hash table"). Before, and for UDP-Lite, sk_prot names it. */
struct netns_ipv4___from_6_2 {
  struct udp_table* udp_table;
};
struct net___from_6_2 {
  struct netns_ipv4___from_6_2 ipv4;
};

/* 6.6: single bits of inet_sock became bits of inet_flags. Numbers from the
 * anonymous enum in include/net/inet_sock.h; CO-RE cannot name those. */
struct inet_sock___from_6_6 {
  unsigned long inet_flags;
};
struct inet_sock___before_6_6 {
  __u8 freebind : 1, transparent : 1, bind_address_no_port : 1;
};
#define INET_FLAGS_FREEBIND_BIT 11
#define INET_FLAGS_TRANSPARENT_BIT 15
#define INET_FLAGS_BIND_ADDRESS_NO_PORT_BIT 18

/* 6.13: references on a file moved from f_count to f_ref, which counts from 0
 * for the first ("fs: port files to file_ref"). */
typedef struct {
  atomic64_t refcnt;
} file_ref_t___from_6_13;
struct file___from_6_13 {
  file_ref_t___from_6_13 f_ref;
};
struct file___before_6_13 {
  atomic64_t f_count;
};

/* 6.1 (5.14 for the counter itself): closed sockets that wait in the group for
 * migration. */
struct sock_reuseport___from_5_14 {
  __u16 num_closed_socks;
};
struct netns_ipv4___from_5_14 {
  __u8 sysctl_tcp_migrate_req;
};
struct net___from_5_14 {
  struct netns_ipv4___from_5_14 ipv4;
};

/* 6.18: UDP sockets count their drops per NUMA node, beside the socket ("udp: use
 * numa_drop_counters"); the pointer is NULL for others. */
struct numa_drop_counters___from_6_18 {
  atomic_t drops0;
  atomic_t drops1;
};
struct sock___from_6_18 {
  struct numa_drop_counters___from_6_18* sk_drop_counters;
};

/* 6.10: accept() takes one argument for several ("net: change proto and proto_ops
 * accept type"). */
struct proto_accept_arg {
  int flags;
};

#pragma clang attribute pop

static __always_inline bool compat_has_bhash2_owners(void) {
  return bpf_core_field_exists(((struct inet_bind_bucket___from_6_8*)0)->bhash2);
}

/* Head of the list of sockets (before 6.8) or of address buckets of a bucket. */
static __always_inline __u64 compat_bucket_head(void* tb) {
  if (compat_has_bhash2_owners())
    return (__u64)tb + bpf_core_field_offset(struct inet_bind_bucket___from_6_8, bhash2);
  return (__u64)tb + bpf_core_field_offset(struct inet_bind_bucket___before_6_8, owners);
}

/* From 6.8: the address bucket whose node in the bucket's list this is. */
static __always_inline __u64 compat_bucket2(__u64 node) {
  if (!bpf_core_field_exists(((struct inet_bind2_bucket___from_6_8*)0)->bhash_node)) return 0;
  return node - bpf_core_field_offset(struct inet_bind2_bucket___from_6_8, bhash_node);
}

/* Head of the list of its sockets. */
static __always_inline __u64 compat_bucket2_head(__u64 tb2) {
  if (!bpf_core_field_exists(((struct inet_bind2_bucket___from_6_8*)0)->owners)) return 0;
  return tb2 + bpf_core_field_offset(struct inet_bind2_bucket___from_6_8, owners);
}

/* The bucket, from 6.8 the address bucket, on whose list of sockets this one is. */
static __always_inline void* compat_bucket_of(struct sock_common* sk) {
  bool timewait = READ(sk, skc_state) == TCP_TIME_WAIT;
  if (compat_has_bhash2_owners())
    return timewait ? READ((struct inet_timewait_sock___from_6_8*)sk, tw_tb2)
                    : READ((struct inet_connection_sock___from_6_8*)sk, icsk_bind2_hash);
  return timewait ? (void*)READ((struct inet_timewait_sock*)sk, tw_tb)
                  : (void*)READ((struct inet_connection_sock*)sk, icsk_bind_hash);
}

/* From 6.8: does the bucket of this full socket have other address buckets than its own? */
static __always_inline bool compat_bucket_has_other_addresses(void* sk) {
  if (!compat_has_bhash2_owners()) return false;
  void* tb = READ((struct inet_connection_sock*)sk, icsk_bind_hash);
  if (!tb) return false;
  struct hlist_node* first = read_pointer(compat_bucket_head(tb));
  return first && READ(first, next);
}

static __always_inline struct inet_hashinfo* compat_tcp_hashinfo(struct sock* sk) {
  struct inet_hashinfo* h = READ(sk, __sk_common.skc_prot, h.hashinfo);
  return h ? h : READ(sk, __sk_common.skc_net.net, ipv4.tcp_death_row.hashinfo);
}

static __always_inline struct udp_table* compat_udp_table(struct sock* sk) {
  if (bpf_core_field_exists(((struct proto*)0)->h.udp_table)) {
    struct udp_table* t = READ(sk, __sk_common.skc_prot, h.udp_table);
    if (t) return t;
  }
  if (!bpf_core_field_exists(((struct netns_ipv4___from_6_2*)0)->udp_table)) return NULL;
  struct net___from_6_2* net = (void*)READ(sk, __sk_common.skc_net.net);
  return READ(net, ipv4.udp_table);
}

/* BL_SF_FREEBIND, _TRANSPARENT and _BIND_NO_PORT of a full inet socket. */
static __always_inline __u32 compat_inet_flags(void* inet) {
  __u32 flags = 0;
  if (bpf_core_field_exists(((struct inet_sock___from_6_6*)0)->inet_flags)) {
    unsigned long bits = READ((struct inet_sock___from_6_6*)inet, inet_flags);
    if (bits & (1ul << INET_FLAGS_FREEBIND_BIT)) flags |= BL_SF_FREEBIND;
    if (bits & (1ul << INET_FLAGS_TRANSPARENT_BIT)) flags |= BL_SF_TRANSPARENT;
    if (bits & (1ul << INET_FLAGS_BIND_ADDRESS_NO_PORT_BIT)) flags |= BL_SF_BIND_NO_PORT;
  } else if (bpf_core_field_exists(((struct inet_sock___before_6_6*)0)->freebind)) {
    struct inet_sock___before_6_6* s = inet;
    if (READ_BITS(s, freebind)) flags |= BL_SF_FREEBIND;
    if (READ_BITS(s, transparent)) flags |= BL_SF_TRANSPARENT;
    if (READ_BITS(s, bind_address_no_port)) flags |= BL_SF_BIND_NO_PORT;
  }
  return flags;
}

static __always_inline __u32 compat_file_refs(struct file* f) {
  if (bpf_core_field_exists(((struct file___from_6_13*)0)->f_ref))
    return (__u32)READ((struct file___from_6_13*)f, f_ref.refcnt.counter) + 1;
  if (bpf_core_field_exists(((struct file___before_6_13*)0)->f_count))
    return (__u32)READ((struct file___before_6_13*)f, f_count.counter);
  return 0;
}

/* Kernels built without CONFIG_MPTCP (Debian's 5.10 cloud kernel) have neither
 * the type nor the member. */
static __always_inline bool compat_is_mptcp(void* sk) {
  if (!bpf_core_field_exists(((struct tcp_sock*)0)->is_mptcp)) return false;
  return READ((struct tcp_sock*)sk, is_mptcp);
}

static __always_inline void* compat_mptcp_first(void* sk) {
  if (!bpf_core_field_exists(((struct mptcp_sock*)0)->first)) return NULL;
  return READ((struct mptcp_sock*)sk, first);
}

static __always_inline __u16 compat_group_closed(struct sock_reuseport* group) {
  if (!bpf_core_field_exists(((struct sock_reuseport___from_5_14*)0)->num_closed_socks)) return 0;
  return READ((struct sock_reuseport___from_5_14*)group, num_closed_socks);
}

/* net.ipv4.tcp_migrate_req, where something comes of it: 5.10 has it by name only. */
static __always_inline bool compat_migrates(void* net) {
  if (!bpf_core_field_exists(((struct sock_reuseport___from_5_14*)0)->num_closed_socks))
    return false;
  if (!bpf_core_field_exists(((struct netns_ipv4___from_5_14*)0)->sysctl_tcp_migrate_req))
    return false;
  return READ((struct net___from_5_14*)net, ipv4.sysctl_tcp_migrate_req) != 0;
}

static __always_inline __u32 compat_drops(struct sock* sk) {
  if (bpf_core_field_exists(((struct sock___from_6_18*)0)->sk_drop_counters)) {
    struct numa_drop_counters___from_6_18* d = READ((struct sock___from_6_18*)sk, sk_drop_counters);
    if (d) return READ(d, drops0.counter) + READ(d, drops1.counter);
  }
  return READ(sk, sk_drops.counter);
}

/*
 * What inet_csk_accept() returned, in a program at its exit: it has four arguments,
 * from 6.10 two. From 5.17 there is a helper to ask.
 */
static __always_inline void* compat_accepted(__u64* ctx) {
  if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_func_ret)) return (void*)ctx[4];
  __u64 ret = 0;
  bpf_get_func_ret(ctx, &ret);
  return (void*)ret;
}

/*
 * The first argument of the system call that the current task is in, also at its exit.
 * 5.15 has a helper for the registers that were saved at the entry. Before, they are at
 * the end of the kernel's stack, whose size is that of x86-64; elsewhere it is not known.
 */
#define X86_64_THREAD_SIZE 16384
static __always_inline int compat_syscall_fd(void) {
  __u64 value = ~0ull;
#if defined(__TARGET_ARCH_x86)
  __u64 offset = __builtin_offsetof(struct pt_regs, rdi);
#else
  __u64 offset = sizeof(struct user_pt_regs); /* orig_x0 */
#endif
  if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
    void* regs = (void*)bpf_task_pt_regs(bpf_get_current_task_btf());
    bpf_probe_read_kernel(&value, sizeof(value), regs + offset);
    return (int)value;
  }
#if defined(__TARGET_ARCH_x86)
  struct task_struct* task = (void*)bpf_get_current_task();
  void* regs = READ(task, stack) + X86_64_THREAD_SIZE - sizeof(struct pt_regs);
  bpf_probe_read_kernel(&value, sizeof(value), regs + offset);
#endif
  return (int)value;
}

#endif /* BINDLENS_COMPAT_H */
