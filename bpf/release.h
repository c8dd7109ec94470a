/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* When a socket gives its port back. */
#ifndef BINDLENS_RELEASE_H
#define BINDLENS_RELEASE_H

#include "call.h"
#include "share.h"

/*
 * Accepted connections come and go by the hundred thousand and are not in the
 * table; telling of their end would be noise. A socket that bound or connected
 * got a cookie from hooks_cgroup.h, and an accepted one starts with none
 * (sk_clone). If somebody else gave one to it, the daemon sees a release that
 * it does not know, and passes over it.
 */
static __always_inline bool is_marked(void* sk) {
  return children_unmarked || READ((struct sock*)sk, __sk_common.skc_cookie.counter) != 0 ||
         (READ_BITS((struct sock*)sk, sk_userlocks) & 8);
}

/* Entry of inet_put_port(): the port is still there. */
static __always_inline int tcp_released(void* sk, __u8 hook) {
  __u32 protocol = READ((struct sock*)sk, sk_protocol);
  __u16 port = READ((struct sock*)sk, __sk_common.skc_num);
  __u8 state = READ((struct sock*)sk, __sk_common.skc_state);
  if (protocol != IPPROTO_TCP || !port) return 0;
  if (state == TCP_LISTEN || is_marked(sk)) emit_release(sk, BL_REC_RELEASE, protocol, port, hook);
  return 0;
}

/* Entry of udp_lib_unhash(), or the close of a UDP socket. */
static __always_inline int udp_released(void* sk, __u8 hook) {
  __u32 protocol = READ((struct sock*)sk, sk_protocol);
  __u16 port = READ((struct sock*)sk, __sk_common.skc_num);
  if ((protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE) && port && is_inet(sk)) {
    share_closed(sk, compat_drops(sk));
    emit_release(sk, BL_REC_RELEASE, protocol, port, hook);
  }
  return 0;
}

/* A listener is CLOSE now, and has its port only if it keeps it. */
SEC("fentry/inet_csk_listen_stop")
int BPF_PROG(fe_listen_stop, struct sock* sk) {
  if (READ(sk, sk_protocol) != IPPROTO_TCP) return 0;
  share_closed(sk, READ(sk, sk_ack_backlog));
  __u16 port = READ(sk, __sk_common.skc_num);
  if (port) emit_release(sk, BL_REC_STATE, IPPROTO_TCP, port, BL_HOOK_TRAMPOLINE);
  return 0;
}

/*
 * A TCP socket became CLOSE. With `release_by_state` this is where most ports
 * are given back: the port number is already cleared then, its network-order
 * copy is not. A socket bound to a number asked for keeps it until destroyed.
 */
static __always_inline int tcp_closed(void* sk, int old_state) {
  if (old_state == TCP_LISTEN) share_closed(sk, READ((struct sock*)sk, sk_ack_backlog));
  __u16 port = READ((struct sock*)sk, __sk_common.skc_num);
  if (port) {
    /* Not when listen() itself failed: the socket never listened. */
    if (stop_by_state && old_state == TCP_LISTEN && !inflight_find())
      emit_release(sk, BL_REC_STATE, IPPROTO_TCP, port, BL_HOOK_TRACEPOINT);
    return 0;
  }
  if (!release_by_state) return 0;
  port = bpf_ntohs(READ((struct inet_sock*)sk, inet_sport));
  if (port && (old_state == TCP_LISTEN || is_marked(sk)))
    emit_release(sk, BL_REC_RELEASE, IPPROTO_TCP, port, BL_HOOK_TRACEPOINT);
  return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tp_state, struct sock* sk, int old_state, int new_state) {
  if (new_state != TCP_CLOSE) return 0;
  if (READ(sk, sk_protocol) != IPPROTO_TCP) return 0;
  if (linger_by_state && READ(sk, sk_shutdown) == 3) note_linger_zero(sk, old_state);
  return tcp_closed(sk, old_state);
}

/* The end of a socket that still had its port. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tp_destroy, struct sock* sk) {
  __u16 port = READ(sk, __sk_common.skc_num);
  if (port && READ(sk, sk_protocol) == IPPROTO_TCP)
    emit_release(sk, BL_REC_RELEASE, IPPROTO_TCP, port, BL_HOOK_TRACEPOINT);
  return 0;
}

#endif
