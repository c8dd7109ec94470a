// Whose a socket is, where an address was one socket's during the sweep and is another's now.

#include <bindlens/kernel/owner_map.h>

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace bindlens::kernel {
namespace {

using Pids = std::vector<uint32_t>;

constexpr uint64_t address = 0xffff888001234000;

bl_owner owner(uint32_t pid, uint32_t cookie, uint16_t port, uint16_t peer_port = 0) {
  return {address, pid, 3, cookie, port, peer_port};
}

model::Socket seen(uint64_t cookie, uint16_t port, uint16_t peer_port = 0) {
  model::Socket s;
  s.id = address;
  s.cookie = cookie;
  s.local.port = port;
  s.peer.port = peer_port;
  return s;
}

// Nothing where that is not known.
std::optional<Pids> pids_of(const std::vector<bl_owner>& swept, const model::Socket& s,
                            OwnerMap::Key key = OwnerMap::Key::socket) {
  Pids pids;
  const auto add = [&](const Descriptor& o) { pids.push_back(o.pid); };
  return OwnerMap(swept, 1, key).for_each_of(s, add) ? std::optional(pids) : std::nullopt;
}

TEST(OwnerMap, KnowsThatNobodyHasIt) {
  EXPECT_EQ(pids_of({}, seen(7, 80)), Pids{});
}

TEST(OwnerMap, NamesAllWhoHaveIt) {
  EXPECT_EQ(pids_of({owner(20, 7, 80), owner(10, 7, 80)}, seen(7, 80)), (Pids{10, 20}));
}

TEST(OwnerMap, GoesByTheCookieWhereBothHaveOne) {
  EXPECT_EQ(pids_of({owner(10, 7, 80)}, seen(8, 80)), std::nullopt) << "the port says nothing";
  EXPECT_EQ(pids_of({owner(10, 7, 80)}, seen(7, 80, 5000)), Pids{10}) << "it connected meanwhile";
  EXPECT_EQ(pids_of({owner(10, 7, 80)}, seen(0x500000007, 80)), Pids{10}) << "by the lower half";
}

TEST(OwnerMap, GoesByThePortsWhereOneHasNoCookie) {
  EXPECT_EQ(pids_of({owner(10, 0, 80)}, seen(0, 80)), Pids{10});
  EXPECT_EQ(pids_of({owner(10, 0, 80)}, seen(7, 80)), Pids{10}) << "it got one meanwhile";
  EXPECT_EQ(pids_of({owner(10, 0, 80)}, seen(0, 81)), std::nullopt);
  EXPECT_EQ(pids_of({owner(10, 0, 80, 5000)}, seen(0, 80, 5001)), std::nullopt);
}

TEST(OwnerMap, LeavesOutWhoHadTheOneBefore) {
  EXPECT_EQ(pids_of({owner(10, 7, 80), owner(20, 8, 80)}, seen(8, 80)), Pids{20});
}

TEST(OwnerMap, TellsADescriptorOnce) {
  EXPECT_EQ(pids_of({owner(10, 7, 80), owner(10, 7, 80)}, seen(7, 80)), Pids{10});
  EXPECT_EQ(pids_of({owner(10, 0, 80), owner(10, 7, 80)}, seen(7, 80)), Pids{10});
}

TEST(OwnerMap, GoesByTheInodeWhereNoMoreIsKnown) {
  model::Socket s = seen(7, 80);
  s.inode = 4711;
  const bl_owner by_inode{4711, 10, 3, 0, 0, 0};
  EXPECT_EQ(pids_of({by_inode}, s, OwnerMap::Key::inode), Pids{10});
  s.inode = 0;
  EXPECT_EQ(pids_of({by_inode}, s, OwnerMap::Key::inode), Pids{});
}

} // namespace
} // namespace bindlens::kernel
