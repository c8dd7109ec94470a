/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every descriptor of an inet socket in every process.
 *
 * The kernel's own iterator over files (task_file) takes a reference on each. A
 * socket that its process closes at that moment stays open until the reader is
 * back in user space, and so does its port: the process cannot bind it again. So
 * this goes over the tasks, and reads their tables of descriptors without taking
 * anything. What is read may be freed meanwhile; only what a socket and its file
 * say of each other is believed.
 */
#ifndef BINDLENS_OWNERS_H
#define BINDLENS_OWNERS_H

#include "socket.h"
#include "task.h"

/* Descriptors read in one run of the program; see walk.h. */
#ifdef BL_FLAT_LOOP
#define SWEEP_STEPS 64
#else
#define SWEEP_STEPS BL_SWEEP_ROWS
#endif

#define PF_KTHREAD 0x00200000

/*
 * sk_protocol is in a cache line that nothing else here needs, so it is read once for
 * sockets in a row that have the same operations. Raw sockets have them in common for
 * all protocols; one that is taken for another is in no table and never looked up.
 */
static __always_inline __u32 sweep_protocol(struct bl_sweep* s, struct sock* sk) {
  __u64 prot = (__u64)READ(sk, __sk_common.skc_prot);
  if (prot != s->known_prot) {
    s->known_protocol = READ(sk, sk_protocol);
    s->known_prot = prot;
  }
  return s->known_protocol;
}

static __always_inline void* sweep_table_socket(struct bl_sweep* s, void* sk) {
  if (!is_inet(sk)) return NULL;
  __u32 protocol = sweep_protocol(s, sk);
  sk = first_subflow(sk, &protocol);
  if (!sk || !is_tracked_protocol(protocol)) return NULL;
  return READ((struct sock*)sk, __sk_common.skc_num) ? sk : NULL;
}

/* One descriptor. Returns 1 when there is no room for its row. */
static __always_inline int sweep_step(struct bl_sweep* s) {
  __u32 index = s->rows;
  struct bl_owner* row = bpf_map_lookup_elem(&sweep_rows, &index);
  if (!row) return 1;
  __u32 fd = s->fd++;
  struct file* file = read_pointer(s->array + fd * sizeof(file));
  if (!file || (__u64)READ(file, f_op) != s->socket_f_op) return 0;
  struct socket* socket = READ(file, private_data);
  if (!socket || READ(socket, file) != file) return 0;
  void* sk = sweep_table_socket(s, READ(socket, sk));
  if (!sk) return 0;
  row->sk = (__u64)sk;
  row->pid = s->pid;
  row->fd = fd;
  row->cookie = READ((struct sock*)sk, __sk_common.skc_cookie.counter);
  row->port = READ((struct sock*)sk, __sk_common.skc_num);
  row->peer_port = bpf_ntohs(READ((struct sock*)sk, __sk_common.skc_dport));
  s->rows++;
  return 0;
}

#ifdef BL_FLAT_LOOP
static __attribute__((noinline)) void sweep_steps(struct bl_sweep* s) {
  for (__u32 i = 0; i < SWEEP_STEPS; i++)
    if (s->fd >= s->end || sweep_step(s)) break;
}
#else
struct sweep_loop {
  struct bl_sweep* s;
};

static long sweep_loop_step(__u32 index, struct sweep_loop* loop) {
  return sweep_step(loop->s);
}

static __always_inline void sweep_steps(struct bl_sweep* s) {
  struct sweep_loop loop = {s};
  __u32 left = s->end - s->fd;
  bpf_loop(left < SWEEP_STEPS ? left : SWEEP_STEPS, sweep_loop_step, &loop, 0);
}
#endif

/* Threads share the table of their process, as a rule. */
static __always_inline bool has_own_descriptors(struct task_struct* task) {
  if (READ(task, flags) & PF_KTHREAD) return false;
  return READ(task, pid) == READ(task, tgid) ||
         READ(task, files) != READ(task, group_leader, files);
}

/* Returns 1, which makes the iterator say EAGAIN and come again to this task. */
SEC("iter/task")
int owners(struct bpf_iter__task* ctx) {
  struct task_struct* task = ctx->task;
  __u32 zero = 0;
  struct bl_sweep* s = bpf_map_lookup_elem(&sweep_cursor, &zero);
  if (!task || !s || !has_own_descriptors(task)) return 0;
  if (!s->socket_f_op) {
    struct file* file = current_fd_file(s->socket);
    if (file) s->socket_f_op = (__u64)READ(file, f_op);
  }
  struct fdtable* fdt = READ(task, files, fdt);
  if (!fdt) return 0;
  __u32 tid = READ(task, pid);
  if (s->tid != tid) s->fd = 0;
  s->tid = tid;
  s->pid = READ(task, tgid);
  s->array = (__u64)READ(fdt, fd);
  s->end = READ(fdt, max_fds);
  if (s->fd < s->end) sweep_steps(s);
  return s->fd < s->end;
}

#endif /* BINDLENS_OWNERS_H */
