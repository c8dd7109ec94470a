/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The records that the BPF programs write and the daemon reads. This header is
 * the only place where their layout stands; docs/record-format.md is the prose.
 *
 * Rules of the format
 *  - fixed-width types only, every byte of padding named, host byte order
 *    except for addresses, which are in network byte order;
 *  - a reader checks `version` and `size` before anything else and refuses what
 *    it does not know; a record never grows without a new version;
 *  - 0 in `cookie`, `inode`, `cgroup` means "not known".
 *
 * Both compilers check the sizes below.
 */
#ifndef BINDLENS_RECORD_H
#define BINDLENS_RECORD_H

#ifndef __bpf__
#include <stdint.h>
typedef uint8_t bl_u8;
typedef uint16_t bl_u16;
typedef uint32_t bl_u32;
typedef int32_t bl_s32;
typedef uint64_t bl_u64;
#else
typedef unsigned char bl_u8;
typedef unsigned short bl_u16;
typedef unsigned int bl_u32;
typedef int bl_s32;
typedef unsigned long long bl_u64;
#endif

#define BL_RECORD_VERSION 2
#define BL_COMM_LEN 16

enum bl_record_type {
  BL_REC_BIND = 1,    /* struct bl_call: a bind() ended */
  BL_REC_LISTEN = 2,  /* struct bl_call: a listen() ended */
  BL_REC_CONNECT = 3, /* struct bl_call: a connect() took a port, or failed for want of one */
  BL_REC_RELEASE = 4, /* struct bl_release: a socket gave its port back */
  BL_REC_STATE = 5,   /* struct bl_release: a listener stopped listening and keeps its port */
  BL_REC_HOLDER = 6,  /* struct bl_holder: one row of the walk made inside a refused call */
  BL_REC_REUSE = 7,   /* struct bl_reuse: a TIME_WAIT socket was taken over */
};

/* Which kind of program wrote the record. */
enum bl_hook {
  BL_HOOK_TRACEPOINT = 1,
  BL_HOOK_KPROBE = 2,
  BL_HOOK_TRAMPOLINE = 3,
  BL_HOOK_CGROUP = 4,
};

struct bl_header {
  bl_u16 version; /* BL_RECORD_VERSION */
  bl_u8 type;     /* enum bl_record_type */
  bl_u8 hook;     /* enum bl_hook */
  bl_u32 size;    /* of the whole record, this header included */
  bl_u32 cpu;     /* where it was written; `seq` counts per cpu */
  bl_u32 pad;
  bl_u64 seq;  /* counts every attempt to write a record on this cpu, from 1; also the lost ones */
  bl_u64 time; /* CLOCK_MONOTONIC, ns */
};

enum bl_sock_flag {
  BL_SF_REUSEADDR = 1u << 0,
  BL_SF_REUSEPORT = 1u << 1,
  BL_SF_V6ONLY = 1u << 2,
  BL_SF_FORCE_REUSE = 1u << 3,     /* sk_reuse == SK_FORCE_REUSE (TCP_REPAIR) */
  BL_SF_PORT_LOCKED = 1u << 4,     /* SOCK_BINDPORT_LOCK: the port was asked for by number */
  BL_SF_ADDR_LOCKED = 1u << 5,     /* SOCK_BINDADDR_LOCK */
  BL_SF_CONNECT_BIND = 1u << 6,    /* SOCK_CONNECT_BIND (6.18) */
  BL_SF_HAS_CB = 1u << 7,          /* sk_reuseport_cb: member of a group or a program attached */
  BL_SF_ORPHAN = 1u << 8,          /* no struct socket: closed by its process or never accepted */
  BL_SF_KERNEL = 1u << 9,          /* holds no reference on its namespace: made by the kernel */
  BL_SF_LINGER = 1u << 10,         /* SO_LINGER is on, `linger` counts seconds */
  BL_SF_FREEBIND = 1u << 11,       /* IP_FREEBIND */
  BL_SF_TRANSPARENT = 1u << 12,    /* IP_TRANSPARENT */
  BL_SF_BIND_NO_PORT = 1u << 13,   /* IP_BIND_ADDRESS_NO_PORT */
  BL_SF_TIMEWAIT = 1u << 14,       /* a TIME_WAIT mini-socket: no uid, inode, backlog */
  BL_SF_MPTCP = 1u << 15,          /* a subflow of, or itself, an MPTCP socket */
  BL_SF_CLOSED_CB = 1u << 16,      /* its reuseport group contains closed sockets (migration) */
  BL_SF_CONNECTED_ADDR = 1u << 17, /* UDP: has a peer */
};

/* A socket as it was at one moment. 104 bytes. */
struct bl_sock {
  bl_u64 sk;        /* kernel address: identity while the socket lives; never shown to users */
  bl_u64 cookie;    /* SO_COOKIE, 0 = none given yet */
  bl_u64 inode;     /* of the sockfs file, 0 = none (orphan, TIME_WAIT, queued) */
  bl_u32 netns;     /* inode number of the network namespace */
  bl_u32 uid;       /* sk_uid, initial user namespace */
  bl_u32 inode_uid; /* uid of the sockfs inode, 0 for an orphan: what kernels <= 6.16 compare */
  bl_u32 dev;       /* sk_bound_dev_if */
  bl_u32 linger;    /* seconds */
  bl_u32 backlog;   /* connections waiting to be accepted */
  bl_u32 max_backlog;
  bl_u32 file_refs;  /* references on the struct file: descriptors, calls in progress, in flight */
  bl_u32 flags;      /* enum bl_sock_flag */
  bl_u32 tw_left_ms; /* TIME_WAIT: until the timer fires; 0 = not known */
  bl_u16 port;       /* local port, 0 = none */
  bl_u16 peer_port;
  bl_u8 family;   /* AF_INET or AF_INET6 */
  bl_u8 protocol; /* IPPROTO_TCP, _UDP, _UDPLITE */
  bl_u8 state;    /* TCP_ESTABLISHED = 1 … as in <netinet/tcp.h>; UDP: 1 connected, 7 not */
  bl_u8 substate; /* TIME_WAIT: 5 FIN_WAIT2 or 6 TIME_WAIT */
  bl_u8 addr[16]; /* AF_INET uses the first four bytes */
  bl_u8 peer[16];
};

/* Who called. 48 bytes. */
struct bl_task {
  bl_u64 cgroup;     /* id of the cgroup v2 */
  bl_u64 start_time; /* of the process, ns since boot: with the pid, names one process for good */
  bl_u32 pid;        /* process (thread group), initial pid namespace */
  bl_u32 tid;
  bl_u32 uid; /* effective uid of the caller */
  bl_u32 pad;
  char comm[BL_COMM_LEN];
};

enum bl_call_flag {
  BL_CF_HOLDERS = 1u << 0,    /* HOLDER records with this `call` id came before this record */
  BL_CF_TRUNCATED = 1u << 1,  /* the walk stopped early: read the bucket again */
  BL_CF_TORN = 1u << 2,       /* the chain changed under the walk */
  BL_CF_WAS_BOUND = 1u << 3,  /* the socket had a port before the call */
  BL_CF_NO_ADDRESS = 1u << 4, /* the address given could not be read, or is of another family */
  BL_CF_IN_KERNEL = 1u << 5,  /* not through a system call: io_uring or the kernel itself */
  BL_CF_TIME_WAIT = 1u << 6, /* bind: TIME_WAIT sockets may hold the port too: look at the bucket */
};

/* A bind, listen or connect that ended. 224 bytes. */
struct bl_call {
  struct bl_header h;
  struct bl_sock sock; /* as the call left it */
  struct bl_task task;
  bl_u64 call;  /* number of this call, 0 when no holders belong to it */
  bl_s32 ret;   /* 0 or -errno */
  bl_u32 flags; /* enum bl_call_flag */
  bl_u16
      req_family;   /* the address as asked for, before the kernel or a cgroup program changed it */
  bl_u16 req_port;  /* host byte order; connect: of the destination */
  bl_u32 req_scope; /* sin6_scope_id */
  bl_u8 req_addr[16];
};

enum bl_reuse_kind {
  BL_REUSE_CONNECT = 1, /* connect() took over the five-tuple: tcp_twsk_unique() */
  BL_REUSE_SYN = 2,     /* a SYN ended it and goes to the listener: TCP_TW_SYN */
};
#define BL_REUSE_KINDS 3

enum bl_reuse_flag {
  BL_RF_TIMESTAMPS = 1u << 0, /* the dead connection used TCP timestamps */
};

/* A TIME_WAIT socket taken over. A bind over some has BL_CF_TIME_WAIT instead. 200 bytes. */
struct bl_reuse {
  struct bl_header h;
  struct bl_sock sock; /* connect: the new socket; syn: the one that ended */
  struct bl_task task; /* connect: who called; syn: all zero */
  bl_u32 kind;         /* enum bl_reuse_kind */
  bl_u32 flags;        /* enum bl_reuse_flag */
  bl_u64 left_out;     /* of this kind, on this cpu, not told since the last that was */
};

/* What is counted of each port, told or not. */
struct bl_port_key {
  bl_u32 netns;
  bl_u16 port;
  bl_u16 pad;
};
struct bl_port_counts {
  bl_u64 reuses[BL_REUSE_KINDS]; /* by enum bl_reuse_kind; 0 is not used */
  bl_u64 linger_zero;            /* closed with SO_LINGER of 0 s */
};
#define BL_PORT_COUNTS 16384 /* ports */

/* A port given back, or a listener that became an idle bound socket. 64 bytes. */
struct bl_release {
  struct bl_header h;
  bl_u64 sk;
  bl_u32 netns;
  bl_u16 port;
  bl_u8 family;
  bl_u8 protocol;
  bl_u32 pid;   /* who closed, 0 when the kernel did it outside of a process */
  bl_u32 flags; /* enum bl_sock_flag */
  bl_u64 pad;
};

enum bl_row_kind {
  BL_ROW_BUCKET = 1, /* head of a TCP bind bucket; its sockets follow */
  BL_ROW_SLOT = 2,   /* head of a UDP slot that holds a wanted port; its sockets follow */
  BL_ROW_SOCK = 3,
};

/* struct inet_bind_bucket: the caches that take part in the decision. */
struct bl_bucket {
  bl_u32 netns;
  bl_u32 l3mdev;
  bl_u32 fastuid;
  bl_u32 count; /* UDP: sockets in the slot, whatever their port or namespace */
  bl_u16 port;
  signed char fastreuse;
  signed char fastreuseport;
  bl_u8 fast_family;
  bl_u8 fast_v6only;
  bl_u8 protocol;
  bl_u8 pad;
  bl_u8 fast_addr[16]; /* fast_v6_rcv_saddr, or fast_rcv_saddr in the first four bytes */
  bl_u64 pad2[8];
};

/* One row of a walk, in the order of the kernel's chains. 112 bytes. */
struct bl_row {
  bl_u32 kind;      /* enum bl_row_kind */
  bl_u32 udp_hash2; /* UDP socket: hash of (namespace, address, port), selects its hash2 slot */
  union {
    struct bl_bucket bucket;
    struct bl_sock sock;
  };
};

struct bl_holder {
  struct bl_header h;
  bl_u64 call; /* of the bl_call that follows */
  struct bl_row row;
};

/*
 * The walk of the kernel's bind tables: user space writes the upper part, and runs
 * the program until `done`. Each run goes on where the one before stopped, be it amid
 * a bucket, and user space takes its `rows` rows. Where `withdrawn`, the bucket amid
 * which the run before stopped has changed, and what was taken of it is void: the rows
 * of this run have it from its start. Where `grew`, the list of sockets amid which a run
 * went on had got new ones: one that moved to its front may have come twice. User space
 * sets it to 0 when the bucket is complete.
 */
#define BL_WALK_ROWS 4096 /* the most of one run */

enum bl_table {
  BL_TABLE_TCP = 0,
  BL_TABLE_UDP = 1,
  BL_TABLE_UDPLITE = 2,
};

struct bl_walk {
  /* in */
  bl_u32 table;    /* enum bl_table */
  bl_s32 fd;       /* a socket of that protocol, open in the calling process */
  bl_u32 port;     /* 0 = all */
  bl_u32 netns;    /* inode number, 0 = all */
  bl_u32 no_files; /* leave out the inode of each socket's file, its uid and references */
  bl_u32 timewait; /* TCP: TIME_WAIT sockets alone */
  /* out */
  bl_u32 rows;    /* written by this run */
  bl_u32 done;    /* 1: the whole table was seen; 2: the table cannot be read */
  bl_u32 torn;    /* buckets given up because they kept changing */
  bl_u32 retries; /* buckets read again because they changed meanwhile */
  bl_u32 withdrawn;
  bl_u32 grew;
  bl_u32 phase;     /* not 0: stopped amid a bucket, */
  bl_u32 first_row; /* whose rows begin here, */
  bl_u32 split;     /* or that an earlier run has begun */
  bl_u32 bucket;    /* next; also input: 0 to start */
  bl_u32 buckets;   /* size of the table */
  bl_u32 end;       /* bucket to stop before */
  bl_u64 jiffies;   /* now */
  bl_u64 time;      /* CLOCK_MONOTONIC at the same moment */
  /* private to the program, zero to start */
  bl_u64 call; /* not 0: rows go to the ring buffer as HOLDER records of this call */
  bl_u64 table_addr;
  bl_u64 node;    /* next bind bucket, or next UDP socket */
  bl_u64 node2;   /* next address bucket (TCP from 6.8) */
  bl_u64 sk_node; /* next socket of the bucket (TCP) */
  bl_u64 link;    /* where the pointer to each of them is */
  bl_u64 link2;
  bl_u64 sk_link;
  bl_u64 owner; /* of the list of sockets: the bind bucket, from 6.8 the address bucket */
  bl_u64 head;  /* where its first pointer is, and what that was */
  bl_u64 first;
  bl_u64 object;    /* to be read at the end of this step, 0 = nothing */
  bl_u64 net;       /* of the current bucket */
  bl_u64 known_net; /* last namespace looked up, and its inode number */
  bl_u32 known_inum;
  bl_u32 cur_port;
  bl_u32 tries;
  bl_u32 head_done; /* UDP: the head of this slot was written */
  bl_u32 object_is_head;
  struct bl_row row; /* being made */
};

/* One descriptor of one process. What tells its socket from the next one at that address: */
struct bl_owner {
  bl_u64 sk;
  bl_u32 pid;
  bl_u32 fd;
  bl_u32 cookie; /* the lower half */
  bl_u16 port;
  bl_u16 peer_port;
};

/*
 * The sweep over all descriptors of all processes: user space writes `socket`, reads
 * the iterator to its end, and takes `rows` rows at each EAGAIN and at the end.
 */
#define BL_SWEEP_ROWS 4096 /* the most at a time */

struct bl_sweep {
  bl_s32 socket; /* in: any socket, open in the calling process */
  bl_u32 rows;   /* out; user space sets it to 0 when it has taken them */
  /* private to the program, zero to start */
  bl_u64 socket_f_op; /* what all files of sockets share */
  bl_u64 array;       /* descriptors of the current process */
  bl_u64 known_prot;  /* the last protocol looked up, and its number */
  bl_u32 known_protocol;
  bl_u32 tid;
  bl_u32 pid;
  bl_u32 fd; /* next */
  bl_u32 end;
  bl_u32 pad;
};

/*
 * Members of reuseport groups: user space writes `count` rows, each with a socket or with
 * the place of one in a group, sets `next` to 0, and runs the program until `next` is `count`.
 * Nothing is held meanwhile: a row whose `netns`, `port` or `group` are not what user
 * space expects is of another socket.
 */
#define BL_MEMBER_ROWS 1024

enum bl_steering {
  BL_STEERING_HASH = 0,
  BL_STEERING_CBPF = 1, /* SO_ATTACH_REUSEPORT_CBPF */
  BL_STEERING_EBPF = 2, /* SO_ATTACH_REUSEPORT_EBPF */
};

struct bl_member {
  bl_u64 sk;       /* in; 0: which socket is at `index` of `group`? out then, and nothing else */
  bl_u64 group;    /* struct sock_reuseport, 0 = in none */
  bl_u64 cookie;   /* 0 = the kernel has given none yet */
  bl_u32 index;    /* in */
  bl_u32 group_id; /* reuseport_id */
  bl_u32 netns;
  bl_u32 drops; /* sk_drops */
  bl_u32 backlog;
  bl_u32 max_backlog;
  bl_u32 receive_queue;  /* bytes, sk_rmem_alloc */
  bl_u32 receive_buffer; /* bytes, sk_rcvbuf */
  bl_s32 incoming_cpu;   /* SO_INCOMING_CPU, -1 = not set */
  bl_u32 program_id;     /* 0 for a classic program */
  bl_u16 port;
  bl_u16 members; /* num_socks of the group */
  bl_u16 closed;  /* num_closed_socks */
  bl_u8 state;
  bl_u8 steering; /* enum bl_steering */
  bl_u8 migrates; /* connections of a member that closes move to another one */
  bl_u8 pad[7];
  char program[16]; /* its name, may be empty */
};

struct bl_members {
  bl_u32 count; /* in */
  bl_u32 next;
};

/*
 * What is counted of one member of a reuseport group, on one processor.
 */
#define BL_SHARES 8192

/* The address of a socket comes again, its cookie does not. */
struct bl_share_key {
  bl_u64 sk;
  bl_u64 cookie; /* 0 = the kernel has given none yet */
};

struct bl_share {
  bl_u64 selected;    /* reuseport_select_sock() returned it */
  bl_u64 queued;      /* TCP: connections put into its accept queue */
  bl_u64 accepted;    /* TCP: connections handed out */
  bl_u64 datagrams;   /* UDP: put into its receive queue */
  bl_u64 migrated;    /* TCP: connections that moved to another member */
  bl_u64 last_accept; /* CLOCK_MONOTONIC, ns; 0: none */
  bl_u64 full_at;     /* when its accept queue was last seen to become full; 0: not */
  bl_u64 closed_at;   /* when it stopped listening, or gave its port back; 0: not */
  bl_u32 peak;        /* TCP: longest the accept queue has been */
  bl_u32 waiting;     /* at closed_at: TCP: in the accept queue; UDP: sk_drops */
  bl_u32 may_migrate; /* at closed_at: TCP: those may move to another member */
  bl_u32 unused;
};

/* Datagrams, beside `datagrams` of struct bl_share: each processor has its own. */
#define BL_SHARE_SLOTS 4096
struct bl_share_slot {
  bl_u64 cookie;    /* of the socket that has it; 0: none */
  bl_u64 sk;        /* as in struct bl_share_key */
  bl_u64 datagrams; /* since it has it */
};

/* The number of the only slot that a socket can have. */
static inline bl_u32 bl_share_slot_of(bl_u64 cookie) {
  return (bl_u32)cookie % BL_SHARE_SLOTS;
}

/* Where records were lost. One counter per place. */
enum bl_loss {
  BL_LOSS_RING_FULL = 0,     /* no room in the ring buffer */
  BL_LOSS_INFLIGHT_FULL = 1, /* no room to remember a call between entry and exit */
  BL_LOSS_COUNT = 2,
};

#define BL_STATIC_ASSERT(c, m) _Static_assert(c, m)
#ifdef __cplusplus
#undef BL_STATIC_ASSERT
#define BL_STATIC_ASSERT(c, m) static_assert(c, m)
#endif
BL_STATIC_ASSERT(sizeof(struct bl_header) == 32, "bl_header");
BL_STATIC_ASSERT(sizeof(struct bl_sock) == 104, "bl_sock");
BL_STATIC_ASSERT(sizeof(struct bl_task) == 48, "bl_task");
BL_STATIC_ASSERT(sizeof(struct bl_call) == 224, "bl_call");
BL_STATIC_ASSERT(sizeof(struct bl_release) == 64, "bl_release");
BL_STATIC_ASSERT(sizeof(struct bl_reuse) == 200, "bl_reuse");
BL_STATIC_ASSERT(sizeof(struct bl_bucket) == 104, "bl_bucket");
BL_STATIC_ASSERT(sizeof(struct bl_row) == 112, "bl_row");
BL_STATIC_ASSERT(sizeof(struct bl_holder) == 152, "bl_holder");
BL_STATIC_ASSERT(sizeof(struct bl_owner) == 24, "bl_owner");
BL_STATIC_ASSERT(sizeof(struct bl_member) == 96, "bl_member");
BL_STATIC_ASSERT(sizeof(struct bl_share) == 80, "bl_share");
BL_STATIC_ASSERT(sizeof(struct bl_share_key) == 16, "bl_share_key");
BL_STATIC_ASSERT(sizeof(struct bl_share_slot) == 24, "bl_share_slot");

#endif /* BINDLENS_RECORD_H */
