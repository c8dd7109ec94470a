#pragma once

// Raw records, as a BPF program would leave them in the ring buffer.

#include <bindlens/record.h>

#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <span>
#include <string_view>
#include <vector>

namespace bindlens::test {

template <typename T>
std::vector<std::byte> bytes_of(const T& raw) {
  const auto view = std::as_bytes(std::span(&raw, 1));
  return {view.begin(), view.end()};
}

inline bl_header header(bl_record_type type, uint32_t size) {
  bl_header h{};
  h.version = BL_RECORD_VERSION;
  h.type = static_cast<bl_u8>(type);
  h.hook = BL_HOOK_TRACEPOINT;
  h.size = size;
  h.cpu = 3;
  h.seq = 41;
  h.time = 1'000'000'007;
  return h;
}

// Every member has a value of its own, so that two swapped ones are noticed.
inline bl_sock raw_socket() {
  bl_sock s{};
  s.sk = 0xffff888012345600;
  s.cookie = 4711;
  s.inode = 31337;
  s.netns = 4026531840;
  s.uid = 33;
  s.inode_uid = 34;
  s.dev = 2;
  s.linger = 7;
  s.backlog = 5;
  s.max_backlog = 511;
  s.file_refs = 3;
  s.flags = BL_SF_REUSEADDR | BL_SF_PORT_LOCKED;
  s.tw_left_ms = 59'999;
  s.port = 8080;
  s.peer_port = 40'001;
  s.family = AF_INET;
  s.protocol = IPPROTO_TCP;
  s.state = 10;
  s.substate = 6;
  s.addr[0] = 127, s.addr[3] = 1;
  s.peer[0] = 192, s.peer[2] = 2, s.peer[3] = 9;
  return s;
}

inline bl_task raw_task(std::string_view comm = "nginx") {
  bl_task t{};
  t.cgroup = 77;
  t.start_time = 123'456'789;
  t.pid = 4121;
  t.tid = 4122;
  t.uid = 1000;
  std::memcpy(t.comm, comm.data(), std::min<size_t>(comm.size(), BL_COMM_LEN));
  return t;
}

inline bl_call raw_call(bl_record_type type = BL_REC_BIND) {
  bl_call c{};
  c.h = header(type, sizeof c);
  c.sock = raw_socket();
  c.task = raw_task();
  c.call = 99;
  c.ret = -98;
  c.flags = BL_CF_HOLDERS;
  c.req_family = AF_INET;
  c.req_port = 8081;
  c.req_scope = 6;
  c.req_addr[0] = 10, c.req_addr[3] = 4;
  return c;
}

inline bl_reuse raw_reuse(bl_reuse_kind kind = BL_REUSE_CONNECT) {
  bl_reuse r{};
  r.h = header(BL_REC_REUSE, sizeof r);
  r.sock = raw_socket();
  if (kind == BL_REUSE_CONNECT) r.task = raw_task();
  r.kind = kind;
  r.flags = BL_RF_TIMESTAMPS;
  r.left_out = 12;
  return r;
}

inline bl_release raw_release(bl_record_type type = BL_REC_RELEASE) {
  bl_release r{};
  r.h = header(type, sizeof r);
  r.sk = 0xffff888012345600;
  r.netns = 4026531840;
  r.port = 8080;
  r.family = AF_INET6;
  r.protocol = IPPROTO_UDP;
  r.pid = 4121;
  return r;
}

inline bl_row socket_row(const bl_sock& s = raw_socket(), uint32_t udp_hash2 = 0) {
  bl_row row{};
  row.kind = BL_ROW_SOCK;
  row.udp_hash2 = udp_hash2;
  row.sock = s;
  return row;
}

inline bl_row socket_row(uint64_t sk, uint16_t port, uint32_t netns, bl_u8 protocol) {
  bl_sock s = raw_socket();
  s.sk = sk;
  s.port = port;
  s.netns = netns;
  s.protocol = protocol;
  return socket_row(s);
}

inline bl_row tcp_bucket_row(uint16_t port, uint32_t netns = 4026531840) {
  bl_row row{};
  row.kind = BL_ROW_BUCKET;
  row.bucket.netns = netns;
  row.bucket.port = port;
  row.bucket.protocol = IPPROTO_TCP;
  row.bucket.fast_family = AF_INET;
  return row;
}

inline bl_row udp_slot_row(uint32_t count, bl_u8 protocol = IPPROTO_UDP) {
  bl_row row{};
  row.kind = BL_ROW_SLOT;
  row.bucket.count = count;
  row.bucket.protocol = protocol;
  row.bucket.fast_family = AF_INET;
  return row;
}

inline bl_holder raw_holder(const bl_row& row, uint64_t call = 99) {
  bl_holder h{};
  h.h = header(BL_REC_HOLDER, sizeof h);
  h.call = call;
  h.row = row;
  return h;
}

} // namespace bindlens::test
