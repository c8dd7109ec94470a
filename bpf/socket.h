/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading a kernel socket into struct bl_sock. */
#ifndef BINDLENS_SOCKET_H
#define BINDLENS_SOCKET_H

#include "maps.h"

static __always_inline __u32 netns_inum(void* net) {
  return READ((struct net*)net, ns.inum);
}

/*
 * A sock_common is read where it is, or copied to the stack in one read: there
 * the address is the stack's and the offsets are the kernel's. COMMON() is a
 * member of either.
 */
#ifdef BL_DIRECT_LOADS
#define COMMON(c, type, member) ((type)(c)->member)
#else
/* As much of struct sock_common as COMMON() is asked for: up to skc_cookie, on every kernel. */
struct common_copy {
  __u8 bytes[112] __attribute__((aligned(8)));
};
#define COMMON(c, type, member)                                                                    \
  (*(type*)((const void*)(c) + bpf_core_field_offset(struct sock_common, member)))
#endif

static __always_inline __u32 common_flags(const struct sock_common* c) {
  __u32 flags = 0;
  __u64 reuse = BPF_CORE_READ_BITFIELD(c, skc_reuse);
  if (reuse) flags |= BL_SF_REUSEADDR;
  if (reuse == 2) flags |= BL_SF_FORCE_REUSE;
  if (BPF_CORE_READ_BITFIELD(c, skc_reuseport)) flags |= BL_SF_REUSEPORT;
  if (BPF_CORE_READ_BITFIELD(c, skc_ipv6only)) flags |= BL_SF_V6ONLY;
  if (!BPF_CORE_READ_BITFIELD(c, skc_net_refcnt)) flags |= BL_SF_KERNEL;
  return flags;
}

static __always_inline void read_common(struct bl_sock* out, const struct sock_common* c) {
  struct sock_common* sk = (void*)out->sk;
  out->cookie = COMMON(c, __u64, skc_cookie.counter);
  out->dev = COMMON(c, __u32, skc_bound_dev_if);
  out->port = COMMON(c, __u16, skc_num);
  out->peer_port = bpf_ntohs(COMMON(c, __be16, skc_dport));
  out->family = COMMON(c, __u16, skc_family);
  out->state = COMMON(c, __u8, skc_state);
  out->flags = common_flags(c);
  if (out->family == AF_INET6) {
    READ_INTO(&out->addr, sk, skc_v6_rcv_saddr);
    READ_INTO(&out->peer, sk, skc_v6_daddr);
  } else {
    *(__u32*)out->addr = COMMON(c, __u32, skc_rcv_saddr);
    *(__u32*)out->peer = COMMON(c, __u32, skc_daddr);
  }
}

static __always_inline void read_timewait(struct bl_sock* out) {
  struct inet_timewait_sock* tw = (void*)out->sk;
  /* A mini-socket holds no reference on its namespace, whoever made its socket. */
  out->flags = (out->flags & ~BL_SF_KERNEL) | BL_SF_TIMEWAIT;
  out->substate = READ(tw, tw_substate);
  __u64 expires = READ(tw, tw_timer.expires);
  __u64 now = bpf_jiffies64();
  __u32 hz = jiffies_per_second;
  if (hz && expires > now) out->tw_left_ms = (expires - now) * 1000 / hz;
}

/* Members that only a full socket has. */
static __always_inline void read_full(struct bl_sock* out) {
  struct sock* sk = (void*)out->sk;
  __u64 locks = READ_BITS(sk, sk_userlocks);
  out->flags |= (locks & 8) ? BL_SF_PORT_LOCKED : 0;
  out->flags |= (locks & 4) ? BL_SF_ADDR_LOCKED : 0;
  out->flags |= (locks & 16) ? BL_SF_CONNECT_BIND : 0;
  out->uid = READ(sk, sk_uid.val);
  out->flags |= compat_inet_flags(sk);
  struct sock_reuseport* group = READ(sk, sk_reuseport_cb);
  if (group) {
    out->flags |= BL_SF_HAS_CB;
    if (compat_group_closed(group)) out->flags |= BL_SF_CLOSED_CB;
  }
  if (out->protocol == IPPROTO_TCP && compat_is_mptcp(sk)) out->flags |= BL_SF_MPTCP;
  if (out->protocol != IPPROTO_TCP && out->peer_port) out->flags |= BL_SF_CONNECTED_ADDR;
  if (out->state == TCP_LISTEN) {
    out->backlog = READ(sk, sk_ack_backlog);
    out->max_backlog = READ(sk, sk_max_ack_backlog);
  }
}

/*
 * Fills `out` from the socket at `sk`. `protocol` is what the table says, for
 * sk_protocol is not there to ask in TIME_WAIT. `netns`: 0 = look it up.
 */
static __always_inline void read_sock(struct bl_sock* out, void* sk, __u8 protocol, __u32 netns) {
  __builtin_memset(out, 0, sizeof(*out));
#ifdef BL_DIRECT_LOADS
  const struct sock_common* common = TYPED((struct sock_common*)sk);
#else
  struct common_copy copy;
  if (bpf_probe_read_kernel(&copy, sizeof(copy), sk)) return;
  const struct sock_common* common = (const void*)&copy;
#endif
  out->sk = (__u64)sk;
  out->protocol = protocol;
  out->netns = netns ? netns : netns_inum(COMMON(common, void*, skc_net.net));
  read_common(out, common);
  if (protocol == IPPROTO_TCP && out->state == TCP_TIME_WAIT)
    read_timewait(out);
  else
    read_full(out);
}

/* Owner side: SO_LINGER, whether a file has it, and which. For a full socket. */
static __always_inline void read_owner(struct bl_sock* out, bool with_file) {
  struct sock* sk = (void*)out->sk;
  if (READ(sk, __sk_common.skc_flags) & (1ul << 4 /* SOCK_LINGER */)) {
    out->flags |= BL_SF_LINGER;
    __u64 ticks = READ(sk, sk_lingertime);
    __u32 hz = jiffies_per_second;
    out->linger = hz ? ticks / hz : 0;
  }
  struct socket* socket = READ(sk, sk_socket);
  if (!socket) out->flags |= BL_SF_ORPHAN;
  if (!socket || !with_file) return;
  struct socket_alloc* alloc = (void*)socket - bpf_core_field_offset(struct socket_alloc, socket);
  out->inode = READ(alloc, vfs_inode.i_ino);
  out->inode_uid = READ(alloc, vfs_inode.i_uid.val);
  struct file* file = READ(socket, file);
  if (file) out->file_refs = compat_file_refs(file);
}

/* An MPTCP socket acts through its first subflow: that one is in the tables. */
static __always_inline void* first_subflow(void* sk, __u32* protocol) {
  if (*protocol != IPPROTO_MPTCP) return sk;
  *protocol = IPPROTO_TCP;
  return compat_mptcp_first(sk);
}

static __always_inline void* table_socket(void* sk, __u32* protocol) {
  *protocol = READ((struct sock*)sk, sk_protocol);
  return first_subflow(sk, protocol);
}

static __always_inline bool is_inet(void* sk) {
  __u16 family = READ((struct sock*)sk, __sk_common.skc_family);
  return family == AF_INET || family == AF_INET6;
}

static __always_inline bool is_tracked_protocol(__u32 protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE;
}

#endif /* BINDLENS_SOCKET_H */
