/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tier "trampoline": fentry and fexit, the cheapest, and free for all other calls. */
#ifndef BINDLENS_HOOKS_TRAMPOLINE_H
#define BINDLENS_HOOKS_TRAMPOLINE_H

#include "call.h"
#include "release.h"

SEC("fentry/__sys_bind")
int BPF_PROG(fe_bind_enter, int fd, void* addr) {
  return call_begin(current_fd_sock(fd), fd, BL_REC_BIND, addr, true);
}

SEC("fexit/__sys_bind")
int BPF_PROG(fx_bind_exit, int fd, void* addr, int len, int ret) {
  return call_end(ret, BL_HOOK_TRAMPOLINE);
}

SEC("fentry/__sys_listen")
int BPF_PROG(fe_listen_enter, int fd) {
  return call_begin(current_fd_sock(fd), fd, BL_REC_LISTEN, NULL, true);
}

SEC("fexit/__sys_listen")
int BPF_PROG(fx_listen_exit, int fd, int backlog, int ret) {
  return call_end(ret, BL_HOOK_TRAMPOLINE);
}

SEC("fentry/__sys_connect")
int BPF_PROG(fe_connect_enter, int fd, void* addr) {
  return call_begin(current_fd_sock(fd), fd, BL_REC_CONNECT, addr, true);
}

SEC("fexit/__sys_connect")
int BPF_PROG(fx_connect_exit, int fd, void* addr, int len, int ret) {
  return call_end(ret, BL_HOOK_TRAMPOLINE);
}

/* io_uring comes in below the system call (6.11). */
SEC("fentry/__sys_bind_socket")
int BPF_PROG(fe_bind_socket_enter, struct socket* socket, void* addr) {
  return call_begin(READ(socket, sk), -1, BL_REC_BIND, addr, false);
}

SEC("fexit/__sys_bind_socket")
int BPF_PROG(fx_bind_socket_exit, struct socket* socket, void* addr, int len, int ret) {
  return call_end(ret, BL_HOOK_TRAMPOLINE);
}

SEC("fentry/__sys_listen_socket")
int BPF_PROG(fe_listen_socket_enter, struct socket* socket) {
  return call_begin(READ(socket, sk), -1, BL_REC_LISTEN, NULL, false);
}

SEC("fexit/__sys_listen_socket")
int BPF_PROG(fx_listen_socket_exit, struct socket* socket, int backlog, int ret) {
  return call_end(ret, BL_HOOK_TRAMPOLINE);
}

SEC("fentry/inet_put_port")
int BPF_PROG(fe_put_port, struct sock* sk) {
  return tcp_released(sk, BL_HOOK_TRAMPOLINE);
}

SEC("fentry/udp_lib_unhash")
int BPF_PROG(fe_udp_unhash, struct sock* sk) {
  return udp_released(sk, BL_HOOK_TRAMPOLINE);
}

#endif
