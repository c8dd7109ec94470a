#include "records.h"

#include <bindlens/model/decoder.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

using test::socket_row;
using test::tcp_bucket_row;
using test::udp_slot_row;
using Rows = std::vector<bl_row>;

std::vector<SocketId> ids(const Bucket& b) {
  std::vector<SocketId> out;
  for (const Socket& s : b.sockets)
    out.push_back(s.id);
  return out;
}

const std::vector<SocketId> first_two = {1, 2};

PortView assembled(const Rows& rows) {
  PortView view;
  EXPECT_TRUE(RowAssembler(view).append(rows));
  return view;
}

TEST(RowAssembler, ReadsTheCachesOfABucket) {
  bl_row head = tcp_bucket_row(8080, 77);
  head.bucket.l3mdev = 4;
  head.bucket.fastreuse = -1;
  head.bucket.fastreuseport = 2;
  head.bucket.fastuid = 1000;
  head.bucket.fast_family = AF_INET6;
  head.bucket.fast_v6only = 1;
  head.bucket.fast_addr[15] = 1;
  const PortView view = assembled({head});
  ASSERT_EQ(view.buckets.size(), 1u);
  const Bucket& b = view.buckets[0];
  EXPECT_EQ(b.proto, Proto::tcp);
  EXPECT_EQ(b.port, 8080u);
  EXPECT_EQ(b.netns, 77u);
  EXPECT_EQ(b.l3mdev, 4u);
  EXPECT_EQ(b.fastreuse, -1);
  EXPECT_EQ(b.fastreuseport, 2);
  EXPECT_EQ(b.fastuid, 1000u);
  EXPECT_TRUE(b.fast_v6only);
  EXPECT_EQ(to_string(b.fast_addr), "::1");
  EXPECT_TRUE(b.sockets.empty()) << "an empty bucket is a fact, and stays";
}

TEST(RowAssembler, PutsSocketsIntoTheBucketBeforeThem) {
  const PortView view = assembled({tcp_bucket_row(80), socket_row(1, 80, 5, IPPROTO_TCP),
                                   socket_row(2, 80, 5, IPPROTO_TCP), tcp_bucket_row(443),
                                   socket_row(3, 443, 5, IPPROTO_TCP)});
  ASSERT_EQ(view.buckets.size(), 2u);
  EXPECT_EQ(ids(view.buckets[0]), first_two);
  EXPECT_EQ(ids(view.buckets[1]), std::vector<SocketId>{3});
}

TEST(RowAssembler, SplitsAUdpSlotByPortAndNamespaceInChainOrder) {
  const PortView view = assembled(
      {udp_slot_row(9), socket_row(1, 53, 5, IPPROTO_UDP), socket_row(3, 53, 6, IPPROTO_UDP),
       socket_row(4, 1077, 5, IPPROTO_UDP), socket_row(2, 53, 5, IPPROTO_UDP)});
  ASSERT_EQ(view.buckets.size(), 3u);
  EXPECT_EQ(ids(view.buckets[0]), first_two);
  EXPECT_EQ(view.buckets[0].port, 53u);
  EXPECT_EQ(view.buckets[0].netns, 5u);
  EXPECT_EQ(ids(view.buckets[1]), std::vector<SocketId>{3});
  EXPECT_EQ(view.buckets[1].netns, 6u);
  EXPECT_EQ(ids(view.buckets[2]), std::vector<SocketId>{4});
  EXPECT_EQ(view.buckets[2].port, 1077u);
  for (const Bucket& b : view.buckets) {
    EXPECT_EQ(b.slot_count, 9u) << "each part knows the length of the whole chain";
    EXPECT_EQ(b.proto, Proto::udp);
  }
}

TEST(RowAssembler, DoesNotJoinTheSamePortOfTwoSlots) {
  const PortView view =
      assembled({udp_slot_row(1), socket_row(1, 53, 5, IPPROTO_UDP),
                 udp_slot_row(1, IPPROTO_UDPLITE), socket_row(2, 53, 5, IPPROTO_UDPLITE)});
  ASSERT_EQ(view.buckets.size(), 2u);
  EXPECT_EQ(view.buckets[0].proto, Proto::udp);
  EXPECT_EQ(view.buckets[1].proto, Proto::udplite);
}

TEST(RowAssembler, KeepsTheSecondHashOfAUdpSocket) {
  bl_sock s = test::raw_socket();
  s.protocol = IPPROTO_UDP;
  const PortView view = assembled({udp_slot_row(1), socket_row(s, 0xabcd)});
  EXPECT_EQ(view.buckets.at(0).sockets.at(0).udp_hash2, 0xabcdu);
}

TEST(RowAssembler, GoesOnWhereTheLastRunStopped) {
  PortView view;
  RowAssembler assembler(view);
  ASSERT_TRUE(assembler.append(Rows{tcp_bucket_row(80), socket_row(1, 80, 5, IPPROTO_TCP)}));
  ASSERT_TRUE(assembler.append(Rows{}));
  ASSERT_TRUE(assembler.append(Rows{socket_row(2, 80, 5, IPPROTO_TCP), udp_slot_row(2)}));
  ASSERT_TRUE(assembler.append(Rows{socket_row(1, 53, 5, IPPROTO_UDP)}));
  ASSERT_TRUE(assembler.append(Rows{socket_row(2, 53, 5, IPPROTO_UDP)}));
  ASSERT_EQ(view.buckets.size(), 2u);
  EXPECT_EQ(ids(view.buckets[0]), first_two);
  EXPECT_EQ(ids(view.buckets[1]), first_two);
}

TEST(RowAssembler, WithdrawsABucketThatComesInParts) {
  PortView view;
  RowAssembler assembler(view);
  ASSERT_TRUE(assembler.append(Rows{tcp_bucket_row(80), socket_row(1, 80, 5, IPPROTO_TCP)}));
  assembler.begin();
  ASSERT_TRUE(assembler.append(Rows{tcp_bucket_row(81), socket_row(3, 81, 5, IPPROTO_TCP)}));
  ASSERT_TRUE(assembler.append(Rows{tcp_bucket_row(82), socket_row(4, 82, 5, IPPROTO_TCP)}));
  assembler.withdraw();
  ASSERT_TRUE(assembler.append(Rows{tcp_bucket_row(81), socket_row(5, 81, 5, IPPROTO_TCP)}));
  assembler.end(true);
  assembler.withdraw(); // of nothing
  ASSERT_EQ(view.buckets.size(), 2u);
  EXPECT_EQ(ids(view.buckets[0]), std::vector<SocketId>{1});
  EXPECT_EQ(ids(view.buckets[1]), std::vector<SocketId>{5});
}

TEST(RowAssembler, KeepsASocketOnceThatCameInTwoParts) {
  PortView view;
  RowAssembler assembler(view);
  assembler.begin();
  ASSERT_TRUE(assembler.append(Rows{tcp_bucket_row(80), socket_row(1, 80, 5, IPPROTO_TCP),
                                    socket_row(2, 80, 5, IPPROTO_TCP)}));
  bl_row again = socket_row(1, 80, 5, IPPROTO_TCP);
  again.sock.uid = 77;
  ASSERT_TRUE(assembler.append(Rows{again}));
  assembler.end(true);
  ASSERT_EQ(view.buckets.size(), 1u);
  EXPECT_EQ(ids(view.buckets[0]), (std::vector<SocketId>{2, 1}));
  EXPECT_EQ(view.buckets[0].sockets[1].uid, 77u);
}

TEST(RowAssembler, RefusesASocketWithoutAHead) {
  PortView view;
  EXPECT_FALSE(RowAssembler(view).append(Rows{socket_row()}));
  EXPECT_TRUE(view.buckets.empty());
}

TEST(RowAssembler, RefusesASocketWithoutAHeadInAViewThatHasBuckets) {
  PortView view = assembled({tcp_bucket_row(80), socket_row(1, 80, 5, IPPROTO_TCP)});
  EXPECT_FALSE(RowAssembler(view).append(Rows{socket_row(2, 53, 5, IPPROTO_UDP)}));
  EXPECT_EQ(ids(view.buckets.at(0)), std::vector<SocketId>{1});
}

TEST(RowAssembler, RefusesImpossibleRows) {
  bl_row unknown_kind = socket_row();
  unknown_kind.kind = 4;
  bl_row odd_family = socket_row();
  odd_family.sock.family = 1;
  bl_row odd_protocol = socket_row();
  odd_protocol.sock.protocol = IPPROTO_ICMP;
  bl_row odd_bucket = tcp_bucket_row(80);
  odd_bucket.bucket.protocol = IPPROTO_ICMP;
  bl_row odd_slot = udp_slot_row(1);
  odd_slot.bucket.protocol = 0;
  for (const bl_row& bad : {unknown_kind, odd_family, odd_protocol, odd_bucket, odd_slot}) {
    PortView view;
    EXPECT_FALSE(RowAssembler(view).append(Rows{tcp_bucket_row(80), bad})) << bad.kind;
  }
}

TEST(RowAssembler, HandsOverWhatCannotBeWithdrawnAnyMore) {
  PortView view;
  RowAssembler rows(view);
  std::vector<SocketId> taken;
  const auto take = [&] {
    rows.take_complete(
        [&](const Bucket& b) { std::ranges::copy(ids(b), std::back_inserter(taken)); });
  };
  ASSERT_TRUE(rows.append(Rows{tcp_bucket_row(80), socket_row(1, 80, 5, IPPROTO_TCP)}));
  rows.end(false);
  ASSERT_TRUE(rows.append(Rows{tcp_bucket_row(443), socket_row(2, 443, 5, IPPROTO_TCP)}));
  take();
  EXPECT_EQ(taken, std::vector<SocketId>{1}) << "the second is not whole yet";
  ASSERT_TRUE(rows.append(Rows{socket_row(3, 443, 5, IPPROTO_TCP)}));
  take();
  EXPECT_EQ(taken, std::vector<SocketId>{1});
  rows.withdraw();
  ASSERT_TRUE(rows.append(Rows{tcp_bucket_row(443), socket_row(4, 443, 5, IPPROTO_TCP)}));
  rows.end(true);
  take();
  EXPECT_EQ(taken, (std::vector<SocketId>{1, 4}));
  EXPECT_TRUE(view.buckets.empty());
}

} // namespace
} // namespace bindlens::model
