/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading a kernel socket into struct bl_sock. */
#ifndef BINDLENS_SOCKET_H
#define BINDLENS_SOCKET_H

#include "maps.h"

/* Enough for struct sock_common on every kernel (136 bytes on 64 bit). */
#define SOCK_COMMON_MAX 160

/* A field of a sock_common that was copied to the stack in one read. */
#define COMMON(copy, type, field)                                                                  \
  (*(type*)((copy)->bytes + bpf_core_field_offset(struct sock_common, field)))

struct common_copy {
  __u8 bytes[SOCK_COMMON_MAX] __attribute__((aligned(8)));
};

static __always_inline __u32 netns_inum(void* net) {
  return READ((struct net*)net, ns.inum);
}

/* Bit-fields of the copy: the address is the stack's, the offsets are the kernel's. */
static __always_inline __u32 common_flags(const struct common_copy* copy) {
  const struct sock_common* c = (const void*)copy;
  __u32 flags = 0;
  __u64 reuse = BPF_CORE_READ_BITFIELD(c, skc_reuse);
  if (reuse) flags |= BL_SF_REUSEADDR;
  if (reuse == 2) flags |= BL_SF_FORCE_REUSE;
  if (BPF_CORE_READ_BITFIELD(c, skc_reuseport)) flags |= BL_SF_REUSEPORT;
  if (BPF_CORE_READ_BITFIELD(c, skc_ipv6only)) flags |= BL_SF_V6ONLY;
  if (!BPF_CORE_READ_BITFIELD(c, skc_net_refcnt)) flags |= BL_SF_KERNEL;
  return flags;
}

static __always_inline void read_common(struct bl_sock* out, const struct common_copy* c) {
  out->cookie = COMMON(c, __u64, skc_cookie);
  out->dev = COMMON(c, __u32, skc_bound_dev_if);
  out->port = COMMON(c, __u16, skc_num);
  out->peer_port = bpf_ntohs(COMMON(c, __be16, skc_dport));
  out->family = COMMON(c, __u16, skc_family);
  out->state = COMMON(c, __u8, skc_state);
  if (out->family == AF_INET6) {
    __builtin_memcpy(out->addr, &COMMON(c, __u64, skc_v6_rcv_saddr), 16);
    __builtin_memcpy(out->peer, &COMMON(c, __u64, skc_v6_daddr), 16);
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
    if (compat_group_has_closed(group)) out->flags |= BL_SF_CLOSED_CB;
  }
  if (out->protocol == IPPROTO_TCP && compat_is_mptcp(sk)) out->flags |= BL_SF_MPTCP;
  if (out->protocol != IPPROTO_TCP && out->peer_port) out->flags |= BL_SF_CONNECTED_ADDR;
  if (out->state == TCP_LISTEN) {
    out->backlog = READ(sk, sk_ack_backlog);
    out->max_backlog = READ(sk, sk_max_ack_backlog);
  }
}

/* Owner side: the sockfs inode and the open file. */
static __always_inline void read_file(struct bl_sock* out) {
  struct sock* sk = (void*)out->sk;
  if (READ(sk, __sk_common.skc_flags) & (1ul << 4 /* SOCK_LINGER */)) {
    out->flags |= BL_SF_LINGER;
    __u64 ticks = READ(sk, sk_lingertime);
    __u32 hz = jiffies_per_second;
    out->linger = hz ? ticks / hz : 0;
  }
  struct socket* socket = READ(sk, sk_socket);
  if (!socket) {
    out->flags |= BL_SF_ORPHAN;
    return;
  }
  struct socket_alloc* alloc = (void*)socket - bpf_core_field_offset(struct socket_alloc, socket);
  out->inode = READ(alloc, vfs_inode.i_ino);
  out->inode_uid = READ(alloc, vfs_inode.i_uid.val);
  struct file* file = READ(socket, file);
  if (file) out->file_refs = compat_file_refs(file);
}

/*
 * Fills `out` from the socket at `sk`. `protocol` is what the table says, for
 * sk_protocol is not there to ask in TIME_WAIT. `netns`: 0 = look it up.
 */
static __always_inline bool read_sock(struct bl_sock* out, void* sk, __u8 protocol, __u32 netns,
                                      bool with_file) {
  struct common_copy c;
  __builtin_memset(out, 0, sizeof(*out));
  if (bpf_probe_read_kernel(&c, sizeof(c), sk)) return false;
  out->sk = (__u64)sk;
  out->protocol = protocol;
  out->netns = netns ? netns : netns_inum(COMMON(&c, void*, skc_net));
  read_common(out, &c);
  out->flags = common_flags(&c);
  if (protocol == IPPROTO_TCP && out->state == TCP_TIME_WAIT) {
    read_timewait(out);
    return true;
  }
  read_full(out);
  if (with_file) read_file(out);
  return true;
}

/* An MPTCP socket acts through its first subflow: that one is in the tables. */
static __always_inline void* table_socket(void* sk, __u32* protocol) {
  *protocol = READ((struct sock*)sk, sk_protocol);
  if (*protocol != IPPROTO_MPTCP) return sk;
  *protocol = IPPROTO_TCP;
  return compat_mptcp_first(sk);
}

static __always_inline bool is_inet(void* sk) {
  __u16 family = READ((struct sock*)sk, __sk_common.skc_family);
  return family == AF_INET || family == AF_INET6;
}

static __always_inline bool is_tracked_protocol(__u32 protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE;
}

#endif /* BINDLENS_SOCKET_H */
