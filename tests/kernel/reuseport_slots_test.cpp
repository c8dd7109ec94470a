// Datagrams are counted in slots, one for each member that finds its own free (bpf/share.h):
// what must hold when two want the same, when it becomes free, and when a member comes back.

#include "world.h"

#include <bindlens/record.h>

#include <array>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 7410;

sockaddr_in here(uint16_t at) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(at);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

uint64_t cookie_of(const Fd& fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0)
    give_up_errno("SO_COOKIE");
  return cookie;
}

Fd datagram_socket() {
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) give_up_errno("socket");
  return fd;
}

void join(const Fd& fd, uint16_t at) {
  const int on = 1;
  const sockaddr_in a = here(at);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0)
    give_up_errno("a member of a group");
}

uint16_t port_of(const Fd& fd) {
  sockaddr_in a{};
  socklen_t size = sizeof a;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &size) != 0)
    give_up_errno("getsockname");
  return ntohs(a.sin_port);
}

uint64_t take_all(const Fd& fd) {
  std::array<char, 16> buffer{};
  uint64_t n = 0;
  while (::recv(fd.get(), buffer.data(), buffer.size(), 0) >= 0)
    ++n;
  return n;
}

class ReuseportSlots : public World {
 protected:
  void SetUp() override {
    World::SetUp();
    const Json status = daemon().one("/v1/status");
    for (const Json& hook : status["hooks"])
      if (hook["name"] == "reuseport-datagrams" && hook["state"] != "attached")
        GTEST_SKIP() << "datagrams are not counted here";
  }
  // The sockets of this process that it makes are in the namespace.
  void inside(const std::function<void()>& act) {
    std::thread([&] {
      netns.enter();
      act();
    }).join();
  }
  // From a hundred ports, one after the other.
  void send(int datagrams, uint16_t to_port) {
    std::vector<Fd> sources;
    for (int i = 0; i < 100; ++i)
      sources.push_back(datagram_socket());
    const sockaddr_in to = here(to_port);
    for (int i = 0; i < datagrams; ++i)
      if (::sendto(sources[static_cast<size_t>(i) % sources.size()].get(), "x", 1, 0,
                   reinterpret_cast<const sockaddr*>(&to), sizeof to) != 1)
        give_up_errno("sendto");
  }
  // What the members that left this port had got, in the order of their leaving.
  std::vector<uint64_t> left(size_t members, uint16_t of_port) {
    std::vector<uint64_t> counts;
    (void)eventually([&] {
      counts.clear();
      for (const Json& e : events("&port=" + std::to_string(of_port)))
        if (e["type"] == "reuseport-leave") counts.push_back(e.value("datagrams", 0u));
      return counts.size() >= members;
    });
    return counts;
  }
};

TEST_F(ReuseportSlots, TwoThatWantTheSameAreBothCounted) {
  Fd first, second;
  uint64_t got_first = 0;
  uint64_t got_second = 0;
  const auto take = [&] {
    got_first += first ? take_all(first) : 0;
    got_second += take_all(second);
  };
  inside([&] {
    first = datagram_socket();
    const uint32_t slot = bl_share_slot_of(cookie_of(first));
    do
      second = datagram_socket();
    while (bl_share_slot_of(cookie_of(second)) != slot);
    join(first, port);
    join(second, port);
    for (int i = 0; i < 20; ++i) {
      send(100, port);
      take();
    }
    first.reset();
  });
  ASSERT_GT(got_first, 200u) << "a hundred clients go to both";
  ASSERT_EQ(got_first + got_second, 2000u);
  EXPECT_EQ(left(1, port), std::vector{got_first});
  // The slot is free now, and taken sooner or later.
  inside([&] {
    for (int i = 0; i < 5; ++i) {
      send(100, port);
      take();
    }
    second.reset();
  });
  ASSERT_EQ(got_first + got_second, 2500u);
  EXPECT_EQ(left(2, port), (std::vector{got_first, got_second}));
}

// connect() to AF_UNSPEC gives a port back that was not asked for by number.
TEST_F(ReuseportSlots, OneThatComesBackBeginsAtZero) {
  Fd fd;
  uint16_t chosen = 0;
  inside([&] {
    fd = datagram_socket();
    join(fd, 0);
    chosen = port_of(fd);
    send(200, chosen);
    EXPECT_EQ(take_all(fd), 200u);
    const sockaddr nobody{AF_UNSPEC, {}};
    ASSERT_EQ(::connect(fd.get(), &nobody, sizeof nobody), 0);
    ASSERT_EQ(port_of(fd), 0) << "not bound any more";
  });
  EXPECT_EQ(left(1, chosen), std::vector<uint64_t>{200});
  inside([&] {
    join(fd, port);
    send(100, port);
    EXPECT_EQ(take_all(fd), 100u);
    fd.reset();
  });
  EXPECT_EQ(left(1, port), std::vector<uint64_t>{100});
}

} // namespace
} // namespace bindlens::test
