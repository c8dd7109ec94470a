/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walk of the kernel's own tables: TCP's bind hash and UDP's port hash.
 *
 * A walk is a machine that does one small step at a time - next bucket, next
 * bind bucket, next address bucket, next socket - with all of its state in
 * struct bl_walk. One flat loop of such steps is something every verifier since
 * 5.10 accepts, and it can stop anywhere and go on later.
 *
 * No lock is taken. Sockets come from slabs that reuse memory at once, so every
 * node is checked to belong where the walk thinks it is; if not, the chain
 * changed and the bucket is read again.
 */
#ifndef BINDLENS_WALK_H
#define BINDLENS_WALK_H

#include "emit.h"
#include "socket.h"

/* Steps of one call of walk_steps(): a bound for the verifier, which looks at
 * each of them, and for the time without preemption. */
#define WALK_STEPS 256
#define WALK_TRIES 3

enum walk_phase { WALK_BUCKET = 0, WALK_TB, WALK_TB2, WALK_SK, WALK_UDP };

static __always_inline struct bl_row* walk_new_row(struct bl_walk* w) {
  if (w->seen++ < w->skip) return NULL;
  __u32 index = w->rows;
  if (index >= w->max_rows) return NULL;
  w->rows++;
  return bpf_map_lookup_elem(&walk_rows, &index);
}

/* Fills `row`, whose `kind` and position are the caller's. */
static __always_inline void walk_fill_bucket(struct bl_walk* w, struct bl_row* row, void* tb_) {
  struct inet_bind_bucket* tb = tb_;
  __builtin_memset(row, 0, sizeof(*row));
  struct bl_bucket* b = &row->bucket;
  row->kind = w->table == BL_TABLE_TCP ? BL_ROW_BUCKET : BL_ROW_SLOT;
  b->protocol = w->table == BL_TABLE_TCP   ? IPPROTO_TCP
                : w->table == BL_TABLE_UDP ? IPPROTO_UDP
                                           : IPPROTO_UDPLITE;
  if (w->table != BL_TABLE_TCP) {
    b->count = BPF_CORE_READ((struct udp_hslot*)tb_, count);
    return;
  }
  b->netns = w->known_inum;
  b->port = w->cur_port;
  b->l3mdev = BPF_CORE_READ(tb, l3mdev);
  b->fastreuse = BPF_CORE_READ(tb, fastreuse);
  b->fastreuseport = BPF_CORE_READ(tb, fastreuseport);
  b->fastuid = BPF_CORE_READ(tb, fastuid.val);
  b->fast_family = BPF_CORE_READ(tb, fast_sk_family);
  b->fast_v6only = BPF_CORE_READ(tb, fast_ipv6_only);
  if (b->fast_family == AF_INET6)
    BPF_CORE_READ_INTO(&b->fast_addr, tb, fast_v6_rcv_saddr);
  else
    *(__u32*)b->fast_addr = BPF_CORE_READ(tb, fast_rcv_saddr);
}

static __always_inline void walk_fill_sock(struct bl_walk* w, struct bl_row* row, void* sk) {
  __u8 protocol = w->table == BL_TABLE_TCP   ? IPPROTO_TCP
                  : w->table == BL_TABLE_UDP ? IPPROTO_UDP
                                             : IPPROTO_UDPLITE;
  row->kind = BL_ROW_SOCK;
  row->udp_hash2 = 0;
  if (w->table != BL_TABLE_TCP)
    row->udp_hash2 = BPF_CORE_READ((struct sock_common*)sk, skc_u16hashes[1]);
  read_sock(&row->sock, sk, protocol, w->known_inum, true);
}

static __always_inline void walk_row(struct bl_walk* w, void* object, bool head) {
  if (w->call) {
    struct bl_holder* h = record_reserve(sizeof(*h), BL_REC_HOLDER, BL_HOOK_TRACEPOINT);
    if (!h) return;
    h->call = w->call;
    if (head)
      walk_fill_bucket(w, &h->row, object);
    else
      walk_fill_sock(w, &h->row, object);
    w->rows++;
    record_submit(h, false);
    return;
  }
  struct bl_row* row = walk_new_row(w);
  if (!row) return;
  if (head)
    walk_fill_bucket(w, row, object);
  else
    walk_fill_sock(w, row, object);
}

/* Remembers the inode number of the last namespace, as most rows share it. */
static __always_inline __u32 walk_inum(struct bl_walk* w, void* net) {
  if (w->known_net != (__u64)net) {
    w->known_inum = netns_inum(net);
    w->known_net = (__u64)net;
  }
  return w->known_inum;
}

static __always_inline bool walk_wants(struct bl_walk* w, __u32 port, __u32 inum) {
  return (!w->port || w->port == port) && (!w->netns || w->netns == inum);
}

/* Leaves the bucket; it is done with, or given up. */
static __always_inline void walk_next_bucket(struct bl_walk* w) {
  w->bucket++;
  w->phase = WALK_BUCKET;
  w->skip = 0;
  w->tries = 0;
}

/* The chain is not what it was: read the bucket again, a few times. */
static __always_inline void walk_retry(struct bl_walk* w) {
  if (!w->call && w->tries < WALK_TRIES) {
    w->tries++;
    w->retries++;
    w->rows = w->first_row;
    w->phase = WALK_BUCKET;
    return;
  }
  w->torn++;
  walk_next_bucket(w);
}

/* No room for the bucket: hand over what is complete, and come back to it. */
static __always_inline void walk_full(struct bl_walk* w) {
  if (w->first_row)
    w->rows = w->first_row;
  else
    w->skip += w->rows;
  w->phase = WALK_BUCKET;
}

static __always_inline int walk_step_bucket(struct bl_walk* w) {
  if (w->bucket >= w->end) {
    w->done = 1;
    return 1;
  }
  void* head;
  __u64 bucket = w->bucket;
  w->first_row = w->rows;
  w->seen = 0;
  w->head_done = 0;
  if (w->table == BL_TABLE_TCP) {
    head = (void*)w->table_addr + bucket * bpf_core_type_size(struct inet_bind_hashbucket);
    w->node = (__u64)BPF_CORE_READ((struct inet_bind_hashbucket*)head, chain.first);
    w->phase = WALK_TB;
  } else {
    head = (void*)w->table_addr + bucket * bpf_core_type_size(struct udp_hslot);
    w->node = (__u64)BPF_CORE_READ((struct udp_hslot*)head, head.first);
    w->phase = WALK_UDP;
  }
  if (!w->node) walk_next_bucket(w);
  return 0;
}

static __always_inline void* tb_of(__u64 node) {
  return (void*)node - bpf_core_field_offset(struct inet_bind_bucket, node);
}

static __always_inline int walk_step_tb(struct bl_walk* w) {
  if (!w->node) {
    walk_next_bucket(w);
    return 0;
  }
  struct inet_bind_bucket* tb = tb_of(w->node);
  struct net* net = BPF_CORE_READ(tb, ib_net.net);
  __u32 port = BPF_CORE_READ(tb, port);
  w->node = (__u64)BPF_CORE_READ(tb, node.next);
  if (w->port && w->port != port) return 0;
  __u32 mix = BPF_CORE_READ(net, hash_mix);
  if (((port + mix) & (w->buckets - 1)) != w->bucket) {
    walk_retry(w);
    return 0;
  }
  w->net = (__u64)net;
  w->cur_port = port;
  if (!walk_wants(w, port, walk_inum(w, net))) return 0;
  walk_row(w, tb, true);
  w->node2 = 0;
  w->sk_node = 0;
  if (compat_has_bhash2_owners()) {
    w->node2 = (__u64)compat_bucket_first(tb);
    w->phase = WALK_TB2;
  } else {
    w->sk_node = (__u64)compat_bucket_first(tb);
    w->phase = WALK_SK;
  }
  return 0;
}

static __always_inline int walk_step_tb2(struct bl_walk* w) {
  if (!w->node2) {
    w->phase = WALK_TB;
    return 0;
  }
  w->sk_node = (__u64)compat_bucket2_first((void*)w->node2);
  w->node2 = (__u64)BPF_CORE_READ((struct hlist_node*)w->node2, next);
  w->phase = WALK_SK;
  return 0;
}

static __always_inline int walk_step_sk(struct bl_walk* w) {
  if (!w->sk_node) {
    w->phase = WALK_TB2; /* before 6.8 there are none left, and that leads to the next bucket */
    return 0;
  }
  struct sock_common* sk =
      (void*)w->sk_node - bpf_core_field_offset(struct sock_common, skc_bind_node);
  w->sk_node = (__u64)BPF_CORE_READ(sk, skc_bind_node.next);
  if (BPF_CORE_READ(sk, skc_num) != w->cur_port ||
      (__u64)BPF_CORE_READ(sk, skc_net.net) != w->net) {
    walk_retry(w);
    return 0;
  }
  walk_row(w, sk, false);
  return 0;
}

static __always_inline int walk_step_udp(struct bl_walk* w) {
  if (!w->node) {
    walk_next_bucket(w);
    return 0;
  }
  struct sock_common* sk = (void*)w->node - bpf_core_field_offset(struct sock_common, skc_node);
  struct net* net = BPF_CORE_READ(sk, skc_net.net);
  __u32 port = BPF_CORE_READ(sk, skc_num);
  w->node = (__u64)BPF_CORE_READ(sk, skc_node.next);
  if (w->port && w->port != port) return 0;
  if (((port + BPF_CORE_READ(net, hash_mix)) & (w->buckets - 1)) != w->bucket) {
    walk_retry(w);
    return 0;
  }
  if (!walk_wants(w, port, walk_inum(w, net))) return 0;
  if (!w->head_done) {
    __u64 bucket = w->bucket;
    walk_row(w, (void*)w->table_addr + bucket * bpf_core_type_size(struct udp_hslot), true);
    w->head_done = 1;
  }
  walk_row(w, sk, false);
  return 0;
}

/*
 * Up to WALK_STEPS steps. Returns 1 when there is nothing to do before user
 * space has taken the rows, or at the end.
 */
static __attribute__((noinline)) int walk_steps(struct bl_walk* w) {
  for (int i = 0; i < WALK_STEPS; i++) {
    int stop = 0;
    /* Two rows at most per step. */
    if (!w->call && w->rows + 2 > w->max_rows) {
      walk_full(w);
      return 1;
    }
    __u32 phase = w->phase;
    if (phase == WALK_BUCKET)
      stop = walk_step_bucket(w);
    else if (phase == WALK_TB)
      stop = walk_step_tb(w);
    else if (phase == WALK_TB2)
      stop = walk_step_tb2(w);
    else if (phase == WALK_SK)
      stop = walk_step_sk(w);
    else
      stop = walk_step_udp(w);
    if (stop) return 1;
  }
  return 0;
}

/* Finds the table that a socket of this kind is hashed in. */
static __always_inline bool walk_open(struct bl_walk* w, void* sk) {
  if (w->table == BL_TABLE_TCP) {
    struct inet_hashinfo* h = compat_tcp_hashinfo(sk);
    w->table_addr = (__u64)BPF_CORE_READ(h, bhash);
    w->buckets = BPF_CORE_READ(h, bhash_size);
  } else {
    struct udp_table* t = compat_udp_table(sk);
    w->table_addr = (__u64)BPF_CORE_READ(t, hash);
    w->buckets = BPF_CORE_READ(t, mask) + 1;
  }
  return w->table_addr && w->buckets && !(w->buckets & (w->buckets - 1));
}

/*
 * Inside a refused call: the one bucket of this port and namespace, into the
 * ring buffer. Returns enum bl_call_flag.
 */
static __always_inline __u32 walk_refused(void* sk, __u32 protocol, __u16 port, __u64 call) {
  struct bl_walk fresh = {};
  __u64 key = bpf_get_current_pid_tgid();
  if (bpf_map_update_elem(&walks, &key, &fresh, BPF_ANY)) return BL_CF_TRUNCATED;
  struct bl_walk* w = bpf_map_lookup_elem(&walks, &key);
  if (!w) return BL_CF_TRUNCATED;
  w->table = protocol == IPPROTO_TCP   ? BL_TABLE_TCP
             : protocol == IPPROTO_UDP ? BL_TABLE_UDP
                                       : BL_TABLE_UDPLITE;
  struct net* net = BPF_CORE_READ((struct sock*)sk, __sk_common.skc_net.net);
  w->netns = netns_inum(net);
  w->port = port;
  w->call = call;
  __u32 flags = BL_CF_TRUNCATED;
  if (walk_open(w, sk)) {
    w->bucket = (port + BPF_CORE_READ(net, hash_mix)) & (w->buckets - 1);
    w->end = w->bucket + 1;
    if (walk_steps(w)) flags = BL_CF_HOLDERS;
    if (w->rows) flags |= BL_CF_HOLDERS;
    if (w->torn) flags |= BL_CF_TORN;
  }
  bpf_map_delete_elem(&walks, &key);
  return flags;
}

/* Run on demand by the daemon (BPF_PROG_TEST_RUN), never attached. */
SEC("raw_tp")
int walk(void* ctx) {
  __u32 zero = 0;
  struct bl_walk* w = bpf_map_lookup_elem(&walk_cursor, &zero);
  if (!w) return 0;
  if (w->max_rows > BL_WALK_ROWS) w->max_rows = BL_WALK_ROWS;
  w->call = 0;
  w->rows = 0;
  w->jiffies = bpf_jiffies64();
  w->time = bpf_ktime_get_ns();
  if (!w->table_addr) {
    void* sk = current_fd_sock(w->fd);
    if (!sk || !walk_open(w, sk)) {
      w->done = 2;
      return 0;
    }
    w->end = w->buckets;
  }
  walk_steps(w);
  return 0;
}

#endif /* BINDLENS_WALK_H */
