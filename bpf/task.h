/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The calling process, and the socket behind one of its descriptors. */
#ifndef BINDLENS_TASK_H
#define BINDLENS_TASK_H

#include "maps.h"

/*
 * A program of type sockops may not ask for the caller, before 6.10: it reads all of
 * that where it lies.
 */
static __always_inline __u64 thread_of(struct task_struct* task) {
  return (__u64)READ(task, tgid) << 32 | (__u32)READ(task, pid);
}

static __always_inline void read_task_of(struct bl_task* out, struct task_struct* task) {
  out->cgroup = READ(task, cgroups, dfl_cgrp, kn, id);
  out->start_time = READ(task, group_leader, start_boottime);
  out->pid = READ(task, tgid);
  out->tid = READ(task, pid);
  out->uid = READ(task, cred, euid.val);
  out->pad = 0;
  READ_INTO(&out->comm, task, comm);
}

static __always_inline void read_task(struct bl_task* out) {
  struct task_struct* task = (void*)bpf_get_current_task();
  __u64 id = bpf_get_current_pid_tgid();
  out->cgroup = bpf_get_current_cgroup_id();
  out->start_time = READ(task, group_leader, start_boottime);
  out->pid = id >> 32;
  out->tid = (__u32)id;
  out->uid = READ(task, cred, euid.val);
  out->pad = 0;
  bpf_get_current_comm(out->comm, sizeof(out->comm));
}

/* The struct sock of an open file, NULL when the file is no socket. */
static __always_inline void* file_sock(struct file* file) {
  if (!file) return NULL;
  __u16 mode = READ(file, f_inode, i_mode);
  if ((mode & S_IFMT) != S_IFSOCK) return NULL;
  struct socket* socket = READ(file, private_data);
  return socket ? READ(socket, sk) : NULL;
}

static __always_inline struct file* current_fd_file(int fd) {
  struct task_struct* task = (void*)bpf_get_current_task();
  struct fdtable* fdt = READ(task, files, fdt);
  if (!fdt || fd < 0 || (__u32)fd >= READ(fdt, max_fds)) return NULL;
  return read_pointer((__u64)(READ(fdt, fd) + fd));
}

static __always_inline void* current_fd_sock(int fd) {
  return file_sock(current_fd_file(fd));
}

#endif /* BINDLENS_TASK_H */
