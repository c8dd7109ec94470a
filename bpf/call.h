/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the hooks of every tier have in common: a call is remembered at its
 * entry, because the kernel forgets the requested address when it refuses, and
 * told at its exit, when the result is known.
 */
#ifndef BINDLENS_CALL_H
#define BINDLENS_CALL_H

#include "emit.h"
#include "inflight.h"
#include "socket.h"
#include "task.h"
#include "timewait.h"
#include "walk.h"

/* Takes the requested address apart. `user`: the pointer is the caller's. */
static __always_inline void read_request(struct inflight* f, const void* addr, bool user) {
  struct sockaddr_in6_abi a = {};
  long err;
  if (user)
    err = bpf_probe_read_user(&a, sizeof(struct sockaddr_in_abi), addr);
  else
    err = bpf_probe_read_kernel(&a, sizeof(struct sockaddr_in_abi), addr);
  if (!err && a.family == AF_INET6) {
    err = user ? bpf_probe_read_user(&a, sizeof(a), addr)
               : bpf_probe_read_kernel(&a, sizeof(a), addr);
    __builtin_memcpy(f->addr, a.addr, 16);
    f->scope = a.scope_id;
  } else if (!err && a.family == AF_INET) {
    *(__u32*)f->addr = *(__u32*)((void*)&a + __builtin_offsetof(struct sockaddr_in_abi, addr));
  }
  if (err) {
    f->flags |= BL_CF_NO_ADDRESS;
    return;
  }
  f->family = a.family;
  f->port = bpf_ntohs(a.port);
}

/* Entry of a bind, listen or connect on the socket `sk`. */
static __always_inline int call_begin(void* sk, int fd, __u32 type, const void* addr, bool user) {
  __u32 protocol;
  if (!sk || !is_inet(sk)) return 0;
  void* member = table_socket(sk, &protocol);
  if (!is_tracked_protocol(protocol)) return 0;
  struct inflight f = {.sk = (__u64)sk, .fd = fd, .type = type};
  f.old_port = READ((struct sock*)sk, __sk_common.skc_num);
  if (member && !f.old_port) f.old_port = READ((struct sock*)member, __sk_common.skc_num);
  if (f.old_port) f.flags |= BL_CF_WAS_BOUND;
  if (type != BL_REC_LISTEN) read_request(&f, addr, user);
  if (!user && type != BL_REC_LISTEN) f.flags |= BL_CF_IN_KERNEL;
  if (type == BL_REC_CONNECT && protocol == IPPROTO_TCP && member) {
    f.stamp = READ((struct tcp_sock*)member, rx_opt.ts_recent_stamp);
    f.stamped = READ((struct tcp_sock*)member, rx_opt.ts_recent);
  }
  inflight_keep(&f);
  return 0;
}

/* The port whose holders decided: the one asked for, or for listen the one held. */
static __always_inline __u16 contested_port(const struct inflight* f) {
  if (f->type == BL_REC_BIND) return f->port;
  return f->old_port;
}

static __always_inline bool is_conflict(const struct inflight* f, int ret) {
  return contested_port(f) &&
         (ret == -EADDRINUSE || (f->type == BL_REC_CONNECT && ret == -EADDRNOTAVAIL));
}

/* A connect can fail for other reasons than its port, or go on (EINPROGRESS). */
static __always_inline bool is_refused(const struct inflight* f, int ret, __u16 port_now) {
  if (f->type != BL_REC_CONNECT) return ret < 0;
  return ret == -EADDRNOTAVAIL || ret == -EADDRINUSE || (ret == -EAGAIN && !port_now);
}

/*
 * Is there something to tell? Not: a bind that took no port
 * (IP_BIND_ADDRESS_NO_PORT), a connect that changed nothing about ports.
 */
static __always_inline bool is_news(const struct inflight* f, int ret, __u16 port_now) {
  if (is_refused(f, ret, port_now)) return true;
  return port_now && (f->type != BL_REC_CONNECT || !f->old_port);
}

static __always_inline void emit_release(void* sk, __u8 type, __u32 protocol, __u16 port,
                                         __u8 hook) {
  struct bl_release* r = record_reserve(sizeof(*r), type, hook);
  if (!r) return;
  r->sk = (__u64)sk;
  r->netns = netns_inum(READ((struct sock*)sk, __sk_common.skc_net.net));
  r->port = port;
  r->family = READ((struct sock*)sk, __sk_common.skc_family);
  r->protocol = protocol;
  r->pid = bpf_get_current_pid_tgid() >> 32;
  r->flags = 0;
  r->pad = 0;
  record_submit(r, false);
}

static __always_inline void emit_call(const struct inflight* f, void* sk, __u32 protocol, int ret,
                                      __u8 hook) {
  __u64 call = 0;
  __u32 flags = f->flags;
  if (is_conflict(f, ret)) {
    __u64 id = bpf_get_current_pid_tgid();
    call = bpf_ktime_get_ns() ^ (id << 40);
    flags |= walk_refused(sk, protocol, contested_port(f), call);
  }
  if (f->type == BL_REC_BIND && !ret && f->port && protocol == IPPROTO_TCP && bucket_has_others(sk))
    flags |= BL_CF_TIME_WAIT;
  struct bl_call* r = record_reserve(sizeof(*r), f->type, hook);
  if (!r) return;
  read_sock(&r->sock, sk, protocol, 0);
  read_task(&r->task);
  r->call = call;
  r->ret = ret;
  r->flags = flags;
  r->req_family = f->family;
  r->req_port = f->port;
  r->req_scope = f->scope;
  __builtin_memcpy(r->req_addr, f->addr, 16);
  record_submit(r, is_refused(f, ret, r->sock.port));
}

/* `f` stays in its map meanwhile: the stack is shared with the walk's. */
static __always_inline void tell_call(const struct inflight* f, int ret, __u8 hook) {
  __u32 protocol;
  void* sk = table_socket((void*)f->sk, &protocol);
  if (!sk) return;
  __u16 port = READ((struct sock*)sk, __sk_common.skc_num);
  if (is_news(f, ret, port)) {
    emit_call(f, sk, protocol, ret, hook);
  } else if (f->type == BL_REC_CONNECT && f->old_port && !port && protocol != IPPROTO_TCP) {
    emit_release(sk, BL_REC_RELEASE, protocol, f->old_port, hook); /* connect(AF_UNSPEC) */
  }
}

/* Exit of the call that this thread began. */
static __always_inline int call_end(int ret, __u8 hook) {
  struct inflight* f = inflight_find();
  if (!f) return 0;
  tell_call(f, ret, hook);
  inflight_end(f);
  return 0;
}

#endif /* BINDLENS_CALL_H */
