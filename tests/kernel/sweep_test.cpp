// The sweep over all descriptors, on its own.

#include "actor.h"
#include "bare_session.h"

#include <bindlens/kernel/owners.h>
#include <bindlens/kernel/walk.h>

#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <latch>
#include <sched.h>
#include <thread>

namespace bindlens::test {
namespace {

using Descriptors = std::vector<std::pair<pid_t, int>>;

class Sweep : public testing::Test {
 protected:
  // All sockets of the namespace that are bound there.
  std::vector<model::Socket> bound(uint16_t port) {
    const auto view = walker->walk({.port = port, .netns = netns.inode()});
    EXPECT_TRUE(view) << view.error().text;
    std::vector<model::Socket> found;
    for (const model::Bucket& bucket : view->buckets)
      for (const model::Socket& s : bucket.sockets)
        if (s.netns == netns.inode() && s.local.port == port) found.push_back(s);
    return found;
  }

  kernel::OwnerMap sweep() {
    auto owners = kernel::sweep_owners(*session);
    EXPECT_TRUE(owners) << owners.error().text;
    return owners ? *std::move(owners) : kernel::OwnerMap{};
  }

  // Who has the one socket there open.
  Descriptors holders(uint16_t port) {
    const auto sockets = bound(port);
    EXPECT_EQ(sockets.size(), 1u);
    Descriptors found;
    const auto owners = sweep();
    EXPECT_TRUE(owners.for_each_of(sockets.at(0), [&](const kernel::Descriptor& o) {
      found.emplace_back(static_cast<pid_t>(o.pid), static_cast<int>(o.fd));
    }));
    return found;
  }

  Netns netns;
  Actor a{netns};
  std::unique_ptr<kernel::Session> session = open_bare_session();
  std::unique_ptr<kernel::TableSource> walker = *kernel::Walker::open(*session);
};

TEST_F(Sweep, NamesProcessAndDescriptor) {
  const int tcp = a.tcp();
  ASSERT_TRUE(a.bind(tcp, "127.0.0.1", 3700).ok());
  EXPECT_EQ(holders(3700), (Descriptors{{a.pid(), tcp}}));
}

TEST_F(Sweep, GoesOnInATableOfManyDescriptors) {
  constexpr int many = 5000; // one run reads 4,096
  ASSERT_TRUE(a.bind_many(AF_INET, SOCK_DGRAM, "127.0.0.1", 3701, many).ok());
  const auto owners = sweep();
  std::vector<uint32_t> fds;
  for (const model::Socket& s : bound(3701))
    EXPECT_TRUE(owners.for_each_of(s, [&](const kernel::Descriptor& o) {
      EXPECT_EQ(static_cast<pid_t>(o.pid), a.pid());
      fds.push_back(o.fd);
    }));
  std::ranges::sort(fds);
  EXPECT_EQ(fds.size(), static_cast<size_t>(many));
  EXPECT_TRUE(std::ranges::adjacent_find(fds) == fds.end()) << "a descriptor came twice";
}

void stay_on_first_processor(pid_t pid) {
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  if (::sched_setaffinity(pid, sizeof first, &first) != 0) give_up_errno("sched_setaffinity");
}

// The kernel gives the memory of a socket to the next one that the same processor makes.
TEST_F(Sweep, DoesNotNameWhoHadTheAddressBefore) {
  Actor b{netns};
  stay_on_first_processor(a.pid());
  stay_on_first_processor(b.pid());
  bool came_again = false;
  for (int tries = 0; tries < 200 && !came_again; ++tries) {
    const int before = a.tcp();
    ASSERT_TRUE(a.bind(before, "127.0.0.1", 3705).ok());
    const model::SocketId address = bound(3705).at(0).id;
    const auto owners = sweep();
    a.close(before);
    const int after = b.tcp();
    ASSERT_TRUE(b.bind(after, "127.0.0.1", 3706).ok());
    const model::Socket now = bound(3706).at(0);
    came_again = now.id == address;
    EXPECT_EQ(owners.for_each_of(now, [](const kernel::Descriptor& o) { ADD_FAILURE() << o.pid; }),
              !came_again);
    b.close(after);
  }
  EXPECT_TRUE(came_again) << "the kernel never gave the address again: nothing was shown";
}

// Binds a socket, and calls `body` with it, in a thread in the namespace.
template <typename Body>
void with_bound(const Netns& netns, uint16_t port, Body body) {
  std::thread([&] {
    netns.enter();
    const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    socklen_t length = 0;
    const sockaddr_storage to = to_sockaddr("127.0.0.1", port, length);
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), length), 0);
    body(fd.get());
  }).join();
}

TEST_F(Sweep, SeesAThreadThatHasDescriptorsOfItsOwn) {
  std::latch bound_there(1), seen(1);
  int fd = -1;
  std::thread holder([&] {
    ASSERT_EQ(::unshare(CLONE_FILES), 0);
    with_bound(netns, 3702, [&](int socket) {
      fd = socket;
      bound_there.count_down();
      seen.wait();
    });
  });
  bound_there.wait();
  EXPECT_EQ(holders(3702), (Descriptors{{::getpid(), fd}})) << "told as one of the process";
  seen.count_down();
  holder.join();
}

TEST_F(Sweep, NamesBothProcessesThatShareTheirDescriptors) {
  with_bound(netns, 3703, [&](int fd) {
    // As fork(), but for CLONE_FILES.
    const pid_t child = static_cast<pid_t>(::syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
    if (child == 0)
      for (;;)
        ::pause();
    ASSERT_GT(child, 0);
    Child sharer(child);
    auto found = holders(3703);
    std::ranges::sort(found);
    Descriptors expected{{::getpid(), fd}, {child, fd}};
    std::ranges::sort(expected);
    EXPECT_EQ(found, expected);
  });
}

// A reference held on a file, for as long as a sweep takes, would keep its socket open
// after its process has closed it, and the port taken.
TEST_F(Sweep, LeavesAPortFreeAtOnceWhenItIsClosed) {
  std::atomic<bool> done = false;
  std::thread sweeper([&] {
    while (!done)
      (void)sweep();
  });
  std::thread([&] {
    netns.enter();
    socklen_t length = 0;
    const sockaddr_storage to = to_sockaddr("127.0.0.1", 3704, length);
    const int times = scaled(300'000);
    int refused = 0;
    for (int i = 0; i < times; ++i) {
      const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      refused += ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), length) != 0;
    }
    EXPECT_EQ(refused, 0) << "of " << times;
  }).join();
  done = true;
  sweeper.join();
}

} // namespace
} // namespace bindlens::test
