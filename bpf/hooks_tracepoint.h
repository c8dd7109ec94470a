/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tier "tracepoint": system calls. Works where neither trampolines nor kprobes do. */
#ifndef BINDLENS_HOOKS_TRACEPOINT_H
#define BINDLENS_HOOKS_TRACEPOINT_H

#include "call.h"

SEC("tp/syscalls/sys_enter_bind")
int tp_bind_enter(struct syscall_enter* ctx) {
  int fd = (int)ctx->args[0];
  return call_begin(current_fd_sock(fd), fd, BL_REC_BIND, (void*)ctx->args[1], true);
}

SEC("tp/syscalls/sys_enter_listen")
int tp_listen_enter(struct syscall_enter* ctx) {
  int fd = (int)ctx->args[0];
  return call_begin(current_fd_sock(fd), fd, BL_REC_LISTEN, NULL, true);
}

SEC("tp/syscalls/sys_enter_connect")
int tp_connect_enter(struct syscall_enter* ctx) {
  int fd = (int)ctx->args[0];
  return call_begin(current_fd_sock(fd), fd, BL_REC_CONNECT, (void*)ctx->args[1], true);
}

/* Attached to the exit of each of the three calls. */
SEC("tp/syscalls/sys_exit_bind")
int tp_call_exit(struct syscall_exit* ctx) {
  return call_end((int)ctx->ret, BL_HOOK_TRACEPOINT);
}

#endif
