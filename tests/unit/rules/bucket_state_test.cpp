// To whom a bind bucket is open. Kernel tests (bucket_test.cpp) ask the kernel itself.

#include <bindlens/rules/bucket_state.h>

#include "world.h"

namespace bindlens::rules::test {
namespace {

using model::OpenTo;

// fastreuse and fastreuseport as the kernel leaves them on 6.8 and later unless said otherwise.
struct Caches {
  int8_t reuse = 0, reuseport = 0;
  uint32_t uid = 0;
};

model::BucketState state(std::initializer_list<holds> holders, Caches c = {},
                         const Variants& v = {}) {
  model::PortView view = view_of(holders);
  model::Bucket& b = view.buckets.at(0);
  b.fastreuse = c.reuse;
  b.fastreuseport = c.reuseport;
  b.fastuid = c.uid;
  b.fast_addr = b.sockets.front().local.addr;
  return bucket_state(b, v);
}

bool because(const model::BucketState& s, const char* part) {
  return s.because.find(part) != std::string::npos;
}

TEST(BucketState, NobodyBesideASocketWithoutOptions) {
  const auto s = state({holds("0.0.0.0:80")});
  EXPECT_EQ(s.open_to, OpenTo::nobody);
  EXPECT_TRUE(because(s, "a socket on 0.0.0.0:80 has not set SO_REUSEADDR")) << s.because;
  EXPECT_TRUE(because(state({holds("0.0.0.0:80").reuseaddr().listening()}),
                      "a socket listens on 0.0.0.0:80 without SO_REUSEPORT"));
  EXPECT_EQ(state({holds("0.0.0.0:80").reuseaddr(), holds("0.0.0.0:80")}).open_to, OpenTo::nobody);
}

TEST(BucketState, ConnectUntilABindHasUsedThePort) {
  const holds client = holds("10.0.0.5:40000").child("10.0.0.9:80");
  EXPECT_EQ(state({client}, {-1, -1}).open_to, OpenTo::connect);
  // A bind with SO_REUSEADDR beside it: fastreuse stays, fastreuseport does not.
  holds flagged = client;
  flagged.reuseaddr();
  EXPECT_EQ(state({flagged, holds("10.0.0.5:40000").reuseaddr()}, {-1, 0}).open_to,
            OpenTo::reuseaddr);
  // Before 6.18 the port stays closed when the binder is gone.
  const auto s = state({client}, {0, 0});
  EXPECT_EQ(s.open_to, OpenTo::nobody);
  EXPECT_TRUE(because(s, "a bind that is gone has closed it to connect")) << s.because;
  EXPECT_TRUE(because(state({flagged}, {-1, -1}), "a bind with SO_REUSEADDR gets it too"));
  EXPECT_FALSE(because(state({client}, {-1, -1}), "gets it too"));
}

TEST(BucketState, ReuseaddrWhenAllHaveItAndNoneListens) {
  const auto s = state({holds("10.0.0.5:80").reuseaddr(), holds("127.0.0.1:80").reuseaddr()});
  EXPECT_EQ(s.open_to, OpenTo::reuseaddr);
  EXPECT_TRUE(because(s, "all 2 sockets on it have set SO_REUSEADDR")) << s.because;
  EXPECT_EQ(s.open_uid, std::nullopt);
  EXPECT_EQ(state({holds("0.0.0.0:80").reuseaddr().time_wait()}).open_to, OpenTo::reuseaddr);
  // Both: the wider one.
  EXPECT_EQ(state({holds("0.0.0.0:80").reuseaddr().reuseport()}, {0, 2, 1000}).open_to,
            OpenTo::reuseaddr);
}

// Until 6.7: the flag was cleared again, and the bucket remembers it.
TEST(BucketState, FlagsThatTheBucketRemembers) {
  EXPECT_EQ(state({holds("0.0.0.0:80")}, {1, 0}).open_to, OpenTo::reuseaddr);
  EXPECT_TRUE(because(state({holds("0.0.0.0:80")}, {1, 0}), "the bucket still says so"));
  const auto s = state({holds("0.0.0.0:80")}, {0, 2, 1000});
  EXPECT_EQ(s.open_to, OpenTo::reuseport);
  EXPECT_EQ(s.open_uid, 1000u);
  EXPECT_TRUE(because(s, "the last bind had set SO_REUSEPORT")) << s.because;
}

TEST(BucketState, ReuseportOfOneUser) {
  const holds worker = holds("0.0.0.0:80").reuseport().listening().uid(33);
  const auto s = state({worker, worker}, {0, 2, 33});
  EXPECT_EQ(s.open_to, OpenTo::reuseport);
  EXPECT_EQ(s.open_uid, 33u);
  EXPECT_TRUE(because(s, "all 2 sockets on it have set SO_REUSEPORT")) << s.because;
  // A restart as another user has broken it: nobody gets in.
  holds other = holds("0.0.0.0:80").reuseport().listening().uid(34);
  EXPECT_EQ(state({worker, other}).open_to, OpenTo::nobody);
}

TEST(BucketState, TimeWaitHasNoUser) {
  const auto s = state({holds("0.0.0.0:80").reuseport().time_wait()});
  EXPECT_EQ(s.open_to, OpenTo::reuseport);
  EXPECT_EQ(s.open_uid, std::nullopt);
  EXPECT_TRUE(because(s, "it has no user")) << s.because;
  const auto blocked = state({holds("0.0.0.0:80").time_wait(), holds("0.0.0.0:80").time_wait()});
  EXPECT_EQ(blocked.open_to, OpenTo::nobody);
  EXPECT_TRUE(because(blocked, "TIME_WAIT is left of 2 connections")) << blocked.because;
}

// Until 6.16 a connection in the accept queue counts as root's.
TEST(BucketState, QueuedConnectionOfAGroup) {
  Variants old;
  old.reuseport_uid = Variants::Uid::inode;
  const holds worker = holds("0.0.0.0:80").reuseport().listening().uid(33);
  holds queued = holds("0.0.0.0:80").reuseport().child("10.0.0.9:1").uid(33);
  queued.queued();
  EXPECT_EQ(state({worker, queued}, {0, 0, 0}, old).open_to, OpenTo::nobody);
  EXPECT_EQ(state({worker, queued}, {0, 2, 33}, old).open_to, OpenTo::reuseport)
      << "the cache hides it";
  EXPECT_EQ(state({worker, queued}, {0, 0, 0}).open_to, OpenTo::reuseport);
}

} // namespace
} // namespace bindlens::rules::test
