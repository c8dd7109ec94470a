// The walk of the bind tables, on its own.

#include "actor.h"
#include "bare_session.h"
#include "storm.h"

#include <bindlens/kernel/walk.h>

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <ranges>
#include <thread>

namespace bindlens::test {
namespace {

using model::PortView;

class Walk : public testing::Test {
 protected:
  void SetUp() override {
    session = open_bare_session();
    auto made = kernel::Walker::open(*session);
    ASSERT_TRUE(made) << made.error().text;
    walker = *std::move(made);
  }

  PortView walk(uint16_t port, uint32_t of) {
    auto view = walker->walk({.port = port, .netns = of});
    EXPECT_TRUE(view) << view.error().text;
    return view ? *std::move(view) : PortView{};
  }

  // Sockets of a namespace on a port, or on any with 0.
  static size_t count(const PortView& view, uint32_t of, uint16_t port) {
    size_t n = 0;
    for (const model::Bucket& b : view.buckets)
      for (const model::Socket& s : b.sockets)
        n += s.netns == of && (port == 0 || s.local.port == port);
    return n;
  }

  static Fd socket_with_reuseport() {
    const int one = 1;
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
      give_up_errno("one more socket");
    return fd;
  }

  static void bind_to(const Fd& fd, const std::string& address) {
    socklen_t length = 0;
    const sockaddr_storage to = to_sockaddr(address, shared_port, length);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), length) != 0)
      give_up_errno("binding one more");
  }

  static void allow_descriptors(rlim_t n) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::max(limit.rlim_cur, n);
    limit.rlim_max = std::max(limit.rlim_max, n);
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) give_up_errno("allowing more descriptors");
  }

  // "TCP: inuse 1 orphan 0 tw 4500 alloc 5 mem 0", the kernel's own count.
  [[nodiscard]] size_t time_wait_sockets() const {
    std::ifstream file(netns.proc_net("sockstat"));
    size_t n = 0;
    for (std::string word; file >> word;)
      if (word == "tw") file >> n;
    return n;
  }

  static uint64_t inode_of(const Fd& fd) {
    struct stat st {};
    return ::fstat(fd.get(), &st) == 0 ? st.st_ino : 0;
  }

  // Walks one port that has more sockets than one run of the program reads. In between,
  // those that are neither among the oldest nor among the newest close and are bound
  // anew at `to`, if `apart` with another socket between any two, so that none comes after
  // the one that it came after before. Expects the others exactly once.
  void walk_while_most_move(const std::string& to, bool apart) {
    constexpr size_t many = 6000;
    constexpr size_t staying = 1000; // at either end
    allow_descriptors(2 * many);
    netns.enter(); // from inside, a port is one bucket
    walker = *kernel::Walker::open(*session);
    std::vector<Fd> fds(many), others(apart ? many : 0);
    std::ranges::generate(fds, socket_with_reuseport);
    std::ranges::generate(others, socket_with_reuseport);
    for (const Fd& fd : fds)
      bind_to(fd, "127.0.0.2");

    // Some 3,200 or 4,096 sockets into the list.
    const int when = session->variant() == "flat" ? 100 : 1;
    int runs = 0;
    const auto move_most = [&] {
      if (++runs != when) return;
      for (size_t i = many - staying; i-- > staying;) {
        fds[i].reset();
        fds[i] = socket_with_reuseport();
        bind_to(fds[i], to);
        if (apart) bind_to(others[i], to);
      }
    };
    const auto view = walker->walk(
        {.protos = {model::Proto::tcp}, .port = shared_port, .netns = netns.inode()}, move_most);
    ASSERT_TRUE(view) << view.error().text;
    EXPECT_GT(runs, when);
    EXPECT_FALSE(view->torn);
    std::map<uint64_t, int> seen; // by inode
    for (const model::Bucket& bucket : view->buckets)
      for (const model::Socket& s : bucket.sockets)
        ++seen[s.inode];
    for (size_t i = 0; i < staying; ++i) {
      ASSERT_EQ(seen[inode_of(fds[i])], 1) << "old socket " << i;
      ASSERT_EQ(seen[inode_of(fds[many - 1 - i])], 1) << "new socket " << i;
    }
  }

  static constexpr uint16_t shared_port = 3600;
  Netns netns;
  std::unique_ptr<kernel::Session> session;
  std::unique_ptr<kernel::TableSource> walker;
};

TEST_F(Walk, SeesWhatStaysWhileTheRestChanges) {
  Actor a(netns);
  constexpr uint16_t port = 3500; // among those that the others fight for
  ASSERT_TRUE(a.bind_many(AF_INET, SOCK_STREAM, "127.0.0.9", port, 50).ok());
  ASSERT_TRUE(a.bind_many(AF_INET, SOCK_DGRAM, "127.0.0.9", port, 50).ok());
  const Board board;
  std::vector<Child> children;
  for (uint32_t i = 0; i < 2; ++i)
    children.push_back(start_churn(netns, board, 31 + i, static_cast<size_t>(scaled(2000))));
  ASSERT_TRUE(eventually([&] { return board->calls > static_cast<uint64_t>(scaled(5000)); }));
  for (int i = 0; i < scaled(50); ++i) {
    for (const PortView& view :
         {walk(0, 0), walk(port, 0), walk(0, netns.inode()), walk(port, netns.inode())}) {
      EXPECT_FALSE(view.torn);
      EXPECT_GE(count(view, netns.inode(), port), 100u);
    }
  }
}

// Between two runs of the program, the socket that the walk would read next closes, and its
// memory becomes one on another list of the same port, and so does the one before it.
TEST_F(Walk, StaysOnItsListWhenTheNextSocketsMoveToAnother) {
  std::thread([&] { walk_while_most_move("127.0.0.3", false); }).join();
}

// Or one in front on the same list.
TEST_F(Walk, SeesASocketOnceWhenTheNextOnesMoveToTheFront) {
  std::thread([&] { walk_while_most_move("127.0.0.2", false); }).join();
}

// Or one that comes after another than before.
TEST_F(Walk, NoticesThatTheNextSocketMoved) {
  std::thread([&] { walk_while_most_move("127.0.0.2", true); }).join();
  EXPECT_GT(walker->last().retries, 0u);
}

// The port of a busy server: one list, longer than a run reads, of mini-sockets.
TEST_F(Walk, GoesOnAmidTimeWait) {
  constexpr size_t many = 6000; // some find the port of an earlier one again
  std::thread([&] {
    netns.enter();
    std::ofstream("/proc/sys/net/ipv4/tcp_max_tw_buckets") << 2 * many; // small guests have fewer
    const Fd server = socket_with_reuseport();
    bind_to(server, "127.0.0.1");
    ASSERT_EQ(::listen(server.get(), 8), 0);
    socklen_t length = 0;
    const sockaddr_storage to = to_sockaddr("127.0.0.1", shared_port, length);
    for (size_t i = 0; i < many; ++i) {
      const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), length), 0);
      Fd(::accept(server.get(), nullptr, nullptr)).reset(); // closes first
      // If both closed at once, both would be in TIME_WAIT.
      char nothing = 0;
      ASSERT_EQ(::read(client.get(), &nothing, 1), 0);
    }
  }).join();
  // The last ones may still be on their way: ksoftirqd takes its time.
  PortView view;
  size_t all = 0;
  ASSERT_TRUE(eventually([&] {
    all = time_wait_sockets();
    view = walk(shared_port, netns.inode());
    return all == time_wait_sockets();
  }));
  EXPECT_FALSE(view.torn);
  size_t waiting = 0;
  for (const model::Bucket& bucket : view.buckets)
    waiting += static_cast<size_t>(std::ranges::count_if(bucket.sockets, [](const auto& s) {
      return s.local.port == shared_port && s.is(model::SocketFlag::timewait);
    }));
  EXPECT_EQ(waiting, all);
  EXPECT_GT(waiting, size_t{BL_WALK_ROWS});
  EXPECT_EQ(walker->last().retries, 0u) << "nothing changed";
}

TEST_F(Walk, IsNarrowedToPortAndNamespace) {
  const Netns other;
  Actor a(netns);
  Actor b(other);
  for (const uint16_t port : {uint16_t{4001}, uint16_t{4002}}) {
    ASSERT_TRUE(a.bind(a.tcp(), "127.0.0.1", port).ok());
    ASSERT_TRUE(b.bind(b.udp6(), "::1", port).ok());
  }
  EXPECT_EQ(count(walk(0, netns.inode()), netns.inode(), 0), 2u);
  EXPECT_EQ(count(walk(0, netns.inode()), other.inode(), 0), 0u);
  EXPECT_EQ(count(walk(4001, 0), netns.inode(), 0), 1u);
  EXPECT_EQ(count(walk(4001, 0), other.inode(), 0), 1u);
  EXPECT_EQ(count(walk(4001, other.inode()), other.inode(), 0), 1u);
}

TEST_F(Walk, ShowsTheCachesOfABucket) {
  Actor a(netns);
  const int listening = a.tcp();
  ASSERT_TRUE(a.bind(listening, "127.0.0.1", 4003).ok());
  ASSERT_TRUE(a.listen(listening).ok());
  const int connected = a.tcp();
  ASSERT_TRUE(a.connect(connected, "127.0.0.1", 4003).ok());
  const uint16_t chosen = a.port(connected);
  const PortView view = walk(chosen, netns.inode());
  ASSERT_EQ(view.buckets.size(), 1u);
  EXPECT_EQ(view.buckets[0].fastreuse, -1) << "only connect() has used the port";
  EXPECT_EQ(view.buckets[0].fastreuseport, -1);

  a.become(1001);
  const int shared = a.tcp();
  a.reuseport(shared);
  ASSERT_TRUE(a.bind(shared, "127.0.0.1", 4004).ok());
  const PortView of_shared = walk(4004, netns.inode());
  ASSERT_EQ(of_shared.buckets.size(), 1u);
  EXPECT_EQ(of_shared.buckets[0].fastreuse, 0);
  EXPECT_GT(of_shared.buckets[0].fastreuseport, 0);
  EXPECT_EQ(of_shared.buckets[0].fastuid, 1001u);
}

TEST_F(Walk, BucketLargerThanARunReads) {
  constexpr int many = 17'000; // one run reads 4,096
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlim_t enough = std::max<rlim_t>(before.rlim_max, many + 100);
  const rlimit limit{enough, enough};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  Actor a(netns);
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(a.bind_many(AF_INET, SOCK_STREAM, "127.0.0.1", 4005, many).ok());
  for (const PortView& view : {walk(4005, netns.inode()), walk(0, 0)}) {
    EXPECT_FALSE(view.torn);
    EXPECT_EQ(count(view, netns.inode(), 4005), static_cast<size_t>(many));
  }
}

} // namespace
} // namespace bindlens::test
