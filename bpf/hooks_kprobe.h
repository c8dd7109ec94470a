/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tier "kprobe": the same functions as the trampolines, for kernels without them. */
#ifndef BINDLENS_HOOKS_KPROBE_H
#define BINDLENS_HOOKS_KPROBE_H

#include "call.h"
#include "release.h"

SEC("kprobe/__sys_bind")
int BPF_KPROBE(kp_bind_enter, int fd, void* addr) {
  return call_begin(current_fd_sock(fd), fd, BL_REC_BIND, addr, true);
}

SEC("kprobe/__sys_listen")
int BPF_KPROBE(kp_listen_enter, int fd) {
  return call_begin(current_fd_sock(fd), fd, BL_REC_LISTEN, NULL, true);
}

SEC("kprobe/__sys_connect")
int BPF_KPROBE(kp_connect_enter, int fd, void* addr) {
  return call_begin(current_fd_sock(fd), fd, BL_REC_CONNECT, addr, true);
}

/* io_uring comes in below the system call (6.11). */
SEC("kprobe/__sys_bind_socket")
int BPF_KPROBE(kp_bind_socket_enter, struct socket* socket, void* addr) {
  return call_begin(READ(socket, sk), -1, BL_REC_BIND, addr, false);
}

SEC("kprobe/__sys_listen_socket")
int BPF_KPROBE(kp_listen_socket_enter, struct socket* socket) {
  return call_begin(READ(socket, sk), -1, BL_REC_LISTEN, NULL, false);
}

/* Attached to the return of each of them. */
SEC("kretprobe/__sys_bind")
int BPF_KRETPROBE(kp_call_exit, int ret) {
  return call_end(ret, BL_HOOK_KPROBE);
}

SEC("kprobe/inet_put_port")
int BPF_KPROBE(kp_put_port, struct sock* sk) {
  return tcp_released(sk, BL_HOOK_KPROBE);
}

SEC("kprobe/udp_lib_unhash")
int BPF_KPROBE(kp_udp_unhash, struct sock* sk) {
  return udp_released(sk, BL_HOOK_KPROBE);
}

#endif
