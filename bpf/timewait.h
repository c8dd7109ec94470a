/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What takes the place of TIME_WAIT sockets, and closes that leave none.
 *
 * Every one is counted. What is told is limited, for a client that goes through
 * its ports in a circle reuses one with every connection.
 */
#ifndef BINDLENS_TIMEWAIT_H
#define BINDLENS_TIMEWAIT_H

#include "emit.h"
#include "inflight.h"
#include "socket.h"
#include "task.h"

#define REUSES_TOLD 50 /* a second, of each kind and cpu */
#define SECOND_NS 1000000000ull
#define TCP_TW_SYN 3 /* enum tcp_tw_status, include/net/tcp.h */

struct reuse_limit {
  __u64 since;
  __u64 told;
  __u64 left_out;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, BL_REUSE_KINDS);
  __type(key, __u32);
  __type(value, struct reuse_limit);
} reuse_limits SEC(".maps");

/* The TIME_WAIT socket that a SYN came for, while this cpu deals with that. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} revived SEC(".maps");

static __always_inline struct bl_port_counts* counts_of(__u32 netns, __u16 port) {
  struct bl_port_key key = {.netns = netns, .port = port};
  struct bl_port_counts* counts = bpf_map_lookup_elem(&port_counts, &key);
  if (counts) return counts;
  struct bl_port_counts none = {};
  bpf_map_update_elem(&port_counts, &key, &none, BPF_NOEXIST);
  counts = bpf_map_lookup_elem(&port_counts, &key);
  if (!counts) __sync_fetch_and_add(&uncounted, 1);
  return counts;
}

static __always_inline void count_reuse(__u32 netns, __u16 port, __u32 kind) {
  struct bl_port_counts* counts = counts_of(netns, port);
  if (kind >= BL_REUSE_KINDS) return;
  __sync_fetch_and_add(&all_reuses[kind], 1);
  if (counts) __sync_fetch_and_add(&counts->reuses[kind], 1);
}

/* May this one be told? If so, `left_out` of its kind were not since the last. */
static __always_inline bool may_tell(__u32 kind, __u64* left_out) {
  struct reuse_limit* limit = bpf_map_lookup_elem(&reuse_limits, &kind);
  if (!limit) return false;
  __u64 now = bpf_ktime_get_ns();
  if (now - limit->since >= SECOND_NS) {
    limit->since = now;
    limit->told = 0;
  }
  if (limit->told >= REUSES_TOLD) {
    limit->left_out++;
    return false;
  }
  limit->told++;
  *left_out = limit->left_out;
  limit->left_out = 0;
  return true;
}

/* `sk`: what is shown; `tuple`: what has the addresses and ports. */
static __always_inline void tell_reuse(void* sk, struct sock_common* tuple, __u32 kind,
                                       bool timestamps, __u8 hook) {
  __u16 port = READ(tuple, skc_num);
  __u32 netns = netns_inum(READ(tuple, skc_net.net));
  count_reuse(netns, port, kind);
  __u64 left_out = 0;
  if (!may_tell(kind, &left_out)) return;
  struct bl_reuse* r = record_reserve(sizeof(*r), BL_REC_REUSE, hook);
  if (!r) return;
  read_sock(&r->sock, sk, IPPROTO_TCP, netns);
  if (sk != (void*)tuple) {
    r->sock.port = port;
    if (r->sock.family == AF_INET6)
      READ_INTO(&r->sock.addr, tuple, skc_v6_rcv_saddr);
    else
      *(__u32*)r->sock.addr = READ(tuple, skc_rcv_saddr);
  }
  if (kind == BL_REUSE_CONNECT)
    read_task_of(&r->task, (void*)bpf_get_current_task());
  else
    __builtin_memset(&r->task, 0, sizeof(r->task));
  r->kind = kind;
  r->flags = timestamps ? BL_RF_TIMESTAMPS : 0;
  r->left_out = left_out;
  record_submit(r, false);
}

static __always_inline bool had_timestamps(void* tw) {
  return READ((struct tcp_timewait_sock*)tw, tw_ts_recent_stamp) != 0;
}

/*
 * Exit of tcp_twsk_unique(): 1 when the new socket takes the place of the other.
 * Its own port is set only later.
 */
SEC("fexit/tcp_twsk_unique")
int BPF_PROG(fx_twsk_unique, struct sock* sk, struct sock* tw, void* twp, int ret) {
  if (ret == 1)
    tell_reuse(sk, (struct sock_common*)tw, BL_REUSE_CONNECT, had_timestamps(tw),
               BL_HOOK_TRAMPOLINE);
  return 0;
}

/*
 * Where that cannot be had: about to send the SYN, a socket has a time stamp of its
 * peer only when it was copied from a TIME_WAIT socket (tcp_twsk_unique()) - or when
 * it had one before, from an earlier connection to the same peer: then it is the same.
 */
SEC("sockops")
int cg_connecting(struct bpf_sock_ops* ctx) {
  if (ctx->op != BPF_SOCK_OPS_TCP_CONNECT_CB) return 1;
  struct bpf_sock* sk = ctx->sk;
  if (!sk) return 1;
  struct tcp_sock* tp = bpf_skc_to_tcp_sock(sk);
  if (!tp) return 1;
  __u32 stamp = READ(tp, rx_opt.ts_recent_stamp);
  if (!stamp) return 1;
  struct inflight* f = inflight_of(thread_of((void*)bpf_get_current_task()));
  if (f && f->stamp == stamp && f->stamped == READ(tp, rx_opt.ts_recent)) return 1;
  tell_reuse(tp, (struct sock_common*)tp, BL_REUSE_CONNECT, true, BL_HOOK_CGROUP);
  return 1;
}

/*
 * A segment for a TIME_WAIT socket: TCP_TW_SYN when it is one that may begin the next
 * connection. It does when there is a listener: then the TIME_WAIT socket is ended.
 */
static __always_inline int syn_came(void* tw, __u64 ret) {
  __u32 zero = 0;
  __u64* noted = bpf_map_lookup_elem(&revived, &zero);
  if (noted) *noted = (__u32)ret == TCP_TW_SYN ? (__u64)tw : 0;
  return 0;
}

static __always_inline int timewait_ends(void* tw, __u8 hook) {
  __u32 zero = 0;
  __u64* noted = bpf_map_lookup_elem(&revived, &zero);
  if (!noted || !*noted || *noted != (__u64)tw) return 0;
  *noted = 0;
  tell_reuse(tw, tw, BL_REUSE_SYN, had_timestamps(tw), hook);
  return 0;
}

/* The number of its arguments grew twice; before 5.17 there are three. */
SEC("fexit/tcp_timewait_state_process")
int fx_timewait_segment(__u64* ctx) {
  __u64 ret = 0;
#ifdef BL_FLAT_LOOP
  ret = ctx[3];
#else
  bpf_get_func_ret(ctx, &ret);
#endif
  return syn_came((void*)ctx[0], ret);
}

SEC("fentry/inet_twsk_deschedule_put")
int BPF_PROG(fe_timewait_end, void* tw) {
  return timewait_ends(tw, BL_HOOK_TRAMPOLINE);
}

/* The socket is known at the entry, the answer at the return. */
SEC("kprobe/tcp_timewait_state_process")
int BPF_KPROBE(kp_timewait_segment, void* tw) {
  return syn_came(tw, TCP_TW_SYN);
}

SEC("kretprobe/tcp_timewait_state_process")
int BPF_KRETPROBE(kp_timewait_answer, int ret) {
  return ret == TCP_TW_SYN ? 0 : syn_came(NULL, 0);
}

SEC("kprobe/inet_twsk_deschedule_put")
int BPF_KPROBE(kp_timewait_end, void* tw) {
  return timewait_ends(tw, BL_HOOK_KPROBE);
}

/*
 * A TCP socket is closed by its process in one of these states: with SO_LINGER of 0 s
 * that is a reset. Where it is seen afterwards, it was shut down in both directions by
 * close() alone: shutdown() and a FIN would have taken it into another state.
 */
static __always_inline void note_linger_zero(struct sock* sk, int old_state) {
  if (old_state != TCP_ESTABLISHED && old_state != TCP_CLOSE_WAIT) return;
  if (!(READ(sk, __sk_common.skc_flags) & (1ul << 4 /* SOCK_LINGER */))) return;
  if (READ(sk, sk_lingertime) != 0) return;
  __u16 port = bpf_ntohs(READ((struct inet_sock*)sk, inet_sport));
  struct bl_port_counts* counts = counts_of(netns_inum(READ(sk, __sk_common.skc_net.net)), port);
  __sync_fetch_and_add(&all_linger_zero, 1);
  if (counts) __sync_fetch_and_add(&counts->linger_zero, 1);
}

SEC("fentry/tcp_close")
int BPF_PROG(fe_tcp_close, struct sock* sk) {
  note_linger_zero(sk, READ(sk, __sk_common.skc_state));
  return 0;
}

/*
 * A bind got a port: may TIME_WAIT sockets be on it? The new one is the first of its
 * list, and in the common case the only one. With others, the daemon looks.
 */
static __always_inline bool bucket_has_others(void* sk) {
  struct sock_common* c = sk;
  if (READ(c, skc_bind_node.next)) return true;
  return compat_bucket_has_other_addresses(sk);
}

#endif /* BINDLENS_TIMEWAIT_H */
