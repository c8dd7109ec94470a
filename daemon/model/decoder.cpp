#include <bindlens/model/decoder.h>

#include <boost/unordered/unordered_flat_set.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <netinet/in.h>

namespace bindlens::model {

namespace {

template <typename T>
T load(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

Address to_address(uint8_t family, const bl_u8 (&bytes)[16]) {
  Address a{family == AF_INET6 ? Family::inet6 : Family::inet, {}};
  std::copy_n(bytes, a.family == Family::inet ? 4 : 16, a.bytes.begin());
  return a;
}

Proto to_proto(uint8_t protocol, uint32_t flags) {
  if (protocol == IPPROTO_UDP) return Proto::udp;
  if (protocol == IPPROTO_UDPLITE) return Proto::udplite;
  return (flags & BL_SF_MPTCP) != 0 ? Proto::mptcp : Proto::tcp;
}

State to_state(uint8_t state) {
  if (state == 12) return State::syn_recv; // TCP_NEW_SYN_RECV
  const bool known = state >= 1 && state <= 11;
  return known ? static_cast<State>(state) : State::bound;
}

bool valid_protocol(uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE;
}

// struct bl_sock or struct bl_release
template <typename T>
bool valid_socket(const T& s) {
  return (s.family == AF_INET || s.family == AF_INET6) && valid_protocol(s.protocol);
}

TaskInfo to_task(const bl_task& t) {
  const char* end = std::find(t.comm, t.comm + BL_COMM_LEN, '\0');
  return {t.pid, t.tid, t.uid, t.start_time, t.cgroup, std::string(t.comm, end)};
}

Call to_call(uint8_t type) {
  if (type == BL_REC_LISTEN) return Call::listen;
  return type == BL_REC_CONNECT ? Call::connect : Call::bind;
}

// Each false for a field that cannot be.

bool read(CallRecord& r, std::span<const std::byte> bytes) {
  const auto raw = load<bl_call>(bytes);
  if (!valid_socket(raw.sock)) return false;
  r.call = to_call(raw.h.type);
  r.time = raw.h.time;
  r.socket = to_socket(raw.sock);
  r.task = to_task(raw.task);
  r.call_id = raw.call;
  r.ret = raw.ret;
  r.flags = raw.flags;
  r.scope = raw.req_scope;
  const bool inet = raw.req_family == AF_INET || raw.req_family == AF_INET6;
  if ((raw.flags & BL_CF_NO_ADDRESS) == 0 && inet)
    r.asked =
        Endpoint{to_address(static_cast<uint8_t>(raw.req_family), raw.req_addr), raw.req_port};
  return true;
}

bool read(ReleaseRecord& r, std::span<const std::byte> bytes) {
  const auto raw = load<bl_release>(bytes);
  if (!valid_socket(raw)) return false;
  r = {raw.h.time,
       raw.sk,
       raw.netns,
       raw.port,
       to_proto(raw.protocol, raw.flags),
       raw.pid,
       raw.h.type == BL_REC_STATE};
  return true;
}

bool read(HolderRecord& r, std::span<const std::byte> bytes) {
  const auto raw = load<bl_holder>(bytes);
  r = {raw.call, raw.row};
  return true;
}

bool read(ReuseRecord& r, std::span<const std::byte> bytes) {
  const auto raw = load<bl_reuse>(bytes);
  const bool known = raw.kind == BL_REUSE_CONNECT || raw.kind == BL_REUSE_SYN;
  if (!known || !valid_socket(raw.sock)) return false;
  r = {raw.h.time,
       raw.kind,
       to_socket(raw.sock),
       to_task(raw.task),
       (raw.flags & BL_RF_TIMESTAMPS) != 0,
       raw.left_out};
  return true;
}

bool read_body(Record& r, uint8_t type, std::span<const std::byte> bytes) {
  switch (type) {
  case BL_REC_RELEASE:
  case BL_REC_STATE:
    return read(r.body.emplace<ReleaseRecord>(), bytes);
  case BL_REC_HOLDER:
    return read(r.body.emplace<HolderRecord>(), bytes);
  case BL_REC_REUSE:
    return read(r.body.emplace<ReuseRecord>(), bytes);
  default:
    return read(r.body.emplace<CallRecord>(), bytes);
  }
}

size_t size_of(uint8_t type) {
  switch (type) {
  case BL_REC_BIND:
  case BL_REC_LISTEN:
  case BL_REC_CONNECT:
    return sizeof(bl_call);
  case BL_REC_RELEASE:
  case BL_REC_STATE:
    return sizeof(bl_release);
  case BL_REC_HOLDER:
    return sizeof(bl_holder);
  case BL_REC_REUSE:
    return sizeof(bl_reuse);
  default:
    return 0;
  }
}

Bucket to_bucket(const bl_bucket& b) {
  Bucket bucket;
  bucket.proto = to_proto(b.protocol, 0);
  bucket.netns = b.netns;
  bucket.port = b.port;
  bucket.l3mdev = b.l3mdev;
  bucket.fastreuse = static_cast<int8_t>(b.fastreuse);
  bucket.fastreuseport = static_cast<int8_t>(b.fastreuseport);
  bucket.fastuid = b.fastuid;
  bucket.fast_addr = to_address(b.fast_family, b.fast_addr);
  bucket.fast_v6only = b.fast_v6only != 0;
  bucket.slot_count = b.count;
  return bucket;
}

// Of each socket the last.
void keep_last_of_each(std::vector<Socket>& sockets) {
  boost::unordered_flat_set<SocketId> seen;
  const auto again = [&](const Socket& s) { return !seen.insert(s.id).second; };
  const auto kept = std::remove_if(sockets.rbegin(), sockets.rend(), again);
  sockets.erase(sockets.begin(), kept.base());
}

} // namespace

std::string_view to_string(DecodeError e) {
  switch (e) {
  case DecodeError::too_short:
    return "record shorter than its header";
  case DecodeError::wrong_size:
    return "record of the wrong size for its type";
  case DecodeError::unknown_version:
    return "record of an unknown version";
  case DecodeError::unknown_type:
    return "record of an unknown type";
  case DecodeError::bad_field:
    return "record with an impossible field";
  }
  return "";
}

Socket to_socket(const bl_sock& s) {
  Socket out;
  out.id = s.sk;
  out.cookie = s.cookie;
  out.inode = s.inode;
  out.netns = s.netns;
  out.uid = s.uid;
  out.inode_uid = s.inode_uid;
  out.dev = s.dev;
  out.linger = s.linger;
  out.backlog = s.backlog;
  out.max_backlog = s.max_backlog;
  out.file_refs = s.file_refs;
  out.tw_left_ms = s.tw_left_ms;
  out.flags.bits = s.flags;
  out.local = {to_address(s.family, s.addr), s.port};
  out.peer = {to_address(s.family, s.peer), s.peer_port};
  out.proto = to_proto(s.protocol, s.flags);
  out.state = to_state(s.state);
  out.tw_substate = to_state(s.substate);
  return out;
}

Bucket& RowAssembler::bucket_of(const Socket& s) {
  if (!in_slot_) return view_.buckets.back();
  for (size_t i = slot_first_; i < view_.buckets.size(); ++i) {
    Bucket& b = view_.buckets[i];
    if (b.port == s.local.port && b.netns == s.netns) return b;
  }
  Bucket& b = view_.buckets.emplace_back(slot_);
  b.port = s.local.port;
  b.netns = s.netns;
  return b;
}

void RowAssembler::begin() {
  begin_ = parted_end_ = view_.buckets.size();
}

void RowAssembler::withdraw() {
  view_.buckets.resize(begin_);
  parted_end_ = begin_;
}

void RowAssembler::end(bool may_repeat) {
  for (size_t i = begin_; may_repeat && i < parted_end_; ++i)
    keep_last_of_each(view_.buckets[i].sockets);
  begin();
}

void RowAssembler::take_complete(const std::function<void(const Bucket&)>& visit) {
  const auto end = view_.buckets.begin() + static_cast<std::ptrdiff_t>(begin_);
  std::for_each(view_.buckets.begin(), end, visit);
  view_.buckets.erase(view_.buckets.begin(), end);
  parted_end_ -= begin_;
  slot_first_ -= std::min(slot_first_, begin_);
  begin_ = 0;
}

bool RowAssembler::append(std::span<const bl_row> rows) {
  parted_end_ = view_.buckets.size();
  for (const bl_row& row : rows) {
    const bool head = row.kind == BL_ROW_BUCKET || row.kind == BL_ROW_SLOT;
    if (head && !valid_protocol(row.bucket.protocol)) return false;
    has_head_ = has_head_ || head;
    if (row.kind == BL_ROW_BUCKET) {
      in_slot_ = false;
      view_.buckets.push_back(to_bucket(row.bucket));
    } else if (row.kind == BL_ROW_SLOT) {
      in_slot_ = true;
      slot_ = to_bucket(row.bucket);
      slot_first_ = view_.buckets.size();
    } else {
      if (row.kind != BL_ROW_SOCK || !has_head_ || !valid_socket(row.sock)) return false;
      Socket s = to_socket(row.sock);
      s.udp_hash2 = row.udp_hash2;
      bucket_of(s).sockets.push_back(s);
    }
  }
  return true;
}

std::expected<Record, DecodeError> decode(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(bl_header)) return std::unexpected(DecodeError::too_short);
  const auto h = load<bl_header>(bytes);
  if (h.version != BL_RECORD_VERSION) return std::unexpected(DecodeError::unknown_version);
  const size_t expected = size_of(h.type);
  if (expected == 0) return std::unexpected(DecodeError::unknown_type);
  if (h.size != expected || bytes.size() != expected)
    return std::unexpected(DecodeError::wrong_size);
  std::expected<Record, DecodeError> record{std::in_place, h.cpu, h.seq, ReleaseRecord{}};
  if (!read_body(*record, h.type, bytes)) record = std::unexpected(DecodeError::bad_field);
  return record;
}

} // namespace bindlens::model
