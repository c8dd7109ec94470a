// What is counted of the members of reuseport groups, against what the servers themselves
// have counted. A member tells its count at its end, and so does the daemon (reuseport-leave).

#include "world.h"

#include <fcntl.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <sched.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <array>
#include <fstream>
#include <map>
#include <numeric>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 7400;

// Shared with a server's process.
struct Tally {
  uint64_t got = 0; // connections accepted, datagrams received
  uint64_t dropped = 0;
};

sockaddr_in here(uint16_t at = port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(at);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

Fd bound_socket(int type) {
  Fd fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  const sockaddr_in a = here();
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0)
    give_up_errno("a member of a group");
  return fd;
}

// Takes all that is there. False when nothing was.
bool take_connections(int listener, Tally& tally) {
  bool any = false;
  for (;;) {
    const Fd c(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!c) return any;
    ++tally.got;
    any = true;
  }
}

bool take_datagrams(int fd, Tally& tally) {
  bool any = false;
  std::array<char, 64> buffer{};
  while (::recv(fd, buffer.data(), buffer.size(), 0) >= 0) {
    ++tally.got;
    any = true;
  }
  return any;
}

uint32_t drops_of(int fd) {
  std::array<uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  ::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info.data(), &size);
  return info[SK_MEMINFO_DROPS];
}

// One member of the group, in a process of its own. It ends when told to, after it took
// what was left.
class Server {
 public:
  Server(const Netns& netns, int type, int backlog = 512) {
    int ends[2];
    int back[2];
    if (::pipe2(ends, O_CLOEXEC) != 0 || ::pipe2(back, O_CLOEXEC) != 0) give_up_errno("pipe");
    process_ = Child::fork([&] {
      ::close(ends[1]);
      return serve(netns, type, backlog, ends[0], back[1]);
    });
    ::close(ends[0]);
    ::close(back[1]);
    stop_ = Fd(ends[1]);
    answer_ = Fd(back[0]);
    char ready = 0;
    if (::read(answer_.get(), &ready, 1) != 1) give_up("a server did not start");
  }
  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  [[nodiscard]] const Child& process() const { return process_; }

  Tally stop() {
    if (::write(stop_.get(), "s", 1) != 1) give_up_errno("stopping a server");
    Tally tally;
    if (::read(answer_.get(), &tally, sizeof tally) != sizeof tally) give_up("no tally came");
    process_.wait();
    return tally;
  }

 private:
  static int serve(const Netns& netns, int type, int backlog, int stop, int answer) {
    netns.enter();
    Tally tally;
    const Fd fd = bound_socket(type);
    if (type == SOCK_STREAM && ::listen(fd.get(), backlog) != 0) give_up_errno("listen");
    if (::write(answer, "r", 1) != 1) return 1;
    const auto take = type == SOCK_STREAM ? take_connections : take_datagrams;
    std::array<pollfd, 2> wanted{{{fd.get(), POLLIN, 0}, {stop, POLLIN, 0}}};
    while (::poll(wanted.data(), wanted.size(), -1) >= 0) {
      take(fd.get(), tally);
      if (wanted[1].revents != 0) break;
    }
    while (take(fd.get(), tally)) {
    }
    if (type == SOCK_DGRAM) tally.dropped = drops_of(fd.get());
    return ::write(answer, &tally, sizeof tally) == sizeof tally ? 0 : 1;
  }

  Child process_;
  Fd stop_;
  Fd answer_;
};

// Connects, and resets: no port stays in TIME_WAIT.
bool connect_once() {
  const Fd c(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const linger reset{1, 0};
  ::setsockopt(c.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  const sockaddr_in a = here();
  return ::connect(c.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0;
}

bool kernel_is_before(int major, int minor) {
  utsname name{};
  int has_major = 0;
  int has_minor = 0;
  if (::uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &has_major, &has_minor) != 2)
    give_up("the version of the kernel is not known");
  return std::pair(has_major, has_minor) < std::pair(major, minor);
}

void stay_on_this_cpu() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<size_t>(::sched_getcpu()), &cpus);
  if (::sched_setaffinity(0, sizeof cpus, &cpus) != 0) give_up_errno("sched_setaffinity");
}

class Reuseport : public World {
 protected:
  std::vector<Server> servers;
  std::map<pid_t, Tally> tallies;

  void SetUp() override {
    World::SetUp();
    const Json status = daemon().one("/v1/status");
    for (const Json& hook : status["hooks"])
      hooks_[hook["name"]] = hook["state"] == "attached";
  }
  [[nodiscard]] bool counts(const std::string& hook) { return hooks_["reuseport-" + hook]; }

  void serve(int number, int type) {
    for (int i = 0; i < number; ++i)
      servers.emplace_back(netns, type);
  }
  void stop(Server& s) {
    const pid_t pid = s.pid();
    tallies[pid] = s.stop();
  }
  void stop_all() {
    for (Server& s : servers)
      if (s.pid() != 0) stop(s);
  }
  // In the namespace of the servers; how many came through. All from one processor: loopback
  // has a queue for each, and a reset that overtakes the last segment of its handshake ends a
  // connection that the server never sees.
  int connect_times(int times) {
    int through = 0;
    Child client = Child::fork([&] {
      netns.enter();
      stay_on_this_cpu();
      int done = 0;
      for (int i = 0; i < times; ++i)
        done += connect_once() ? 1 : 0;
      return done == times ? 0 : 1;
    });
    through = client.wait(std::chrono::minutes(5)) == 0 ? times : 0;
    return through;
  }
  void allow_migration() {
    Child child = Child::fork([&] {
      netns.enter();
      std::ofstream file("/proc/sys/net/ipv4/tcp_migrate_req");
      return (file << 1 << std::flush) ? 0 : 1;
    });
    ASSERT_EQ(child.wait(patience()), 0);
  }
  // The last event of a kind of each process.
  std::map<pid_t, Json> told(const std::string& type) {
    std::map<pid_t, Json> all;
    for (const Json& e : events("&port=" + std::to_string(port)))
      if (e["type"] == type) all[e["process"]["pid"].get<pid_t>()] = e;
    return all;
  }
  std::map<pid_t, Json> all_left() {
    std::map<pid_t, Json> left;
    EXPECT_TRUE(eventually([&] {
      left = told("reuseport-leave");
      return left.size() == tallies.size();
    }));
    return left;
  }
  void expect_connections_equal() {
    for (const auto& [pid, event] : all_left()) {
      SCOPED_TRACE(event.dump());
      EXPECT_EQ(event.contains("accepted"), counts("accept"));
      EXPECT_EQ(event.value("accepted", 0u), tallies[pid].got);
      EXPECT_EQ(event.contains("selected"), counts("select"));
      if (counts("select")) {
        EXPECT_GE(event.value("selected", 0u), tallies[pid].got);
      }
      EXPECT_EQ(event.value("lost_at_close", 99u), 0u);
    }
  }

 private:
  std::map<std::string, bool> hooks_;
};

class ReuseportShares : public Reuseport, public testing::WithParamInterface<int> {};

TEST_P(ReuseportShares, AcceptedConnectionsAreThoseThatTheServersCounted) {
  if (!counts("accept")) GTEST_SKIP() << "accepted connections are not counted here";
  const int connections = in_vm() ? 1000 : 20'000;
  serve(GetParam(), SOCK_STREAM);
  EXPECT_EQ(connect_times(connections), connections);
  stop_all();
  const auto sum = std::accumulate(tallies.begin(), tallies.end(), uint64_t{0},
                                   [](uint64_t n, const auto& t) { return n + t.second.got; });
  EXPECT_EQ(sum, static_cast<uint64_t>(connections));
  expect_connections_equal();
  EXPECT_EQ(told("reuseport-join").size(), static_cast<size_t>(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(, ReuseportShares, testing::Values(4, 7, 32),
                         testing::PrintToStringParamName());

TEST_F(Reuseport, MembersJoinAndLeaveWhileConnectionsCome) {
  if (!counts("accept")) GTEST_SKIP() << "accepted connections are not counted here";
  serve(3, SOCK_STREAM);
  Child client = Child::fork([&]() -> int {
    netns.enter();
    for (;;)
      (void)connect_once(); // some are reset by a member that closes
  });
  for (int round = 0; round < 10; ++round) {
    serve(1, SOCK_STREAM);
    std::this_thread::sleep_for(std::chrono::milliseconds(in_vm() ? 300 : 50));
    stop(servers[static_cast<size_t>(round)]);
  }
  client.kill();
  stop_all();
  ASSERT_EQ(tallies.size(), 13u);
  for (const auto& [pid, event] : all_left()) {
    SCOPED_TRACE(event.dump());
    EXPECT_EQ(event.value("accepted", 0u), tallies[pid].got);
  }
}

TEST_F(Reuseport, DatagramsAreThoseThatTheServersCounted) {
  if (!counts("datagrams")) GTEST_SKIP() << "datagrams are not counted here";
  const int datagrams = in_vm() ? 10'000 : 200'000;
  serve(4, SOCK_DGRAM);
  Child client = Child::fork([&] {
    netns.enter();
    std::vector<Fd> sources;
    const sockaddr_in to = here();
    for (int i = 0; i < 256; ++i) {
      sources.emplace_back(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (::connect(sources.back().get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
        return 1;
    }
    for (int i = 0; i < datagrams; ++i)
      if (::send(sources[static_cast<size_t>(i) % sources.size()].get(), "x", 1, 0) != 1) return 1;
    return 0;
  });
  EXPECT_EQ(client.wait(std::chrono::minutes(5)), 0);
  stop_all();
  uint64_t sum = 0;
  for (const auto& [pid, event] : all_left()) {
    SCOPED_TRACE(event.dump());
    EXPECT_EQ(event.value("datagrams", 0u), tallies[pid].got);
    EXPECT_EQ(event.value("drops", 99u), tallies[pid].dropped);
    sum += tallies[pid].got + tallies[pid].dropped;
  }
  EXPECT_EQ(sum, static_cast<uint64_t>(datagrams));
}

TEST_F(Reuseport, WhatWaitsInTheQueueOfOneThatClosesIsLost) {
  if (!counts("accept")) GTEST_SKIP() << "accepted connections are not counted here";
  const int listener = a.tcp();
  a.reuseport(listener);
  ASSERT_TRUE(a.bind(listener, "127.0.0.1", port).ok());
  ASSERT_TRUE(a.listen(listener).ok());
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(b.connect(b.tcp(), "127.0.0.1", port).ok());
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(a.accept(listener).ok());
  ASSERT_TRUE(a.close(listener).ok());
  tallies[a.pid()].got = 2;
  const Json event = all_left()[a.pid()];
  EXPECT_EQ(event.value("accepted", 0u), 2u);
  EXPECT_EQ(event.value("lost_at_close", 99u), 3u);
}

TEST_F(Reuseport, WhatWaitedBeforeTheStartIsAccepted) {
  if (!counts("accept")) GTEST_SKIP() << "accepted connections are not counted here";
  const int listener = a.tcp();
  a.reuseport(listener);
  ASSERT_TRUE(a.bind(listener, "127.0.0.1", port).ok());
  ASSERT_TRUE(a.listen(listener).ok());
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(b.connect(b.tcp(), "127.0.0.1", port).ok());
  const Daemon later;
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(a.accept(listener).ok());
  ASSERT_TRUE(a.close(listener).ok());
  std::vector<Json> left;
  ASSERT_TRUE(eventually([&] {
    left = later.lines("/v1/events?type=reuseport-leave&" + netns.query());
    std::erase_if(left, [](const Json& e) { return e["type"] != "reuseport-leave"; });
    return !left.empty();
  }));
  EXPECT_EQ(left[0].value("accepted", 0u), 3u);
}

// net.ipv4.tcp_migrate_req. Debian's 5.10 has the name of it, and nothing comes of it.
TEST_F(Reuseport, WhatWaitsMovesToAnotherMemberWhereItMay) {
  if (!counts("accept")) GTEST_SKIP() << "accepted connections are not counted here";
  if (kernel_is_before(5, 14)) GTEST_SKIP() << "not run here: no migration before Linux 5.14";
  allow_migration();
  constexpr int connections = 16;
  std::map<Actor*, int> listeners;
  for (Actor* actor : {&a, &b}) {
    const int fd = listeners[actor] = actor->tcp();
    actor->reuseport(fd);
    ASSERT_TRUE(actor->bind(fd, "127.0.0.1", port).ok());
    ASSERT_TRUE(actor->listen(fd, connections).ok());
  }
  for (int i = 0; i < connections; ++i)
    ASSERT_TRUE(b.connect(b.tcp(), "127.0.0.1", port).ok());
  ASSERT_TRUE(a.close(listeners[&a]).ok());
  for (int i = 0; i < connections; ++i)
    ASSERT_TRUE(b.accept(listeners[&b]).ok());
  ASSERT_TRUE(b.close(listeners[&b]).ok());
  tallies = {{a.pid(), {}}, {b.pid(), {}}};
  auto left = all_left();
  // Where what moves is not seen, what is lost is not known.
  EXPECT_EQ(left[a.pid()].contains("lost_at_close"), counts("migrate")) << left[a.pid()].dump(1);
  EXPECT_EQ(left[a.pid()].value("lost_at_close", 0u), 0u) << left[a.pid()].dump(1);
  EXPECT_EQ(left[b.pid()].value("accepted", 0u), uint64_t{connections}) << left[b.pid()].dump(1);
  if (counts("migrate") && counts("select")) {
    EXPECT_EQ(left[a.pid()].value("migrated", 0u), left[a.pid()].value("selected", 99u))
        << left[a.pid()].dump(1);
  }
}

TEST_F(Reuseport, OneThatIsShutDownLeaves) {
  const int listener = a.tcp();
  a.reuseport(listener);
  ASSERT_TRUE(a.bind(listener, "127.0.0.1", port).ok());
  EXPECT_TRUE(told("reuseport-join").empty()) << "it does not listen yet";
  ASSERT_TRUE(a.listen(listener).ok());
  EXPECT_TRUE(eventually([&] { return told("reuseport-join").contains(a.pid()); }));
  ASSERT_TRUE(a.shutdown(listener).ok());
  EXPECT_TRUE(eventually([&] { return told("reuseport-leave").contains(a.pid()); }));
}

TEST_F(Reuseport, OneWithoutTheOptionIsInNoGroup) {
  const int listener = a.tcp();
  ASSERT_TRUE(a.bind(listener, "127.0.0.1", port).ok());
  ASSERT_TRUE(a.listen(listener).ok());
  EXPECT_TRUE(eventually([&] { return event(port)["type"] == "listen"; }));
  EXPECT_TRUE(told("reuseport-join").empty());
}

} // namespace
} // namespace bindlens::test
