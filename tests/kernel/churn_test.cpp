// The table against the kernel's own lists, while sockets come and go.

#include "kernel_list.h"
#include "storm.h"
#include "world.h"

#include <chrono>
#include <set>

namespace bindlens::test {
namespace {

class ChurningTable : public testing::Test {
 protected:
  std::vector<Json> listed(const Netns& netns) {
    return daemon.lines("/v1/sockets?all=1&" + netns.query());
  }

  // What the kernel showed before and after must be listed.
  void bracket(const Netns& netns) {
    const auto before = kernel_inodes(netns);
    const SocketNames ours = names_of(listed(netns));
    const auto after = kernel_inodes(netns);
    std::set<std::string> throughout;
    for (const auto& [inode, name] : after)
      if (const auto it = before.find(inode); it != before.end() && it->second == name)
        throughout.insert(name);
    seen += throughout.size();
    missing += missing_from({throughout.begin(), throughout.end()}, ours);
  }

  // The end of a TIME_WAIT may fall in between.
  void expect_equal(const Netns& netns) {
    const SocketNames before = kernel_list(netns);
    const SocketNames ours = names_of(listed(netns));
    const SocketNames after = kernel_list(netns);
    EXPECT_FALSE(after.empty());
    EXPECT_EQ(missing_from(after, ours), "") << "the kernel has it, the table has not";
    EXPECT_EQ(missing_from(ours, before), "") << "the table has it, the kernel has not";
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
  children.push_back(start_holding(first, board));
  children.push_back(start_holding(second, board));
  ASSERT_TRUE(eventually([&] { return board->finished == 2; }));
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
  ASSERT_TRUE(eventually([&] { return board->finished == 6; }));
  EXPECT_GT(seen, 4000u) << "sockets that were there before and after";
  EXPECT_EQ(missing, "");

  const Json verified = daemon.one("/v1/verify");
  const Json events = daemon.one("/v1/status")["events"];
  for (const Json& d : verified["list"]) {
    EXPECT_NE(d["netns"], first.inode()) << d.dump() << "\n" << events.dump();
    EXPECT_NE(d["netns"], second.inode()) << d.dump() << "\n" << events.dump();
  }
  expect_equal(first);
  expect_equal(second);
}

} // namespace
} // namespace bindlens::test
