// Groups as /v1/reuseport shows and judges them, with real members.

#include "world.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/filter.h>

#include <csignal>
#include <map>
#include <set>
#include <thread>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 7500;

class ReuseportGroups : public World {
 protected:
  [[nodiscard]] std::vector<Json> groups() {
    return daemon().lines("/v1/reuseport?" + netns.query() + "&port=" + std::to_string(port));
  }
  // The one group; null when there is none or more than one.
  [[nodiscard]] Json group() {
    auto all = groups();
    return all.size() == 1 ? all[0] : Json();
  }
  int listening(Actor& by, const std::string& address, int backlog = 8) {
    const int fd = address.find(':') == std::string::npos ? by.tcp() : by.tcp6();
    by.reuseport(fd);
    if (!by.bind(fd, address, port).ok() || !by.listen(fd, backlog).ok())
      give_up("a member cannot listen on " + address);
    return fd;
  }
  // Two listeners of the test itself, which can be given a program.
  std::vector<Fd> own_listeners() {
    std::vector<Fd> all;
    std::thread([&] {
      netns.enter();
      for (int i = 0; i < 2; ++i) {
        all.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        socklen_t length = 0;
        const sockaddr_storage at = to_sockaddr("127.0.0.1", port, length);
        if (::setsockopt(all.back().get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
            ::bind(all.back().get(), reinterpret_cast<const sockaddr*>(&at), length) != 0 ||
            ::listen(all.back().get(), 128) != 0)
          give_up_errno("a member of a group");
      }
    }).join();
    return all;
  }
  void connect_times(int times) {
    for (int i = 0; i < times; ++i)
      ASSERT_TRUE(b.connect(b.tcp(), "127.0.0.1", port).ok());
  }
  // With a program attached. Shares are compared from the first look at who steers, and the
  // one each second may have been before.
  Json after_connections() {
    (void)group();
    connect_times(60);
    return group();
  }
  void expect_steered(const Json& g, const std::string& by) {
    EXPECT_EQ(g.value("steering", ""), by) << g.dump(1);
    EXPECT_EQ(g.value("verdict", ""), "steered") << g.dump(1);
    EXPECT_FALSE(g.contains("p_value")) << "it is no chance";
  }
};

TEST_F(ReuseportGroups, ProgramOfClassicBpfIsShownAsSteering) {
  const auto members = own_listeners();
  sock_filter first[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog program{1, first};
  ASSERT_EQ(::setsockopt(members[0].get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
                         sizeof program),
            0);
  expect_steered(after_connections(), "cbpf");
}

TEST_F(ReuseportGroups, ProgramOfExtendedBpfIsNamed) {
  const bpf_insn first[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
                            {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const Fd program(::bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "kt_first", "GPL", first,
                                   std::size(first), nullptr));
  ASSERT_TRUE(program) << "the kernel takes no socket filter";
  const auto members = own_listeners();
  const int fd = program.get();
  ASSERT_EQ(::setsockopt(members[0].get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &fd, sizeof fd),
            0);
  const Json g = after_connections();
  expect_steered(g, "ebpf");
  EXPECT_EQ(g.value("program", ""), "kt_first") << g.dump(1);
}

// The queue fills while the others go on; the process is named.
TEST_F(ReuseportGroups, MemberThatIsStoppedIsStalled) {
  constexpr int backlog = 2;
  listening(a, "127.0.0.1", backlog);
  Actor other(netns, "kt-other");
  const int accepting = listening(other, "127.0.0.1", 64);
  ::kill(a.pid(), SIGSTOP);
  Child clients = Child::fork([&] {
    netns.enter();
    std::vector<Fd> connections;
    socklen_t length = 0;
    const sockaddr_storage to = to_sockaddr("127.0.0.1", port, length);
    for (int i = 0; i < 40; ++i) {
      connections.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(connections.back().get(), reinterpret_cast<const sockaddr*>(&to), length);
    }
    ::pause();
    return 0;
  });
  ASSERT_TRUE(eventually([&] { return other.accept(accepting).ok(); }));
  ASSERT_TRUE(eventually([&] { return group().value("verdict", "") == "stalled"; }))
      << group().dump(1);
  const Json g = group();
  EXPECT_EQ(g.value("stalled", Json::array()), Json::array({a.pid()})) << g.dump(1);
  EXPECT_NE(g.value("explanation", "").find(std::to_string(a.pid())), std::string::npos)
      << g.dump(1);
  ::kill(a.pid(), SIGCONT);
}

TEST_F(ReuseportGroups, MembersOfTwoProgramsAreOneGroup) {
  listening(a, "127.0.0.1");
  listening(b, "127.0.0.1");
  const Json g = group();
  ASSERT_EQ(g.value("members", Json::array()).size(), 2u) << g.dump(1);
  std::set<std::string> programs;
  for (const Json& m : g["members"])
    programs.insert(m["holders"][0].value("comm", ""));
  EXPECT_EQ(programs, (std::set<std::string>{"kt-a", "kt-b"}));
}

// The kernel keeps them apart, though a connection to IPv4 may come to either.
TEST_F(ReuseportGroups, EachAddressAndFamilyIsAGroup) {
  listening(a, "127.0.0.1");
  listening(a, "127.0.0.1");
  listening(b, "0.0.0.0");
  listening(b, "::");
  std::map<std::string, size_t> members;
  for (const Json& g : groups())
    members[g["addr"]] = g["members"].size();
  EXPECT_EQ(members, (std::map<std::string, size_t>{{"127.0.0.1", 2}, {"0.0.0.0", 1}, {"::", 1}}));
}

TEST_F(ReuseportGroups, AnotherUserDoesNotJoin) {
  listening(a, "127.0.0.1");
  b.become(65534);
  const int fd = b.tcp();
  b.reuseport(fd);
  EXPECT_EQ(b.bind(fd, "127.0.0.1", port).error, EADDRINUSE);
  const Json g = group();
  EXPECT_EQ(g.value("members", Json::array()).size(), 1u) << g.dump(1);
  EXPECT_EQ(g.value("uid", 1u), 0u);
}

} // namespace
} // namespace bindlens::test
