// The table against the kernel's own lists, while sockets come and go.

#include "kernel_list.h"
#include "storm.h"
#include "world.h"

#include <chrono>
#include <iterator>

namespace bindlens::test {
namespace {

class ChurningTable : public testing::Test {
 protected:
  std::vector<Json> listed(const Netns& netns) {
    return daemon.lines("/v1/sockets?all=1&" + netns.query());
  }

  // What the kernel showed before and after must be listed; what is listed must
  // have been there before or after, unless it came and went in between.
  void bracket(const Netns& netns) {
    const SocketNames before = kernel_list(netns);
    const SocketNames ours = names_of(listed(netns));
    const SocketNames after = kernel_list(netns);
    SocketNames throughout;
    std::set_intersection(before.begin(), before.end(), after.begin(), after.end(),
                          std::inserter(throughout, throughout.end()));
    seen += throughout.size();
    missing += missing_from(throughout, ours);
  }

  void expect_equal(const Netns& netns) {
    const SocketNames kernel = kernel_list(netns);
    const SocketNames ours = names_of(listed(netns));
    EXPECT_FALSE(kernel.empty());
    EXPECT_EQ(missing_from(kernel, ours), "") << "the kernel has it, the table has not";
    EXPECT_EQ(missing_from(ours, kernel), "") << "the table has it, the kernel has not";
  }

  // Asked by another process, which can be given up.
  bool answers(const Netns& netns) {
    return Child::fork([&] { return listed(netns).empty() ? 1 : 0; }).wait() == 0;
  }

  Daemon daemon; // of its own: what is left to do after the churn is no other test's
  size_t seen = 0;
  std::string missing;
};

TEST_F(ChurningTable, IsNeverWithoutWhatIsThere) {
  const Netns first;
  const Netns second;
  const Board board;
  std::vector<Child> children;
  for (uint32_t i = 0; i < 2; ++i) {
    children.push_back(start_churn(first, board, 11 + i, static_cast<size_t>(scaled(1000))));
    children.push_back(start_churn(second, board, 21 + i, static_cast<size_t>(scaled(1000))));
  }
  const auto calls = static_cast<uint64_t>(scaled(30'000));
  ASSERT_TRUE(eventually([&] { return board->calls > 2000; }));
  ASSERT_TRUE(answers(first)) << "the daemon does not answer while binds are refused";
  ASSERT_TRUE(eventually([&] {
    bracket(first);
    bracket(second);
    return board->calls > calls;
  }));
  board->stop = true;
  ASSERT_TRUE(eventually([&] { return board->finished == 4; }));
  EXPECT_GT(seen, 100u) << "sockets that were there before and after";
  EXPECT_EQ(missing, "");

  const Json verified = daemon.one("/v1/verify");
  for (const Json& d : verified["list"]) {
    EXPECT_NE(d["netns"], first.inode()) << d.dump();
    EXPECT_NE(d["netns"], second.inode()) << d.dump();
  }
  expect_equal(first);
  expect_equal(second);
}

} // namespace
} // namespace bindlens::test
