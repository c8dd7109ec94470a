#include "records.h"

#include <bindlens/model/decoder.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

using test::bytes_of;
using test::raw_call;
using test::raw_holder;
using test::raw_release;
using test::socket_row;

template <typename Raw>
DecodeError error_of(const Raw& raw) {
  const auto r = decode(bytes_of(raw));
  EXPECT_FALSE(r.has_value());
  return r ? DecodeError{} : r.error();
}

template <typename Body, typename Raw>
Body body_of(const Raw& raw) {
  auto r = decode(bytes_of(raw));
  EXPECT_TRUE(r.has_value());
  return std::get<Body>(std::move(r.value().body));
}

// One of each type: what holds for all records is tested on all of them.
std::vector<std::vector<std::byte>> one_of_each() {
  return {bytes_of(raw_call(BL_REC_BIND)),     bytes_of(raw_call(BL_REC_LISTEN)),
          bytes_of(raw_call(BL_REC_CONNECT)),  bytes_of(raw_release(BL_REC_RELEASE)),
          bytes_of(raw_release(BL_REC_STATE)), bytes_of(raw_holder(socket_row())),
          bytes_of(test::raw_reuse())};
}

TEST(Decoder, ReadsEveryMemberOfASocket) {
  const Socket s = to_socket(test::raw_socket());
  EXPECT_EQ(s.id, 0xffff888012345600);
  EXPECT_EQ(s.cookie, 4711u);
  EXPECT_EQ(s.inode, 31337u);
  EXPECT_EQ(s.netns, 4026531840u);
  EXPECT_EQ(s.uid, 33u);
  EXPECT_EQ(s.inode_uid, 34u);
  EXPECT_EQ(s.dev, 2u);
  EXPECT_EQ(s.linger, 7u);
  EXPECT_EQ(s.backlog, 5u);
  EXPECT_EQ(s.max_backlog, 511u);
  EXPECT_EQ(s.file_refs, 3u);
  EXPECT_EQ(s.tw_left_ms, 59'999u);
  EXPECT_TRUE(s.is(SocketFlag::reuseaddr));
  EXPECT_TRUE(s.is(SocketFlag::port_locked));
  EXPECT_FALSE(s.is(SocketFlag::reuseport));
  EXPECT_EQ(to_string(s.local), "127.0.0.1:8080");
  EXPECT_EQ(to_string(s.peer), "192.0.2.9:40001");
  EXPECT_EQ(s.proto, Proto::tcp);
  EXPECT_EQ(s.state, State::listen);
  EXPECT_EQ(s.tw_substate, State::time_wait);
}

TEST(Decoder, ReadsTheHeaderOfEveryType) {
  for (const auto& bytes : one_of_each()) {
    const auto r = decode(bytes);
    ASSERT_TRUE(r.has_value());
    EXPECT_EQ(r->cpu, 3u);
    EXPECT_EQ(r->seq, 41u);
  }
}

TEST(Decoder, ReadsACall) {
  const auto c = body_of<CallRecord>(raw_call());
  EXPECT_EQ(c.call, Call::bind);
  EXPECT_EQ(c.time, 1'000'000'007u);
  EXPECT_EQ(c.socket.cookie, 4711u);
  EXPECT_EQ(c.call_id, 99u);
  EXPECT_EQ(c.ret, -98);
  EXPECT_EQ(c.flags, BL_CF_HOLDERS);
  EXPECT_EQ(c.scope, 6u);
  ASSERT_TRUE(c.asked);
  EXPECT_EQ(to_string(*c.asked), "10.0.0.4:8081");
  EXPECT_EQ(c.task.pid, 4121u);
  EXPECT_EQ(c.task.tid, 4122u);
  EXPECT_EQ(c.task.uid, 1000u);
  EXPECT_EQ(c.task.start_time, 123'456'789u);
  EXPECT_EQ(c.task.cgroup, 77u);
  EXPECT_EQ(c.task.comm, "nginx");
}

TEST(Decoder, TellsTheCallsApart) {
  EXPECT_EQ(body_of<CallRecord>(raw_call(BL_REC_LISTEN)).call, Call::listen);
  EXPECT_EQ(body_of<CallRecord>(raw_call(BL_REC_CONNECT)).call, Call::connect);
}

TEST(Decoder, ReadsARelease) {
  const auto r = body_of<ReleaseRecord>(raw_release());
  EXPECT_EQ(r.time, 1'000'000'007u);
  EXPECT_EQ(r.id, 0xffff888012345600);
  EXPECT_EQ(r.netns, 4026531840u);
  EXPECT_EQ(r.port, 8080u);
  EXPECT_EQ(r.proto, Proto::udp);
  EXPECT_EQ(r.pid, 4121u);
  EXPECT_FALSE(r.stopped_listening);
  EXPECT_TRUE(body_of<ReleaseRecord>(raw_release(BL_REC_STATE)).stopped_listening);
}

TEST(Decoder, ReadsAReuse) {
  const auto connect = body_of<ReuseRecord>(test::raw_reuse());
  EXPECT_EQ(connect.kind, BL_REUSE_CONNECT);
  EXPECT_EQ(connect.socket.cookie, 4711u);
  EXPECT_EQ(connect.task.pid, 4121u);
  EXPECT_TRUE(connect.timestamps);
  EXPECT_EQ(connect.left_out, 12u);
  bl_reuse raw = test::raw_reuse(BL_REUSE_SYN);
  raw.flags = 0;
  const auto syn = body_of<ReuseRecord>(raw);
  EXPECT_EQ(syn.kind, BL_REUSE_SYN);
  EXPECT_EQ(syn.task.pid, 0u);
  EXPECT_FALSE(syn.timestamps);
  for (const bl_u32 unknown : {0u, 3u, 77u}) {
    raw.kind = unknown;
    EXPECT_EQ(decode(bytes_of(raw)).error(), DecodeError::bad_field) << unknown;
  }
}

TEST(Decoder, ReadsAHolder) {
  const auto h = body_of<HolderRecord>(raw_holder(socket_row(), 12345));
  EXPECT_EQ(h.call_id, 12345u);
  EXPECT_EQ(h.row.kind, BL_ROW_SOCK);
  EXPECT_EQ(h.row.sock.cookie, 4711u);
}

TEST(Decoder, ReadsAnAddressOfItsFamilyOnly) {
  bl_call raw = raw_call();
  std::fill(std::begin(raw.sock.addr), std::end(raw.sock.addr), bl_u8{0xee});
  EXPECT_EQ(body_of<CallRecord>(raw).socket.local.addr, Address::v4(0xee, 0xee, 0xee, 0xee))
      << "the bytes behind an IPv4 address are not part of it";
  raw.sock.family = AF_INET6;
  const Address a = body_of<CallRecord>(raw).socket.local.addr;
  EXPECT_EQ(a.family, Family::inet6);
  EXPECT_EQ(a.bytes[15], 0xee);
}

TEST(Decoder, KnowsTheProtocols) {
  bl_call raw = raw_call();
  raw.sock.protocol = IPPROTO_UDPLITE;
  EXPECT_EQ(body_of<CallRecord>(raw).socket.proto, Proto::udplite);
  raw.sock.protocol = IPPROTO_TCP;
  raw.sock.flags |= BL_SF_MPTCP;
  EXPECT_EQ(body_of<CallRecord>(raw).socket.proto, Proto::mptcp);
}

TEST(Decoder, ShowsARequestSocketAsSynReceivedAndAnUnknownStateAsBound) {
  bl_sock s = test::raw_socket();
  s.state = 12; // TCP_NEW_SYN_RECV
  EXPECT_EQ(to_socket(s).state, State::syn_recv);
  for (const int odd : {0, 13, 255}) {
    s.state = static_cast<bl_u8>(odd);
    EXPECT_EQ(to_socket(s).state, State::bound) << odd;
  }
}

TEST(Decoder, HasNoAddressWhenTheCallHadNone) {
  bl_call raw = raw_call();
  raw.flags |= BL_CF_NO_ADDRESS;
  EXPECT_FALSE(body_of<CallRecord>(raw).asked);
  raw = raw_call();
  for (const bl_u16 family : {bl_u16{0}, bl_u16{AF_UNIX}, bl_u16{0x0102}}) {
    raw.req_family = family;
    EXPECT_FALSE(body_of<CallRecord>(raw).asked) << family;
  }
}

TEST(Decoder, ReadsACommandNameWithoutAnEnd) {
  bl_call raw = raw_call();
  raw.task = test::raw_task("sixteen-letters!");
  EXPECT_EQ(body_of<CallRecord>(raw).task.comm, "sixteen-letters!");
  raw.task = test::raw_task("");
  EXPECT_EQ(body_of<CallRecord>(raw).task.comm, "");
}

TEST(Decoder, RefusesARecordCutAtAnyLength) {
  for (const auto& whole : one_of_each())
    for (size_t n = 0; n < whole.size(); ++n) {
      // A copy of the exact length, so that a read behind it is seen by ASan.
      const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
      const auto r = decode(cut);
      ASSERT_FALSE(r.has_value()) << n << " of " << whole.size();
      EXPECT_EQ(r.error(),
                n < sizeof(bl_header) ? DecodeError::too_short : DecodeError::wrong_size);
    }
}

TEST(Decoder, RefusesARecordLongerThanItsHeaderSays) {
  for (auto bytes : one_of_each()) {
    bytes.push_back(std::byte{0});
    const auto r = decode(bytes);
    ASSERT_FALSE(r.has_value());
    EXPECT_EQ(r.error(), DecodeError::wrong_size);
  }
}

TEST(Decoder, RefusesASizeThatIsNotTheOneOfTheType) {
  for (const uint32_t size : {0u, 1u, 32u, 64u, 152u, 223u, 225u, 0xffffffffu}) {
    bl_call raw = raw_call();
    raw.h.size = size;
    EXPECT_EQ(error_of(raw), DecodeError::wrong_size) << size;
  }
  bl_call other_type = raw_call();
  other_type.h.type = BL_REC_RELEASE;
  EXPECT_EQ(error_of(other_type), DecodeError::wrong_size);
}

TEST(Decoder, RefusesOtherVersionsBeforeAnythingElse) {
  for (const bl_u16 version : {bl_u16{0}, bl_u16{1}, bl_u16{0x0100}, bl_u16{0xffff}}) {
    bl_call raw = raw_call();
    raw.h.version = version;
    raw.h.type = 0;
    raw.h.size = 0;
    EXPECT_EQ(error_of(raw), DecodeError::unknown_version) << version;
  }
}

TEST(Decoder, RefusesUnknownTypes) {
  for (const int type : {0, 8, 255}) {
    bl_call raw = raw_call();
    raw.h.type = static_cast<bl_u8>(type);
    EXPECT_EQ(error_of(raw), DecodeError::unknown_type) << type;
  }
}

TEST(Decoder, RefusesImpossibleFamiliesAndProtocols) {
  bl_call call = raw_call();
  call.sock.family = AF_UNIX;
  EXPECT_EQ(error_of(call), DecodeError::bad_field);
  call = raw_call();
  call.sock.protocol = IPPROTO_ICMP;
  EXPECT_EQ(error_of(call), DecodeError::bad_field);
  bl_release release = raw_release();
  release.family = 0;
  EXPECT_EQ(error_of(release), DecodeError::bad_field);
  release = raw_release();
  release.protocol = IPPROTO_SCTP;
  EXPECT_EQ(error_of(release), DecodeError::bad_field);
}

TEST(Decoder, NamesEveryErrorDifferently) {
  std::vector<std::string_view> seen;
  for (int e = 0; e <= static_cast<int>(DecodeError::bad_field); ++e) {
    const auto text = to_string(static_cast<DecodeError>(e));
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(std::count(seen.begin(), seen.end(), text), 0);
    seen.push_back(text);
  }
}

} // namespace
} // namespace bindlens::model
