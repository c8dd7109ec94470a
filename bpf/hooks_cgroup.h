/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup programs, at the root of the v2 hierarchy, used in every tier. They
 * never decide anything: each returns 1, "allowed", whatever happens.
 */
#ifndef BINDLENS_HOOKS_CGROUP_H
#define BINDLENS_HOOKS_CGROUP_H

#include "call.h"
#include "release.h"

/*
 * Asking for the cookie makes the kernel give one; that marks the socket as one
 * whose release is worth a record (release.h).
 */
static __always_inline int mark_connect(struct bpf_sock_addr* ctx) {
  bpf_get_socket_cookie(ctx);
  return 1;
}

SEC("cgroup/connect4")
int cg_connect4(struct bpf_sock_addr* ctx) {
  return mark_connect(ctx);
}

SEC("cgroup/connect6")
int cg_connect6(struct bpf_sock_addr* ctx) {
  return mark_connect(ctx);
}

/* A bind took a port. Through a system call: its exit tells of it. */
static __always_inline int post_bind(struct bpf_sock* ctx) {
  bpf_get_socket_cookie(ctx);
  if (!in_kernel_by_cgroup) return 1;
  if (inflight_find()) return 1;
  __u32 protocol;
  void* sk = table_socket((void*)ctx, &protocol);
  if (!sk || !is_tracked_protocol(protocol)) return 1;
  struct bl_call* r = record_reserve(sizeof(*r), BL_REC_BIND, BL_HOOK_CGROUP);
  if (!r) return 1;
  read_sock(&r->sock, sk, protocol, 0);
  read_task(&r->task);
  r->call = 0;
  r->ret = 0;
  r->flags = BL_CF_IN_KERNEL | BL_CF_NO_ADDRESS;
  r->req_family = 0;
  r->req_port = 0;
  r->req_scope = 0;
  __builtin_memset(r->req_addr, 0, sizeof(r->req_addr));
  record_submit(r, false);
  return 1;
}

SEC("cgroup/post_bind4")
int cg_post_bind4(struct bpf_sock* ctx) {
  return post_bind(ctx);
}

SEC("cgroup/post_bind6")
int cg_post_bind6(struct bpf_sock* ctx) {
  return post_bind(ctx);
}

SEC("cgroup/sock_release")
int cg_sock_release(struct bpf_sock* ctx) {
  udp_released((void*)ctx, BL_HOOK_CGROUP);
  return 1;
}

#endif
