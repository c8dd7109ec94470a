// What the table says of single sockets.

#include "world.h"

#include <chrono>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 6001;
const std::string at_port = "&port=6001";

class Table : public World {
 protected:
  int bound(Actor& by) {
    const int fd = by.tcp();
    EXPECT_TRUE(by.bind(fd, "127.0.0.1", port).ok());
    return fd;
  }
  int listener(Actor& by) {
    const int fd = bound(by);
    EXPECT_TRUE(by.listen(fd).ok());
    return fd;
  }
  Json only_row() {
    const auto rows = sockets(at_port);
    EXPECT_EQ(rows.size(), 1u);
    return rows.size() == 1 ? rows[0] : Json::object();
  }
  static std::vector<std::string> holders(const Json& row) {
    return holders_of(Json{{"holders", Json::array({row})}});
  }
};

TEST_F(Table, LosesAKilledProcessAtOnce) {
  listener(a);
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(a.bind(a.udp(), "127.0.0.1", 0).ok());
  ASSERT_EQ(sockets().size(), 21u);
  a.kill();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(sockets(at_port).empty());
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(events("&type=release").size(), 21u) << "the table itself knows, before any walk";
  EXPECT_LT(took, std::chrono::milliseconds(is_slow() ? 2000 : 100));
  const Json verified = daemon().one("/v1/verify");
  for (const Json& d : verified["list"])
    EXPECT_NE(d["netns"], netns.inode()) << d.dump();
  EXPECT_TRUE(sockets().empty());
}

TEST_F(Table, HasQueuedConnectionsOrphansAndTimeWait) {
  const int held = listener(a);
  const int client = b.tcp();
  ASSERT_TRUE(b.connect(client, "127.0.0.1", port).ok());
  auto rows = sockets(at_port);
  ASSERT_EQ(rows.size(), 2u) << "the listener and the connection that waits";
  const bool first_listens = rows[0]["state"] == "LISTEN";
  const Json& listening = rows[first_listens ? 0 : 1];
  const Json& queued = rows[first_listens ? 1 : 0];
  EXPECT_EQ(listening["backlog"]["current"], 1);
  EXPECT_EQ(queued["state"], "ESTABLISHED");
  EXPECT_EQ(queued.value("orphan", false), true) << queued.dump();
  const int server = a.accept(held).value;
  a.close(server);
  b.close(client);
  rows = sockets(at_port + "&state=TIME_WAIT");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_FALSE(rows[0].contains("uid"));
  EXPECT_GT(rows[0].value("timewait_left_ms", 0), 30'000);
  EXPECT_LE(rows[0].value("timewait_left_ms", 0), 60'000);
}

TEST_F(Table, HasSocketsFromBeforeTheStart) {
  const int held = bound(a);
  const Daemon late;
  const auto rows = late.lines("/v1/sockets?" + netns.query());
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["state"], "BOUND");
  EXPECT_EQ(holders(rows[0]), std::vector{held_by(a, held)});
  EXPECT_FALSE(rows[0].contains("bound_at"));
}

TEST_F(Table, HasNamespacesFromAfterTheStart) {
  (void)daemon();
  const Netns later;
  Actor c(later, "kt-c");
  const int held = c.tcp6();
  ASSERT_TRUE(c.bind(held, "::1", port).ok());
  const auto rows = daemon().lines("/v1/sockets?" + later.query());
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["netns"], later.inode());
  EXPECT_EQ(rows[0]["binder"]["pid"], c.pid());
}

TEST_F(Table, ShowsOptionsSetAfterTheBind) {
  const int fd = bound(a);
  EXPECT_EQ(only_row()["reuseaddr"], false);
  a.reuseaddr(fd);
  a.reuseport(fd);
  a.linger(fd, 7);
  const Json row = only_row();
  EXPECT_EQ(row["reuseaddr"], true);
  EXPECT_EQ(row["reuseport"], true);
  EXPECT_EQ(row.value("linger", -1), 7);
  a.linger(fd, 0);
  EXPECT_EQ(only_row().value("linger", -1), 0);
}

TEST_F(Table, NamesBothHoldersAfterFork) {
  const int fd = listener(a);
  const Actor child = a.fork();
  std::vector expected = {held_by(a, fd), held_by(child, fd)};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(holders(only_row()), expected);
}

TEST_F(Table, NamesTheProcessThatWasPassedADescriptor) {
  const int fd = listener(a);
  const int passed = a.give(fd, b);
  std::vector expected = {held_by(a, fd), held_by(b, passed)};
  std::sort(expected.begin(), expected.end());
  // The message that carried it holds the descriptor for a moment longer.
  EXPECT_TRUE(eventually([&] { return holders(only_row()) == expected; }));
  a.close(fd);
  EXPECT_EQ(holders(only_row()), std::vector{held_by(b, passed)});
  EXPECT_EQ(only_row()["binder"]["pid"], a.pid());
}

TEST_F(Table, KeepsWhatAChildOfAnExitedBinderHolds) {
  const int fd = listener(a);
  const Actor child = a.fork();
  const pid_t binder = a.pid();
  a.kill();
  const Json row = only_row();
  EXPECT_EQ(holders(row), std::vector{held_by(child, fd)});
  EXPECT_EQ(row["binder"]["pid"], binder);
  EXPECT_EQ(row["bound_by"], "bind");
}

} // namespace
} // namespace bindlens::test
