// Who is named as the holder, and how failures are kept.

#include "world.h"

namespace bindlens::test {
namespace {

constexpr uint16_t port = 8081;

class Holders : public World {
 protected:
  int listener(Actor& by, uint16_t at = port) {
    const int fd = by.tcp();
    EXPECT_TRUE(by.bind(fd, "127.0.0.1", at).ok());
    EXPECT_TRUE(by.listen(fd).ok());
    return fd;
  }
};

TEST_F(Holders, InAnotherNamespaceAreNotBlamed) {
  const Netns other;
  Actor stranger(other, "kt-stranger");
  listener(stranger);
  const int held = listener(a);
  EXPECT_EQ(b.bind(b.tcp(), "127.0.0.1", port).error, EADDRINUSE);
  const Json f = failure(port);
  EXPECT_EQ(holders_of(f), std::vector{held_by(a, held)}) << f.dump(1);
  EXPECT_TRUE(since_start(daemon().lines("/v1/failures?" + other.query())).empty());
}

TEST_F(Holders, TwoAfterFork) {
  const int held = listener(a);
  const Actor child = a.fork();
  EXPECT_EQ(b.bind(b.tcp(), "127.0.0.1", port).error, EADDRINUSE);
  std::vector expected = {held_by(a, held), held_by(child, held)};
  std::sort(expected.begin(), expected.end());
  const Json f = failure(port);
  EXPECT_EQ(holders_of(f), expected) << f.dump(1);
}

TEST_F(Holders, TwoAfterPassingTheDescriptor) {
  const int held = listener(a);
  const int passed = a.give(held, b);
  ASSERT_GE(passed, 0);
  Actor c(netns, "kt-c");
  EXPECT_EQ(c.bind(c.tcp(), "127.0.0.1", port).error, EADDRINUSE);
  std::vector expected = {held_by(a, held), held_by(b, passed)};
  std::sort(expected.begin(), expected.end());
  const Json f = failure(port);
  EXPECT_EQ(holders_of(f), expected) << f.dump(1);
}

TEST_F(Holders, ChildKeepsThePortOfAnExitedBinder) {
  const int held = listener(a);
  const Actor child = a.fork();
  const pid_t binder = a.pid();
  a.kill();
  EXPECT_EQ(b.bind(b.tcp(), "127.0.0.1", port).error, EADDRINUSE);
  const Json f = failure(port);
  EXPECT_EQ(holders_of(f), std::vector{held_by(child, held)}) << f.dump(1);
  EXPECT_EQ(f["holders"][0]["binder"]["pid"], binder);
  EXPECT_EQ(f["holders"][0]["binder_exited"], true);
}

TEST_F(Holders, AreNamedWhenTheyCloseRightAfter) {
  const int held = listener(b);
  EXPECT_EQ(b.bind_then_close(b.tcp(), "127.0.0.1", port, held).error, EADDRINUSE);
  const Json f = failure(port);
  ASSERT_FALSE(f.is_null());
  EXPECT_EQ(f["rule"], "listener");
  ASSERT_EQ(f["holders"].size(), 1u);
  ASSERT_TRUE(f["holders"][0].contains("binder")) << f.dump(1);
  EXPECT_EQ(f["holders"][0]["binder"]["pid"], b.pid()) << f.dump(1);
  EXPECT_EQ(f["holders"][0]["binder"]["comm"], "kt-b");
}

TEST_F(Holders, AreNamedWhenTheyExitRightAfter) {
  listener(a);
  const pid_t binder = a.pid();
  EXPECT_EQ(b.bind(b.tcp(), "127.0.0.1", port).error, EADDRINUSE);
  a.kill();
  const Json f = failure(port);
  ASSERT_FALSE(f.is_null());
  ASSERT_TRUE(f["holders"].at(0).contains("binder")) << f.dump(1);
  EXPECT_EQ(f["holders"][0]["binder"]["pid"], binder) << f.dump(1);
}

TEST_F(Holders, FromBeforeTheStartAreFound) {
  const int held = listener(a);
  Daemon late;
  EXPECT_EQ(b.bind(b.tcp(), "127.0.0.1", port).error, EADDRINUSE);
  std::vector<Json> found;
  EXPECT_TRUE(eventually([&] {
    found = late.lines("/v1/failures?" + netns.query());
    return !found.empty();
  }));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(holders_of(found[0]), std::vector{held_by(a, held)}) << found[0].dump(1);
  EXPECT_FALSE(found[0]["holders"][0].contains("binder")) << "nobody saw who bound it";
}

TEST_F(Holders, SameRefusalAgainIsFolded) {
  listener(a);
  const int fd = b.tcp();
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(b.bind(fd, "127.0.0.1", port).error, EADDRINUSE);
  EXPECT_TRUE(eventually([&] { return failure(port).value("count", 0) == 5; }))
      << failure(port).dump(1);
  const Json f = failure(port);
  EXPECT_LT(f["first_time"].get<std::string>(), f["time"].get<std::string>());
  EXPECT_EQ(events("&type=fail").size(), 5u);
}

TEST_F(Holders, OldestFailuresGoWhenThereAreTooMany) {
  Daemon small({"--max-failures", "10"});
  for (uint16_t p = 2000; p < 2030; ++p) {
    listener(a, p);
    EXPECT_EQ(b.bind(b.tcp(), "127.0.0.1", p).error, EADDRINUSE);
  }
  const auto has = [&](uint16_t p) {
    return !small.lines("/v1/failures?" + netns.query() + "&port=" + std::to_string(p)).empty();
  };
  EXPECT_TRUE(eventually([&] { return has(2029); }));
  EXPECT_TRUE(has(2029));
  EXPECT_FALSE(has(2000));
  const Json status = small.one("/v1/status");
  EXPECT_LE(status["failures"]["kept"], 10) << status.dump(1);
  EXPECT_GE(status["failures"]["seen"], 30) << status.dump(1);
}

TEST_F(Holders, OfABucketOfAThousandAreComplete) {
  ASSERT_TRUE(a.bind_many(AF_INET, SOCK_STREAM, "127.0.0.1", port, 1000).ok());
  EXPECT_EQ(b.bind(b.tcp(), "127.0.0.1", port).error, EADDRINUSE);
  const Json f = failure(port);
  ASSERT_FALSE(f.is_null());
  EXPECT_EQ(f["complete"], true);
  EXPECT_EQ(f["rule"], "requester-no-reuseport");
  const auto holders = holders_of(f);
  EXPECT_GE(holders.size(), 256u); // of each failure so many are kept
  const std::string of_a = std::to_string(a.pid()) + ":";
  for (const std::string& h : holders)
    EXPECT_EQ(h.rfind(of_a, 0), 0u) << h;
}

} // namespace
} // namespace bindlens::test
