// Records that get lost: told, and made good.

#include "kernel_list.h"
#include "storm.h"
#include "world.h"

namespace bindlens::test {
namespace {

class Loss : public World {
 protected:
  // Two processes, until they have made all their binds.
  std::vector<Child> storm(int binds) {
    std::vector<Child> children;
    for (int i = 0; i < 2; ++i)
      children.push_back(start_bind_storm(netns, board, binds / 2, kept / 2));
    EXPECT_TRUE(eventually([&] { return board->finished == 2; }, 3 * patience()));
    EXPECT_EQ(board->calls, static_cast<uint64_t>(binds + kept));
    return children;
  }

  void expect_table_right(Daemon& of) {
    (void)eventually([&] { return of.one("/v1/status")["table"]["complete"] == true; });
    const Json verified = of.one("/v1/verify");
    for (const Json& d : verified["list"])
      EXPECT_NE(d["netns"], netns.inode()) << d.dump();
    const SocketNames ours = names_of(of.lines("/v1/sockets?all=1&" + netns.query()));
    EXPECT_EQ(ours.size(), static_cast<size_t>(kept));
    EXPECT_EQ(missing_from(kernel_list(netns), ours), "");
    EXPECT_EQ(missing_from(ours, kernel_list(netns)), "");
  }

  Board board;
  static constexpr int kept = 100;
};

TEST_F(Loss, IsToldAndMadeGood) {
  Daemon small({"--ring-size", "4096"});
  const auto children = storm(scaled(200'000));
  (void)eventually([&] { return !small.lines("/v1/events?type=gap").empty(); });
  const auto gaps = small.lines("/v1/events?type=gap");
  ASSERT_FALSE(gaps.empty());
  EXPECT_GT(gaps[0]["lost"], 0);
  const Json status = small.one("/v1/status");
  EXPECT_GT(status["events"]["lost"], 0);
  EXPECT_GT(status["events"]["resyncs"], 0);
  expect_table_right(small);
}

TEST_F(Loss, DoesNotHappenWithTheUsualRing) {
  Daemon usual;
  const auto children = storm(scaled(40'000));
  // What the kernel leaves out, where it preempts hooks, no ring can hold.
  const Json seen = usual.one("/v1/status")["events"];
  EXPECT_EQ(seen["lost"], seen["skipped_runs"]) << seen.dump();
  EXPECT_EQ(usual.lines("/v1/events?type=gap").empty(), seen["lost"] == 0);
  expect_table_right(usual);
}

} // namespace
} // namespace bindlens::test
