// Bytes that nobody promised anything about: the decoder must say yes or no,
// and yes only to a record that is what its header says.

#include "records.h"

#include <bindlens/model/decoder.h>
#include <bindlens/model/tracker.h>

#include <gtest/gtest.h>

#include <random>

namespace bindlens::model {
namespace {

using Bytes = std::vector<std::byte>;

const std::vector<Bytes>& seeds() {
  using namespace test;
  static const std::vector<Bytes> all = {bytes_of(raw_call()),
                                         bytes_of(raw_call(BL_REC_LISTEN)),
                                         bytes_of(raw_call(BL_REC_CONNECT)),
                                         bytes_of(raw_release()),
                                         bytes_of(raw_release(BL_REC_STATE)),
                                         bytes_of(raw_reuse()),
                                         bytes_of(raw_holder(socket_row())),
                                         bytes_of(raw_holder(tcp_bucket_row(80))),
                                         bytes_of(raw_holder(udp_slot_row(3)))};
  return all;
}

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  Bytes next() {
    Bytes bytes = seeds()[below(seeds().size())];
    for (size_t changes = 1 + below(4); changes > 0; --changes)
      change(bytes);
    bytes.shrink_to_fit(); // so that ASan sees a read behind the end
    return bytes;
  }

 private:
  size_t below(size_t n) { return random_() % n; }

  void change(Bytes& bytes) {
    switch (below(6)) {
    case 0: // header fields are where the decisions are
    case 1:
      if (!bytes.empty()) bytes[below(std::min<size_t>(bytes.size(), 8))] = std::byte(below(256));
      break;
    case 2:
      if (!bytes.empty()) bytes[below(bytes.size())] ^= std::byte(1u << below(8));
      break;
    case 3:
      bytes.resize(below(300));
      break;
    case 4:
      for (std::byte& b : bytes)
        b = std::byte(below(256));
      break;
    default:
      if (bytes.size() >= 8) bytes[below(8)] = std::byte(below(8));
      break;
    }
  }

  std::mt19937 random_;
};

size_t size_of_type(int type) {
  if (type >= BL_REC_BIND && type <= BL_REC_CONNECT) return sizeof(bl_call);
  if (type == BL_REC_RELEASE || type == BL_REC_STATE) return sizeof(bl_release);
  if (type == BL_REC_REUSE) return sizeof(bl_reuse);
  return type == BL_REC_HOLDER ? sizeof(bl_holder) : 0;
}

// What may be said of an accepted record by looking at its bytes alone.
void expect_honest(const Bytes& bytes, const Record& r) {
  bl_header h{};
  ASSERT_GE(bytes.size(), sizeof h);
  std::memcpy(&h, bytes.data(), sizeof h);
  ASSERT_EQ(h.version, BL_RECORD_VERSION);
  ASSERT_EQ(h.size, bytes.size());
  ASSERT_EQ(h.size, size_of_type(h.type));
  ASSERT_EQ(r.cpu, h.cpu);
  ASSERT_EQ(r.seq, h.seq);
  const size_t body = h.type <= BL_REC_CONNECT  ? 0u
                      : h.type == BL_REC_HOLDER ? 2u
                      : h.type == BL_REC_REUSE  ? 3u
                                                : 1u;
  ASSERT_EQ(r.body.index(), body);
  if (const auto* call = std::get_if<CallRecord>(&r.body)) {
    ASSERT_LE(call->task.comm.size(), size_t{BL_COMM_LEN});
    ASSERT_LE(static_cast<int>(call->socket.state), 11);
  }
}

TEST(DecoderFuzz, NeverAcceptsARecordThatItsHeaderDisowns) {
  Mutator mutator(20'240'611);
  size_t accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    const Bytes bytes = mutator.next();
    const auto r = decode(bytes);
    if (!r) continue;
    ++accepted;
    expect_honest(bytes, *r);
    if (HasFatalFailure()) FAIL() << "mutation " << i;
  }
  // Were nearly all refused at the first byte, the loop would prove nothing.
  EXPECT_GT(accepted, 10'000u);
  EXPECT_LT(accepted, 180'000u);
}

TEST(DecoderFuzz, RandomRowsAreRefusedOrMakeSocketsOfKnownKinds) {
  std::mt19937 random(7);
  size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<bl_row> rows(1 + random() % 4);
    for (bl_row& row : rows) {
      std::vector<std::byte> noise(sizeof row);
      for (std::byte& b : noise)
        b = std::byte(random());
      std::memcpy(&row, noise.data(), sizeof row);
      row.kind = static_cast<bl_u32>(random() % 5);
      if (random() % 2 != 0) row.sock.family = AF_INET, row.sock.protocol = IPPROTO_UDP;
    }
    PortView view;
    refused += RowAssembler(view).append(rows) ? 0 : 1;
    for (const Bucket& b : view.buckets)
      for (const Socket& s : b.sockets)
        ASSERT_FALSE(to_string(s.state).empty());
  }
  EXPECT_GT(refused, 1'000u);
  EXPECT_LT(refused, 20'000u);
}

// The tracker and the loss detector take whatever the decoder lets through.
TEST(DecoderFuzz, AcceptedRecordsDoNoHarmFurtherOn) {
  BindTable table;
  size_t told = 0;
  Tracker tracker(table, {[](const TaskInfo& t) {
                            Process p;
                            p.pid = t.pid;
                            return std::make_shared<const Process>(std::move(p));
                          },
                          [&](Event) { ++told; }, [&](RefusedCall) { ++told; }});
  LossDetector losses;
  Mutator mutator(4);
  for (int i = 0; i < 50'000; ++i) {
    auto r = decode(mutator.next());
    if (!r) continue;
    losses.saw(r->cpu, r->seq);
    tracker.apply(*std::move(r));
  }
  EXPECT_GT(told, 1'000u);
}

} // namespace
} // namespace bindlens::model
