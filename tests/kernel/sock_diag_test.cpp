#include <bindlens/kernel/sock_diag.h>

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace bindlens::kernel {
namespace {

using model::Proto;
using model::Socket;
using model::SocketFlag;
using model::State;

uint64_t inode_of(const Fd& fd) {
  struct stat st {};
  return ::fstat(fd.get(), &st) == 0 ? st.st_ino : 0;
}

Fd open_path(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

void raise_loopback() {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  ASSERT_EQ(::ioctl(fd.get(), SIOCSIFFLAGS, &request), 0) << std::strerror(errno);
}

// A network namespace of the test's own with loopback up. Sockets made by run()
// stay in it.
class OwnNetns {
 public:
  OwnNetns() {
    std::thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno);
      fd_ = open_path("/proc/thread-self/ns/net");
      raise_loopback();
    }).join();
  }
  void run(const std::function<void()>& work) const {
    std::thread([&] {
      ASSERT_EQ(::setns(fd_.get(), CLONE_NEWNET), 0) << std::strerror(errno);
      work();
    }).join();
  }
  [[nodiscard]] const Fd& fd() const { return fd_; }

 private:
  Fd fd_;
};

struct Place {
  sockaddr_storage storage{};
  socklen_t size = 0;
  explicit Place(const std::string& text) {
    const auto at = model::parse_endpoint(text).value();
    if (at.addr.family == model::Family::inet6) {
      auto* a = reinterpret_cast<sockaddr_in6*>(&storage);
      a->sin6_family = AF_INET6;
      a->sin6_port = htons(at.port);
      std::copy_n(at.addr.bytes.begin(), 16, a->sin6_addr.s6_addr);
      size = sizeof *a;
    } else {
      auto* a = reinterpret_cast<sockaddr_in*>(&storage);
      a->sin_family = AF_INET;
      a->sin_port = htons(at.port);
      std::memcpy(&a->sin_addr, at.addr.bytes.data(), 4);
      size = sizeof *a;
    }
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

void set_option(const Fd& fd, int level, int option, int value = 1) {
  ASSERT_EQ(::setsockopt(fd.get(), level, option, &value, sizeof value), 0) << std::strerror(errno);
}

Fd bound(const std::string& at, int type = SOCK_STREAM, int protocol = 0, bool v6only = false) {
  const Place place(at);
  Fd fd(::socket(place.family(), type | SOCK_CLOEXEC, protocol));
  if (!fd) return fd;
  if (v6only) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  EXPECT_EQ(::bind(fd.get(), place.get(), place.size), 0) << at << ": " << std::strerror(errno);
  return fd;
}

Fd listening(const std::string& at, int backlog = 7, bool v6only = false) {
  Fd fd = bound(at, SOCK_STREAM, 0, v6only);
  EXPECT_EQ(::listen(fd.get(), backlog), 0) << std::strerror(errno);
  return fd;
}

void connect_to(const Fd& fd, const std::string& to) {
  const Place place(to);
  ASSERT_EQ(::connect(fd.get(), place.get(), place.size), 0) << to << ": " << std::strerror(errno);
}

Fd accept_one(const Fd& listener) {
  return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

// "LISTEN 127.0.0.1:80 0.0.0.0:0", sorted.
std::vector<std::string> lines(const std::vector<Socket>& sockets) {
  std::vector<std::string> out;
  for (const Socket& s : sockets)
    out.push_back(std::string(to_string(s.state)) + " " + to_string(s.local) + " " +
                  to_string(s.peer));
  std::ranges::sort(out);
  return out;
}

std::vector<Socket> list(const OwnNetns& netns, Proto proto, uint16_t port = 0) {
  auto sockets = diag_sockets(netns.fd(), proto, port);
  EXPECT_TRUE(sockets) << sockets.error().text;
  return std::move(sockets).value_or(std::vector<Socket>{});
}

const Socket* find(const std::vector<Socket>& sockets, const std::string& local) {
  const auto it =
      std::ranges::find(sockets, local, [](const Socket& s) { return to_string(s.local); });
  return it == sockets.end() ? nullptr : &*it;
}

uint64_t cookie_of(const Fd& fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  EXPECT_EQ(::getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
  return cookie;
}

bool kernel_is_at_least(int major, int minor) {
  utsname name{};
  int have_major = 0;
  int have_minor = 0;
  ::uname(&name);
  if (std::sscanf(name.release, "%d.%d", &have_major, &have_minor) != 2) return false;
  return std::pair(have_major, have_minor) >= std::pair(major, minor);
}

using Lines = std::vector<std::string>;

TEST(SockDiag, ListsNothingInANewNamespace) {
  const OwnNetns netns;
  for (const Proto proto : {Proto::tcp, Proto::udp, Proto::udplite})
    EXPECT_EQ(lines(list(netns, proto)), Lines{});
}

TEST(SockDiag, ListsBoundIdleSockets) {
  if (!kernel_is_at_least(6, 8))
    GTEST_SKIP() << "not run here: this kernel's sock_diag hides bound, idle TCP sockets";
  const OwnNetns netns;
  netns.run([&] {
    const Fd v4 = bound("127.0.0.1:4001");
    const Fd v6 = bound("[::]:4002", SOCK_STREAM, 0, true);
    const Fd dual = bound("[::]:4003");
    const auto sockets = list(netns, Proto::tcp);
    EXPECT_EQ(lines(sockets), (Lines{"BOUND 127.0.0.1:4001 0.0.0.0:0", "BOUND [::]:4002 [::]:0",
                                     "BOUND [::]:4003 [::]:0"}));
    EXPECT_TRUE(find(sockets, "[::]:4002")->is(SocketFlag::v6only));
    EXPECT_FALSE(find(sockets, "[::]:4003")->is(SocketFlag::v6only));
  });
}

TEST(SockDiag, ListsAListenerWithItsQueue) {
  const OwnNetns netns;
  netns.run([&] {
    const Fd listener = listening("127.0.0.1:4010", 7);
    const Fd client = bound("127.0.0.1:0");
    connect_to(client, "127.0.0.1:4010");
    const auto sockets = list(netns, Proto::tcp);
    ASSERT_EQ(sockets.size(), 3u); // the third one waits to be accepted
    const auto it = std::ranges::find(sockets, State::listen, &Socket::state);
    ASSERT_NE(it, sockets.end());
    EXPECT_EQ(it->backlog, 1u);
    EXPECT_EQ(it->max_backlog, 7u);
    EXPECT_EQ(it->inode, inode_of(listener));
    EXPECT_EQ(it->cookie, cookie_of(listener));
    EXPECT_EQ(it->id, it->cookie);
    EXPECT_EQ(it->netns, inode_of(netns.fd()));
    EXPECT_EQ(it->peer.port, 0);
    EXPECT_FALSE(it->is(SocketFlag::orphan));
    const auto orphans = std::ranges::count_if(
        sockets, [](const Socket& s) { return s.is(SocketFlag::orphan) && s.local.port == 4010; });
    EXPECT_EQ(orphans, 1);
  });
}

TEST(SockDiag, ListsBothEndsOfAConnection) {
  const OwnNetns netns;
  netns.run([&] {
    const Fd listener = listening("[::1]:4020", 4, true);
    const Fd client = bound("[::1]:4021");
    connect_to(client, "[::1]:4020");
    const Fd accepted = accept_one(listener);
    EXPECT_EQ(lines(list(netns, Proto::tcp)),
              (Lines{"ESTABLISHED [::1]:4020 [::1]:4021", "ESTABLISHED [::1]:4021 [::1]:4020",
                     "LISTEN [::1]:4020 [::]:0"}));
  });
}

// The side that closes first keeps the port in TIME_WAIT.
TEST(SockDiag, ListsTimeWaitWithTheTimeLeft) {
  const OwnNetns netns;
  netns.run([&] {
    Fd listener = listening("127.0.0.1:4030");
    Fd client = bound("127.0.0.1:4031");
    connect_to(client, "127.0.0.1:4030");
    Fd accepted = accept_one(listener);
    client.reset();
    pollfd closed{accepted.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&closed, 1, 5000), 1);
    accepted.reset();
    listener.reset();
    const auto sockets = list(netns, Proto::tcp);
    ASSERT_EQ(lines(sockets), (Lines{"TIME_WAIT 127.0.0.1:4031 127.0.0.1:4030"}));
    const Socket& s = sockets.front();
    EXPECT_TRUE(s.is(SocketFlag::timewait));
    EXPECT_FALSE(s.is(SocketFlag::orphan));
    EXPECT_EQ(s.tw_substate, State::time_wait);
    EXPECT_GT(s.tw_left_ms, 30'000u);
    EXPECT_LE(s.tw_left_ms, 61'000u);
    EXPECT_EQ(s.inode, 0u);
    EXPECT_EQ(s.uid, 0u);
  });
}

TEST(SockDiag, ListsUdpBoundAndConnected) {
  const OwnNetns netns;
  netns.run([&] {
    const Fd idle = bound("0.0.0.0:4040", SOCK_DGRAM);
    const Fd v6 = bound("[::1]:4041", SOCK_DGRAM);
    const Fd peer = bound("127.0.0.1:4042", SOCK_DGRAM);
    connect_to(peer, "127.0.0.1:4040");
    const auto sockets = list(netns, Proto::udp);
    EXPECT_EQ(lines(sockets), (Lines{"BOUND 0.0.0.0:4040 0.0.0.0:0", "BOUND [::1]:4041 [::]:0",
                                     "ESTABLISHED 127.0.0.1:4042 127.0.0.1:4040"}));
    EXPECT_TRUE(find(sockets, "127.0.0.1:4042")->is(SocketFlag::connected));
    EXPECT_FALSE(find(sockets, "0.0.0.0:4040")->is(SocketFlag::connected));
    EXPECT_EQ(lines(list(netns, Proto::tcp)), Lines{});
    EXPECT_EQ(lines(list(netns, Proto::udplite)), Lines{});
  });
}

TEST(SockDiag, ListsUdpLite) {
  const OwnNetns netns;
  bool have_udplite = false;
  netns.run([&] {
    const Fd fd = bound("127.0.0.1:4050", SOCK_DGRAM, IPPROTO_UDPLITE);
    have_udplite = static_cast<bool>(fd);
    const auto sockets = list(netns, Proto::udplite);
    const Lines expected = have_udplite ? Lines{"BOUND 127.0.0.1:4050 0.0.0.0:0"} : Lines{};
    EXPECT_EQ(lines(sockets), expected);
  });
  if (!have_udplite) GTEST_SKIP() << "not run here: this kernel has no UDP-Lite";
}

TEST(SockDiag, TellsOptionsUserAndDevice) {
  const OwnNetns netns;
  netns.run([&] {
    const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    set_option(fd, IPPROTO_IP, IP_FREEBIND);
    set_option(fd, IPPROTO_IP, IP_TRANSPARENT);
    ASSERT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 2), 0);
    ASSERT_EQ(::fchown(fd.get(), 1234, static_cast<gid_t>(-1)), 0);
    const Place place("192.0.2.9:4060");
    ASSERT_EQ(::bind(fd.get(), place.get(), place.size), 0);
    const auto sockets = list(netns, Proto::udp);
    ASSERT_EQ(sockets.size(), 1u);
    EXPECT_TRUE(sockets[0].is(SocketFlag::freebind));
    EXPECT_TRUE(sockets[0].is(SocketFlag::transparent));
    EXPECT_FALSE(sockets[0].is(SocketFlag::bind_no_port));
    EXPECT_EQ(sockets[0].uid, 1234u);
    EXPECT_EQ(sockets[0].dev, ::if_nametoindex("lo"));
  });
}

TEST(SockDiag, NarrowsToOnePort) {
  const OwnNetns netns;
  netns.run([&] {
    const Fd a = listening("127.0.0.1:4070");
    const Fd b = listening("127.0.0.1:4071");
    const Fd idle = bound("127.0.0.1:4072");
    const Fd c = bound("127.0.0.1:4070", SOCK_DGRAM);
    const Fd d = bound("127.0.0.1:4071", SOCK_DGRAM);
    EXPECT_EQ(lines(list(netns, Proto::tcp, 4071)), (Lines{"LISTEN 127.0.0.1:4071 0.0.0.0:0"}));
    EXPECT_EQ(lines(list(netns, Proto::udp, 4070)), (Lines{"BOUND 127.0.0.1:4070 0.0.0.0:0"}));
  });
}

// More than fits into one datagram of the answer.
TEST(SockDiag, ListsManySocketsOnce) {
  const OwnNetns netns;
  netns.run([&] {
    constexpr uint16_t count = 499;
    std::vector<Fd> held;
    for (uint16_t i = 0; i < count; ++i)
      held.push_back(bound("127.0.0.1:" + std::to_string(5000 + i), SOCK_DGRAM));
    auto found = lines(list(netns, Proto::udp));
    EXPECT_EQ(found.size(), count);
    found.erase(std::ranges::unique(found).begin(), found.end());
    EXPECT_EQ(found.size(), count);
  });
}

TEST(SockDiag, KeepsNamespacesApart) {
  const OwnNetns one;
  const OwnNetns other;
  Fd fd;
  one.run([&] { fd = listening("127.0.0.1:4080"); });
  EXPECT_EQ(list(one, Proto::tcp).size(), 1u);
  EXPECT_EQ(list(other, Proto::tcp).size(), 0u);
}

TEST(SockDiag, RefusesWhatIsNoNamespace) {
  const auto sockets = diag_sockets(open_path("/dev/null"), Proto::tcp);
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().code, EINVAL);
  EXPECT_NE(sockets.error().text.find("network namespace"), std::string::npos);
}

TEST(SockDiag, RefusesMptcp) {
  const OwnNetns netns;
  const auto sockets = diag_sockets(netns.fd(), Proto::mptcp);
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().code, EPROTONOSUPPORT);
}

// A process in a network namespace of its own, with two sockets on one port.
class ProcessInNetns {
 public:
  ProcessInNetns() {
    int ready[2];
    EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    const Fd reader(ready[0]);
    Fd writer(ready[1]);
    pid_ = ::fork();
    if (pid_ == 0) live(writer);
    writer.reset();
    char answer = 0;
    EXPECT_EQ(::read(reader.get(), &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    netns_ =
        static_cast<uint32_t>(inode_of(open_path("/proc/" + std::to_string(pid_) + "/ns/net")));
  }
  ~ProcessInNetns() { stop(); }
  ProcessInNetns(const ProcessInNetns&) = delete;
  ProcessInNetns& operator=(const ProcessInNetns&) = delete;

  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] uint32_t netns() const { return netns_; }

 private:
  [[noreturn]] static void live(const Fd& ready) {
    bool ok = ::unshare(CLONE_NEWNET) == 0;
    if (ok) raise_loopback();
    const Fd a = listening("127.0.0.1:4090");
    const Fd b = listening("127.0.0.2:4090");
    const Fd c = bound("127.0.0.1:4091", SOCK_DGRAM);
    ok = ok && a && b && c;
    if (::write(ready.get(), ok ? "y" : "n", 1) == 1) ::pause();
    ::_exit(1);
  }

  pid_t pid_ = -1;
  uint32_t netns_ = 0;
};

TEST(ListNamespaces, HasOursAndThatOfAProcessWhileItLives) {
  ProcessInNetns process;
  auto listed = list_namespaces();
  ASSERT_TRUE(listed) << listed.error().text;
  EXPECT_TRUE(std::ranges::binary_search(*listed, inode_of(open_path("/proc/self/ns/net"))));
  EXPECT_TRUE(std::ranges::binary_search(*listed, process.netns()));
  EXPECT_EQ(std::ranges::adjacent_find(*listed), listed->end());
  process.stop();
  listed = list_namespaces();
  ASSERT_TRUE(listed);
  EXPECT_FALSE(std::ranges::binary_search(*listed, process.netns()));
}

TEST(DiagSnapshot, GroupsByProtocolNamespaceAndPort) {
  const ProcessInNetns process;
  const model::PortView view = diag_snapshot();
  EXPECT_FALSE(view.torn);
  EXPECT_FALSE(view.truncated);
  Lines found;
  for (const model::Bucket& b : view.buckets)
    if (b.netns == process.netns())
      found.push_back(std::string(to_string(b.proto)) + " " + std::to_string(b.port) + " " +
                      std::to_string(b.sockets.size()));
  EXPECT_EQ(found, (Lines{"tcp 4090 2", "udp 4091 1"}));
}

TEST(DiagSnapshot, NarrowsToOnePort) {
  const ProcessInNetns process;
  const model::PortView view = diag_snapshot(4091);
  EXPECT_TRUE(std::ranges::all_of(view.buckets, [](const auto& b) { return b.port == 4091; }));
  EXPECT_EQ(std::ranges::count(view.buckets, process.netns(), &model::Bucket::netns), 1);
}

} // namespace
} // namespace bindlens::kernel
