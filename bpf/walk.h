/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walk of the kernel's own tables: TCP's bind hash and UDP's port hash.
 *
 * A walk is a machine that does one small step at a time - next bucket, next
 * bind bucket, next address bucket, next socket - with all of its state in
 * struct bl_walk. One flat loop of such steps is something every verifier since
 * 5.10 accepts, and it can stop anywhere and go on later.
 *
 * No lock is taken, and memory is reused at once. What keeps a walk on its chain
 * is each node's pointer back (hlist_node.pprev), read after its pointer on: as
 * long as that leads to where the walk came from, the node was not put anywhere
 * else, and its pointer on, even when just removed, leads to those that followed
 * it. If it does not, the bucket is read again. Sockets are added in front (at
 * the end, in a UDP slot), so none that stays is passed over.
 *
 * Between two runs there is time for a node and the one before it to come next to
 * each other again on another list. Where a run goes on in the middle of a list of
 * sockets, the next one is asked which list it is on.
 */
#ifndef BINDLENS_WALK_H
#define BINDLENS_WALK_H

#include "emit.h"
#include "socket.h"

/*
 * This file is compiled twice. From 5.17 the loop is bpf_loop(), whose body the
 * verifier looks at once. Before (BL_FLAT_LOOP) it is a C loop, of which it
 * looks at every round: few, and user space runs the program more often.
 */
#ifdef BL_FLAT_LOOP
#define WALK_STEPS 32
#define WALK_STEPS_REFUSED 32
#else
#define WALK_STEPS BL_WALK_ROWS /* about half a millisecond without preemption */
#define WALK_STEPS_REFUSED 512  /* inside somebody's system call: tens of microseconds */
#endif
#define WALK_TRIES 64

enum walk_phase { WALK_BUCKET = 0, WALK_TB, WALK_TB2, WALK_SK, WALK_UDP };

static __always_inline __u8 walk_protocol(struct bl_walk* w) {
  if (w->table == BL_TABLE_TCP) return IPPROTO_TCP;
  return w->table == BL_TABLE_UDP ? IPPROTO_UDP : IPPROTO_UDPLITE;
}

static __always_inline void walk_read_bucket(struct bl_walk* w, void* object) {
  struct bl_bucket* b = &w->row.bucket;
  __builtin_memset(b, 0, sizeof(*b));
  b->protocol = walk_protocol(w);
  if (w->table != BL_TABLE_TCP) {
    w->row.kind = BL_ROW_SLOT;
    b->count = READ((struct udp_hslot*)object, count);
    return;
  }
  struct inet_bind_bucket* tb = object;
  w->row.kind = BL_ROW_BUCKET;
  b->netns = w->known_inum;
  b->port = w->cur_port;
  b->l3mdev = READ(tb, l3mdev);
  b->fastreuse = READ(tb, fastreuse);
  b->fastreuseport = READ(tb, fastreuseport);
  b->fastuid = READ(tb, fastuid.val);
  b->fast_family = READ(tb, fast_sk_family);
  b->fast_v6only = READ(tb, fast_ipv6_only);
  if (b->fast_family == AF_INET6)
    READ_INTO(&b->fast_addr, tb, fast_v6_rcv_saddr);
  else
    *(__u32*)b->fast_addr = READ(tb, fast_rcv_saddr);
}

static __always_inline void walk_read_sock(struct bl_walk* w, void* object) {
  struct sock_common* sk = object;
  w->row.kind = BL_ROW_SOCK;
  w->row.udp_hash2 = w->table == BL_TABLE_TCP ? 0 : READ(sk, skc_u16hashes[1]);
  read_sock(&w->row.sock, sk, walk_protocol(w), w->known_inum);
  if (!(w->row.sock.flags & BL_SF_TIMEWAIT)) read_owner(&w->row.sock, !w->no_files);
}

/* Hands the row on: to the ring buffer inside a call, else to the array. */
static __always_inline void walk_write_row(struct bl_walk* w) {
  if (w->call) {
    struct bl_holder* h = record_reserve(sizeof(*h), BL_REC_HOLDER, BL_HOOK_TRACEPOINT);
    if (!h) {
      w->torn++; /* a row is missing: the daemon reads the bucket again */
      return;
    }
    h->call = w->call;
    __builtin_memcpy(&h->row, &w->row, sizeof(h->row));
    bpf_ringbuf_submit(h, BPF_RB_NO_WAKEUP); /* the record of the call will wake the reader */
    w->rows++;
    return;
  }
  __u32 index = w->rows;
  struct bl_row* row = bpf_map_lookup_elem(&walk_rows, &index);
  if (!row) return;
  __builtin_memcpy(row, &w->row, sizeof(*row));
  w->rows++;
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
  w->tries = 0;
}

/* The chain is not what it was: read the bucket again, a few times. */
static __always_inline void walk_retry(struct bl_walk* w) {
  if (!w->call && w->tries < WALK_TRIES) {
    w->tries++;
    w->retries++;
    w->withdrawn |= w->split;
    w->rows = w->first_row;
    w->phase = WALK_BUCKET;
    return;
  }
  w->torn++;
  walk_next_bucket(w);
}

/* Returns the first socket of the list whose head this is. */
static __always_inline __u64 walk_enter_list(struct bl_walk* w, __u64 head) {
  w->head = head;
  w->first = (__u64)read_pointer(head);
  return w->first;
}

static __always_inline int walk_step_bucket(struct bl_walk* w) {
  if (w->bucket >= w->end) {
    w->done = 1;
    return 1;
  }
  __u64 bucket = w->bucket;
  w->first_row = w->rows;
  w->split = 0;
  w->head_done = 0;
  if (w->table == BL_TABLE_TCP) {
    w->link = w->table_addr + bucket * bpf_core_type_size(struct inet_bind_hashbucket) +
              bpf_core_field_offset(struct inet_bind_hashbucket, chain);
    w->node = (__u64)read_pointer(w->link);
    w->phase = WALK_TB;
  } else {
    w->link = w->table_addr + bucket * bpf_core_type_size(struct udp_hslot) +
              bpf_core_field_offset(struct udp_hslot, head);
    w->node = walk_enter_list(w, w->link);
    w->phase = WALK_UDP;
  }
  if (!w->node) walk_next_bucket(w);
  return 0;
}

static __always_inline void* tb_of(__u64 node) {
  return (void*)node - bpf_core_field_offset(struct inet_bind_bucket, node);
}

/*
 * Goes from the node at `*at`, found at `*link`, to the one after it. False if
 * the node is not in its place any more.
 */
static __always_inline bool walk_on(__u64* at, __u64* link) {
  struct hlist_node* node = (void*)*at;
  __u64 next = (__u64)READ(node, next);
  barrier();
  bool in_place = (__u64)READ(node, pprev) == *link;
  *link = *at; /* `next` is the first member */
  *at = next;
  return in_place;
}

static __always_inline int walk_step_tb(struct bl_walk* w) {
  if (!w->node) {
    walk_next_bucket(w);
    return 0;
  }
  struct inet_bind_bucket* tb = tb_of(w->node);
  struct net* net = READ(tb, ib_net.net);
  __u32 port = READ(tb, port);
  __u32 mix = READ(net, hash_mix);
  if (((port + mix) & (w->buckets - 1)) != w->bucket || !walk_on(&w->node, &w->link)) {
    walk_retry(w);
    return 0;
  }
  w->net = (__u64)net;
  w->cur_port = port;
  if (!walk_wants(w, port, walk_inum(w, net))) return 0;
  w->object = (__u64)tb;
  w->object_is_head = 1;
  w->node2 = 0;
  w->sk_node = 0;
  if (compat_has_bhash2_owners()) {
    w->link2 = compat_bucket_head(tb);
    w->node2 = (__u64)read_pointer(w->link2);
    w->phase = WALK_TB2;
  } else {
    w->owner = (__u64)tb;
    w->sk_link = compat_bucket_head(tb);
    w->sk_node = walk_enter_list(w, w->sk_link);
    w->phase = WALK_SK;
  }
  return 0;
}

static __always_inline int walk_step_tb2(struct bl_walk* w) {
  if (!w->node2) {
    w->phase = WALK_TB;
    return 0;
  }
  w->owner = compat_bucket2(w->node2);
  w->sk_link = compat_bucket2_head(w->owner);
  w->sk_node = walk_enter_list(w, w->sk_link);
  w->phase = WALK_SK;
  if (!walk_on(&w->node2, &w->link2)) walk_retry(w);
  return 0;
}

static __always_inline struct sock_common* walk_next_sock(struct bl_walk* w) {
  return (void*)w->sk_node - bpf_core_field_offset(struct sock_common, skc_bind_node);
}

static __always_inline int walk_step_sk(struct bl_walk* w) {
  if (!w->sk_node) {
    w->phase = WALK_TB2; /* before 6.8 there are none left, and that leads to the next bucket */
    return 0;
  }
  struct sock_common* sk = walk_next_sock(w);
  if (READ(sk, skc_num) != w->cur_port || (__u64)READ(sk, skc_net.net) != w->net ||
      !walk_on(&w->sk_node, &w->sk_link)) {
    walk_retry(w);
    return 0;
  }
  if (!w->timewait || READ(sk, skc_state) == TCP_TIME_WAIT) w->object = (__u64)sk;
  return 0;
}

static __always_inline int walk_step_udp(struct bl_walk* w) {
  if (!w->node) {
    walk_next_bucket(w);
    return 0;
  }
  struct sock_common* sk = (void*)w->node - bpf_core_field_offset(struct sock_common, skc_node);
  struct net* net = READ(sk, skc_net.net);
  __u32 port = READ(sk, skc_num);
  __u32 mix = READ(net, hash_mix);
  if (((port + mix) & (w->buckets - 1)) != w->bucket) {
    walk_retry(w);
    return 0;
  }
  bool wanted = walk_wants(w, port, walk_inum(w, net));
  if (wanted && !w->head_done) {
    /* The head first; the socket comes in the next step. */
    w->head_done = 1;
    w->object = w->table_addr + (__u64)w->bucket * bpf_core_type_size(struct udp_hslot);
    w->object_is_head = 1;
    return 0;
  }
  if (!walk_on(&w->node, &w->link)) {
    walk_retry(w);
    return 0;
  }
  w->cur_port = port;
  if (wanted) w->object = (__u64)sk;
  return 0;
}

/* One step, of at most one row. Returns 1 at the end. */
static __always_inline int walk_step(struct bl_walk* w) {
  int stop = 0;
  w->object = 0;
  w->object_is_head = 0;
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
  if (stop || !w->object) return stop;
  if (w->object_is_head)
    walk_read_bucket(w, (void*)w->object);
  else
    walk_read_sock(w, (void*)w->object);
  if (!w->object_is_head && w->row.sock.port != w->cur_port)
    walk_retry(w); /* it ended while it was read */
  else
    walk_write_row(w);
  return 0;
}

#ifdef BL_FLAT_LOOP
static __attribute__((noinline)) void walk_steps(struct bl_walk* w, __u32 steps) {
  for (__u32 i = 0; i < WALK_STEPS; i++)
    if (walk_step(w)) break;
}
#else
struct walk_loop {
  struct bl_walk* w;
};

static long walk_loop_step(__u32 index, struct walk_loop* loop) {
  return walk_step(loop->w);
}

static __always_inline void walk_steps(struct bl_walk* w, __u32 steps) {
  struct walk_loop loop = {w};
  bpf_loop(steps, walk_loop_step, &loop, 0);
}
#endif

/* Finds the table that a socket of this kind is hashed in. */
static __always_inline bool walk_open(struct bl_walk* w, void* sk) {
  if (w->table == BL_TABLE_TCP) {
    struct inet_hashinfo* h = compat_tcp_hashinfo(sk);
    w->table_addr = (__u64)READ(h, bhash);
    w->buckets = READ(h, bhash_size);
  } else {
    struct udp_table* t = compat_udp_table(sk);
    w->table_addr = (__u64)READ(t, hash);
    w->buckets = READ(t, mask) + 1;
  }
  return w->table_addr && w->buckets && !(w->buckets & (w->buckets - 1));
}

/* Not on the stack, of which a call and the body of bpf_loop() share 512 bytes. */
static const volatile struct bl_walk fresh_walk = {};

/*
 * Inside a refused call: the one bucket of this port and namespace, into the
 * ring buffer. Returns enum bl_call_flag.
 */
static __always_inline __u32 walk_refused(void* sk, __u32 protocol, __u16 port, __u64 call) {
  __u64 key = bpf_get_current_pid_tgid();
  if (bpf_map_update_elem(&walks, &key, (const void*)&fresh_walk, BPF_ANY)) return BL_CF_TRUNCATED;
  struct bl_walk* w = bpf_map_lookup_elem(&walks, &key);
  if (!w) return BL_CF_TRUNCATED;
  w->table = protocol == IPPROTO_TCP   ? BL_TABLE_TCP
             : protocol == IPPROTO_UDP ? BL_TABLE_UDP
                                       : BL_TABLE_UDPLITE;
  struct net* net = READ((struct sock*)sk, __sk_common.skc_net.net);
  w->netns = netns_inum(net);
  w->port = port;
  w->call = call;
  __u32 flags = BL_CF_TRUNCATED;
  if (walk_open(w, sk)) {
    w->bucket = (port + READ(net, hash_mix)) & (w->buckets - 1);
    w->end = w->bucket + 1;
    walk_steps(w, WALK_STEPS_REFUSED);
    flags = w->done ? BL_CF_HOLDERS : BL_CF_HOLDERS | BL_CF_TRUNCATED;
    if (w->torn) flags |= BL_CF_TORN;
  }
  bpf_map_delete_elem(&walks, &key);
  return flags;
}

/* To start a run: is the walk, if amid the sockets of a bucket, still on their list? */
static __always_inline void walk_resume(struct bl_walk* w) {
  if (w->phase != WALK_SK && w->phase != WALK_UDP) return;
  w->grew |= (__u64)read_pointer(w->head) != w->first;
  if (w->phase == WALK_SK && w->sk_node && (__u64)compat_bucket_of(walk_next_sock(w)) != w->owner)
    walk_retry(w);
}

/* Run on demand by the daemon (BPF_PROG_TEST_RUN), never attached. */
SEC("raw_tp")
int walk(void* ctx) {
  __u32 zero = 0;
  struct bl_walk* w = bpf_map_lookup_elem(&walk_cursor, &zero);
  if (!w) return 0;
  w->call = 0;
  w->rows = 0;
  w->first_row = 0;
  w->withdrawn = 0;
  w->split = w->phase != WALK_BUCKET;
  w->jiffies = bpf_jiffies64();
  w->time = bpf_ktime_get_ns();
  if (!w->table_addr) {
    void* sk = current_fd_sock(w->fd);
    if (!sk || !walk_open(w, sk)) {
      w->done = 2;
      return 0;
    }
    w->end = w->buckets;
    struct net* net = READ((struct sock*)sk, __sk_common.skc_net.net);
    /* One port of the caller's own namespace is in one bucket. */
    if (w->port && w->netns == netns_inum(net)) {
      __u32 mix = READ(net, hash_mix);
      w->bucket = (w->port + mix) & (w->buckets - 1);
      w->end = w->bucket + 1;
    }
  }
  walk_resume(w);
  walk_steps(w, WALK_STEPS);
  return 0;
}

#endif /* BINDLENS_WALK_H */
