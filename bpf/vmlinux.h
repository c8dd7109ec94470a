/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel types that bindlens reads, written by hand with only the
 * members it uses. libbpf finds the real offsets in the running kernel's BTF
 * (CO-RE), so neither the order nor the size of anything here matters, and no
 * BTF is needed on the machine that builds. Members whose name, type or place
 * differs between kernels are in compat.h.
 */
#ifndef BINDLENS_VMLINUX_H
#define BINDLENS_VMLINUX_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <linux/types.h>

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_UDPLITE 136
#define IPPROTO_MPTCP 262
#define SOCK_STREAM 1
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define EADDRINUSE 98
#define EADDRNOTAVAIL 99
#define EAGAIN 11
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8
#define TCP_LISTEN 10

typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void*)0)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
  struct hlist_node* next;
  struct hlist_node** pprev;
};
struct hlist_head {
  struct hlist_node* first;
};

typedef struct {
  int counter;
} atomic_t;
typedef struct {
  __s64 counter;
} atomic64_t;
typedef struct {
  __u32 val;
} kuid_t;
typedef struct {
  struct net* net;
} possible_net_t;

struct in6_addr_bytes {
  __u8 bytes[16];
};

struct ns_common {
  unsigned int inum;
};

struct inet_hashinfo {
  struct inet_bind_hashbucket* bhash;
  unsigned int bhash_size;
};

struct inet_timewait_death_row {
  struct inet_hashinfo* hashinfo;
};

struct netns_ipv4 {
  struct inet_timewait_death_row tcp_death_row;
};

struct net {
  struct ns_common ns;
  __u32 hash_mix;
  struct netns_ipv4 ipv4;
};

struct proto {
  union {
    struct inet_hashinfo* hashinfo;
    struct udp_table* udp_table;
  } h;
};

struct sock_common {
  union {
    struct {
      __be32 skc_daddr;
      __be32 skc_rcv_saddr;
    };
  };
  union {
    __u16 skc_u16hashes[2];
  };
  union {
    struct {
      __be16 skc_dport;
      __u16 skc_num;
    };
  };
  unsigned short skc_family;
  volatile unsigned char skc_state;
  unsigned char skc_reuse : 4;
  unsigned char skc_reuseport : 1;
  unsigned char skc_ipv6only : 1;
  unsigned char skc_net_refcnt : 1;
  unsigned long skc_flags;
  int skc_bound_dev_if;
  struct hlist_node skc_bind_node;
  int skc_incoming_cpu;
  struct proto* skc_prot;
  possible_net_t skc_net;
  struct in6_addr_bytes skc_v6_daddr;
  struct in6_addr_bytes skc_v6_rcv_saddr;
  atomic64_t skc_cookie;
  union {
    struct hlist_node skc_node;
  };
};

struct bpf_prog_aux {
  __u32 id;
  char name[16]; /* BPF_OBJ_NAME_LEN */
};

struct bpf_prog {
  enum bpf_prog_type type;
  enum bpf_attach_type expected_attach_type;
  struct bpf_prog_aux* aux;
};

struct sock_reuseport {
  __u16 num_socks;
  unsigned int reuseport_id;
  struct bpf_prog* prog;
  struct sock* socks[];
};

struct sock {
  struct sock_common __sk_common;
  __u32 sk_ack_backlog;
  __u32 sk_max_ack_backlog;
  kuid_t sk_uid;
  unsigned char sk_userlocks : 4;
  __u16 sk_protocol;
  __u16 sk_type;
  int sk_rcvbuf;
  atomic_t sk_drops;
  struct {
    atomic_t rmem_alloc;
  } sk_backlog;
  unsigned char sk_shutdown;
  unsigned long sk_lingertime;
  struct sock_reuseport* sk_reuseport_cb;
  struct socket* sk_socket;
};

struct inet_sock {
  struct sock sk;
  __be16 inet_sport;
};

struct tcp_options_received {
  int ts_recent_stamp;
  __u32 ts_recent;
};

struct tcp_sock {
  struct tcp_options_received rx_opt;
  bool is_mptcp;
};

struct mptcp_sock {
  struct sock* first;
};

struct timer_list {
  unsigned long expires;
};

struct inet_connection_sock {
  struct inet_bind_bucket* icsk_bind_hash;
};

struct inet_timewait_sock {
  struct sock_common __tw_common;
  volatile unsigned char tw_substate;
  struct timer_list tw_timer;
  struct inet_bind_bucket* tw_tb;
};

struct tcp_timewait_sock {
  int tw_ts_recent_stamp;
};

struct inode {
  unsigned short i_mode;
  kuid_t i_uid;
  unsigned long i_ino;
};

struct file {
  const struct file_operations* f_op;
  struct inode* f_inode;
  void* private_data;
};

struct socket {
  struct file* file;
  struct sock* sk;
};

struct socket_alloc {
  struct socket socket;
  struct inode vfs_inode;
};

struct inet_bind_hashbucket {
  struct hlist_head chain;
};

struct inet_bind_bucket {
  possible_net_t ib_net;
  int l3mdev;
  unsigned short port;
  signed char fastreuse;
  signed char fastreuseport;
  kuid_t fastuid;
  struct in6_addr_bytes fast_v6_rcv_saddr;
  __be32 fast_rcv_saddr;
  unsigned short fast_sk_family;
  bool fast_ipv6_only;
  struct hlist_node node;
};

struct udp_hslot {
  struct hlist_head head;
  int count;
};

struct udp_table {
  struct udp_hslot* hash;
  unsigned int mask;
};

struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};

struct files_struct {
  struct fdtable* fdt;
};

struct cred {
  kuid_t euid;
};

struct kernfs_node {
  __u64 id;
};

struct cgroup {
  struct kernfs_node* kn;
};

struct css_set {
  struct cgroup* dfl_cgrp;
};

struct task_struct {
  void* stack;
  struct css_set* cgroups;
  char comm[16];
  const struct cred* cred;
  int pid;
  int tgid;
  __u64 start_boottime;
  struct task_struct* group_leader;
  struct files_struct* files;
  unsigned int flags;
};

struct sockaddr {
  unsigned short sa_family;
};

struct bpf_iter__task {
  struct task_struct* task;
};

#pragma clang attribute pop

/* What user space passes to bind and connect; fixed by the ABI. */
struct sockaddr_in_abi {
  __u16 family;
  __be16 port;
  __u8 addr[4];
};
struct sockaddr_in6_abi {
  __u16 family;
  __be16 port;
  __be32 flowinfo;
  __u8 addr[16];
  __u32 scope_id;
};

/* Records of the per-syscall tracepoints (kernel/trace/trace_syscalls.c). */
struct syscall_enter {
  __u64 common;
  long nr;
  unsigned long args[6];
};
struct syscall_exit {
  __u64 common;
  long nr;
  long ret;
};

#endif /* BINDLENS_VMLINUX_H */
