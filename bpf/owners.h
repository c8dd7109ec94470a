/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every descriptor of an inet socket in every process: struct bl_owner, one after the other. */
#ifndef BINDLENS_OWNERS_H
#define BINDLENS_OWNERS_H

#include "socket.h"
#include "task.h"

SEC("iter/task_file")
int owners(struct bpf_iter__task_file* ctx) {
  struct task_struct* task = ctx->task;
  struct file* file = ctx->file;
  if (!task || !file) return 0;
  void* sk = file_sock(file);
  if (!sk || !is_inet(sk)) return 0;
  __u32 protocol;
  sk = table_socket(sk, &protocol);
  if (!sk || !is_tracked_protocol(protocol)) return 0;
  if (!READ((struct sock*)sk, __sk_common.skc_num)) return 0;
  struct bl_owner owner = {.sk = (__u64)sk, .pid = task->tgid, .fd = ctx->fd};
  bpf_seq_write(ctx->meta->seq, &owner, sizeof(owner));
  return 0;
}

#endif
