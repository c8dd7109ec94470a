/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counting what each member of a reuseport group gets, without a record per connection
 * or datagram.
 *
 * Some of these hooks run for every socket of the host. The first thing they do is a load
 * of sk_reuseport_cb, which only members of a group have; or, after accept(), of a variable
 * that says whether there is a member that has connections at all.
 */
#ifndef BINDLENS_SHARE_H
#define BINDLENS_SHARE_H

#include "socket.h"
#include "task.h"

static __always_inline struct bl_share_key share_key(struct sock* sk) {
  struct bl_share_key key = {(__u64)sk, READ(sk, __sk_common.skc_cookie.counter)};
  return key;
}

/* NULL for a socket that is in no group. */
static __always_inline struct bl_share* share_of(struct sock* sk) {
  if (!READ(sk, sk_reuseport_cb)) return NULL;
  struct bl_share_key key = share_key(sk);
  struct bl_share* s = bpf_map_lookup_elem(&shares, &key);
  if (s) return s;
  struct bl_share none = {};
  bpf_map_update_elem(&shares, &key, &none, BPF_NOEXIST);
  s = bpf_map_lookup_elem(&shares, &key);
  if (!s) __sync_fetch_and_add(&shares_lost, 1);
  return s;
}

/* A connection was put into its accept queue, which has `backlog` now. */
static __always_inline int share_queued(struct sock* sk, __u32 backlog) {
  struct bl_share* s = share_of(sk);
  if (!s) return 0;
  if (!members_have_connections) members_have_connections = 1;
  s->queued++;
  if (backlog > s->peak) s->peak = backlog;
  if (backlog > READ(sk, sk_max_ack_backlog)) s->full_at = bpf_ktime_get_ns();
  return 0;
}

static __always_inline int share_accepted(struct sock* sk) {
  struct bl_share* s = share_of(sk);
  if (!s) return 0;
  s->accepted++;
  s->last_accept = bpf_ktime_get_ns();
  return 0;
}

static __always_inline int share_datagram(struct sock* sk) {
  struct bl_share* s = share_of(sk);
  if (s) s->datagrams++;
  return 0;
}

static __always_inline int share_selected(struct sock* sk) {
  struct bl_share* s = sk ? share_of(sk) : NULL;
  if (s) s->selected++;
  return 0;
}

/* reuseport_migrate_sock(): by sysctl, or where a program says so, of which only the program
 * knows. */
static __always_inline bool may_migrate(struct sock* sk) {
  struct sock_reuseport* group = READ(sk, sk_reuseport_cb);
  return (group && READ(group, prog)) || compat_migrates(READ(sk, __sk_common.skc_net.net));
}

/*
 * It stopped listening, and what waits in its queue is reset next, or moves elsewhere; or
 * it gives its port back. `waiting`: what cannot be asked for any more.
 */
static __always_inline void share_closed(struct sock* sk, __u32 waiting) {
  struct bl_share_key key = share_key(sk);
  struct bl_share* s = bpf_map_lookup_elem(&shares, &key);
  if (!s) return; /* it is in no group any more, so nobody is to be told */
  s->closed_at = bpf_ktime_get_ns();
  s->waiting = waiting;
  s->may_migrate = may_migrate(sk);
}

/* Once in so many datagrams, a socket without a slot looks whether its slot is free. */
#define SLOT_TRIES 64

static __always_inline bool slot_is_free(const struct bl_share_slot* slot) {
  struct bl_share_key owner = {slot->sk, slot->cookie};
  return !slot->cookie || !bpf_map_lookup_elem(&shares, &owner);
}

static __always_inline int datagram_beside(struct sock* sk) {
  /* A socket that is older than the hooks may have none yet, and finds its slot with it. */
  bool had_cookie = sk->__sk_common.skc_cookie.counter != 0;
  __u64 cookie = bpf_get_socket_cookie(sk);
  __u32 index = bl_share_slot_of(cookie);
  struct bl_share_slot* slot = bpf_map_lookup_elem(&share_slots, &index);
  struct bl_share* s = share_of(sk);
  if (!s || !slot) return 0;
  if (s->datagrams++ % SLOT_TRIES == 0 && had_cookie && slot_is_free(slot)) {
    slot->cookie = cookie;
    slot->sk = (__u64)sk;
    slot->datagrams = 0;
  }
  return 0;
}

/* Not inlined: the way by the slot has no registers to save for it. */
static __attribute__((noinline)) int data_ready_beside(struct sock* sk) {
  if (sk->sk_protocol != IPPROTO_TCP) return count_datagrams_ready ? datagram_beside(sk) : 0;
  if (!count_queued_ready || sk->__sk_common.skc_state != TCP_LISTEN) return 0;
  return share_queued(sk, sk->sk_ack_backlog);
}

/*
 * Finding a socket in `shares` costs more than all else that is done for a datagram. So on
 * each cpu the first member that could have a slot is counted there, and the others are
 * where they would be without; what is read is the sum. A socket that has a slot is one for
 * datagrams. `sk` comes from the kernel with its type: its members are plain loads on every
 * kernel.
 */
SEC("tp_btf/sk_data_ready")
int BPF_PROG(tp_data_ready, struct sock* sk) {
  if (!sk->sk_reuseport_cb) return 0;
  __u64 cookie = sk->__sk_common.skc_cookie.counter;
  __u32 index = bl_share_slot_of(cookie);
  struct bl_share_slot* slot = bpf_map_lookup_elem(&share_slots, &index);
  if (!slot || slot->cookie != cookie || !cookie) return data_ready_beside(sk);
  slot->datagrams++;
  return 0;
}

/* Attached to the exit of accept() and of accept4(). */
SEC("tp/syscalls/sys_exit_accept4")
int tp_accept_exit(struct syscall_exit* ctx) {
  if (ctx->ret < 0 || (queued_is_counted && !members_have_connections)) return 0;
  struct sock* sk = current_fd_sock(compat_syscall_fd());
  if (!sk) return 0;
  if (!READ(sk, sk_reuseport_cb)) { /* in no group, or MPTCP's: its subflow is */
    __u32 protocol;
    if (!is_inet(sk)) return 0;
    sk = table_socket(sk, &protocol);
  }
  return sk ? share_accepted(sk) : 0;
}

SEC("fexit/inet_csk_accept")
int fx_accept(__u64* ctx) {
  return compat_accepted(ctx) ? share_accepted((void*)ctx[0]) : 0;
}

SEC("fexit/inet_csk_complete_hashdance")
int BPF_PROG(fx_hashdance, struct sock* sk, struct sock* child, void* req, bool own, void* ret) {
  return ret ? share_queued(sk, READ(sk, sk_ack_backlog)) : 0;
}

/* At its entry: it fails when it does not own the request, or the listener is gone. */
SEC("kprobe/inet_csk_complete_hashdance")
int BPF_KPROBE(kp_hashdance, struct sock* sk, struct sock* child, void* req, bool own) {
  if (!own || READ(sk, __sk_common.skc_state) != TCP_LISTEN) return 0;
  return share_queued(sk, READ(sk, sk_ack_backlog) + 1);
}

SEC("fexit/reuseport_select_sock")
int BPF_PROG(fx_select, struct sock* sk, __u32 hash, void* skb, int length, struct sock* ret) {
  return share_selected(ret);
}

SEC("kretprobe/reuseport_select_sock")
int BPF_KRETPROBE(kp_select_exit, struct sock* ret) {
  return share_selected(ret);
}

SEC("fexit/reuseport_migrate_sock")
int BPF_PROG(fx_migrate, struct sock* sk, struct sock* moving, void* skb, struct sock* ret) {
  struct bl_share* s = ret ? share_of(sk) : NULL;
  if (s) s->migrated++;
  return 0;
}

SEC("fexit/__udp_enqueue_schedule_skb")
int BPF_PROG(fx_udp_enqueue, struct sock* sk, void* skb, int ret) {
  return ret == 0 ? share_datagram(sk) : 0;
}

/* Which socket this processor is queueing for: datagrams come in softirq, one at a time. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} enqueueing SEC(".maps");

SEC("kprobe/__udp_enqueue_schedule_skb")
int BPF_KPROBE(kp_udp_enqueue, struct sock* sk) {
  __u32 zero = 0;
  __u64* at = bpf_map_lookup_elem(&enqueueing, &zero);
  if (at) *at = READ(sk, sk_reuseport_cb) ? (__u64)sk : 0;
  return 0;
}

SEC("kretprobe/__udp_enqueue_schedule_skb")
int BPF_KRETPROBE(kp_udp_enqueue_exit, int ret) {
  __u32 zero = 0;
  __u64* at = bpf_map_lookup_elem(&enqueueing, &zero);
  return at && *at && ret == 0 ? share_datagram((void*)*at) : 0;
}

#endif /* BINDLENS_SHARE_H */
