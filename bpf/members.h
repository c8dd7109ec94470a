/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Members of reuseport groups: what a group is made of, in the kernel's order, who steers
 * it, and how each member's queue is. Read on demand and without a lock, for sockets that
 * user space knows from a walk.
 */
#ifndef BINDLENS_MEMBERS_H
#define BINDLENS_MEMBERS_H

#include "socket.h"

/* Rows of one run; see walk.h. */
#ifdef BL_FLAT_LOOP
#define MEMBER_STEPS 16
#else
#define MEMBER_STEPS BL_MEMBER_ROWS
#endif

static __always_inline void member_read_program(struct bl_member* m, struct bpf_prog* prog) {
  /* bpf_prog_was_classic() */
  m->steering = READ(prog, type) == BPF_PROG_TYPE_UNSPEC ? BL_STEERING_CBPF : BL_STEERING_EBPF;
  if (READ(prog, expected_attach_type) == BPF_SK_REUSEPORT_SELECT_OR_MIGRATE) m->migrates = 1;
  struct bpf_prog_aux* aux = READ(prog, aux);
  if (!aux) return;
  m->program_id = READ(aux, id);
  READ_INTO(&m->program, aux, name);
}

static __always_inline void member_read_group(struct bl_member* m, struct sock_reuseport* group) {
  m->group_id = READ(group, reuseport_id);
  m->members = READ(group, num_socks);
  m->closed = compat_group_closed(group);
  struct bpf_prog* prog = READ(group, prog);
  if (prog) member_read_program(m, prog);
}

static __always_inline void member_read_sock(struct bl_member* m, struct sock* sk) {
  void* net = READ(sk, __sk_common.skc_net.net);
  m->netns = netns_inum(net);
  m->cookie = READ(sk, __sk_common.skc_cookie.counter);
  m->port = READ(sk, __sk_common.skc_num);
  m->state = READ(sk, __sk_common.skc_state);
  m->incoming_cpu = READ(sk, __sk_common.skc_incoming_cpu);
  m->drops = compat_drops(sk);
  m->backlog = READ(sk, sk_ack_backlog);
  m->max_backlog = READ(sk, sk_max_ack_backlog);
  m->receive_queue = READ(sk, sk_backlog.rmem_alloc.counter);
  m->receive_buffer = READ(sk, sk_rcvbuf);
  m->migrates = compat_migrates(net);
}

/* One row. Returns 1 at the end. */
static __always_inline int member_step(struct bl_members* c) {
  __u32 index = c->next;
  struct bl_member* m = bpf_map_lookup_elem(&member_rows, &index);
  if (!m || index >= c->count) return 1;
  c->next++;
  if (!m->sk) {
    __u64 socks = m->group + bpf_core_field_offset(struct sock_reuseport, socks);
    m->sk = (__u64)read_pointer(socks + m->index * sizeof(void*));
    return 0;
  }
  struct sock* sk = (void*)m->sk;
  member_read_sock(m, sk);
  struct sock_reuseport* group = READ(sk, sk_reuseport_cb);
  m->group = (__u64)group;
  if (group) member_read_group(m, group);
  return 0;
}

#ifdef BL_FLAT_LOOP
static __attribute__((noinline)) void member_steps(struct bl_members* c) {
  for (__u32 i = 0; i < MEMBER_STEPS; i++)
    if (member_step(c)) break;
}
#else
struct member_loop {
  struct bl_members* c;
};

static long member_loop_step(__u32 index, struct member_loop* loop) {
  return member_step(loop->c);
}

static __always_inline void member_steps(struct bl_members* c) {
  struct member_loop loop = {c};
  bpf_loop(MEMBER_STEPS, member_loop_step, &loop, 0);
}
#endif

/* Run on demand by the daemon (BPF_PROG_TEST_RUN), never attached. */
SEC("raw_tp")
int members(void* ctx) {
  __u32 zero = 0;
  struct bl_members* c = bpf_map_lookup_elem(&members_cursor, &zero);
  if (c) member_steps(c);
  return 0;
}

#endif /* BINDLENS_MEMBERS_H */
