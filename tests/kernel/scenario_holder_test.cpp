// Who holds the port: holders that are gone, that never listen, that were left
// over in a child, that live in another namespace, that are the kernel.

#include "leak.h"
#include "scenario.h"

#include <bindlens/util/fd.h>

#include <array>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 8080;

TEST_F(Scenario, HolderThatIsGoneWhenSomebodyLooks) {
  bound(a, a.tcp(), "127.0.0.1", port);
  const pid_t old = a.pid();
  const int fd = b.tcp();
  const Json f = refusal(b, port, EADDRINUSE, [&] {
    const Outcome refused = b.bind(fd, "127.0.0.1", port);
    a.kill();
    return refused;
  });
  expect_rule(f, "requester-no-reuseaddr");
  ASSERT_EQ(f.value("holders", Json::array()).size(), 1u) << f.dump(1);
  EXPECT_EQ(f["holders"][0].value("relation", ""), "same");
  const Json binder = f["holders"][0].value("binder", Json::object());
  EXPECT_EQ(binder.value("pid", 0), old) << f.dump(1);
  EXPECT_EQ(binder.value("comm", ""), "kt-a");
  EXPECT_TRUE(explains(f, "kt-a")) << f.dump(1);
  EXPECT_TRUE(sockets("&port=8080").empty()) << "nothing is left to be found by looking";
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
}

TEST_F(Scenario, SocketThatIsBoundAndNeverListens) {
  const int held = bound(a, a.tcp(), "127.0.0.1", port);
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_blamed(f, "requester-no-reuseaddr", "same", a, {held_by(a, held)});
  EXPECT_EQ(f["holders"][0]["state"], "BOUND");
  expect_check_refuses(question("tcp", "127.0.0.1", port), "requester-no-reuseaddr");
  EXPECT_TRUE(advises(f, "set SO_REUSEADDR on this socket before bind and on the socket of " +
                             named("kt-a", a.pid())))
      << f.dump(1);

  b.reuseaddr(fd); // one side alone
  expect_blamed(refused_bind(b, fd, "127.0.0.1", port), "holder-no-reuseaddr", "same", a,
                {held_by(a, held)});
  a.reuseaddr(held);
  expect_check_allows(question("tcp", "127.0.0.1", port, {"reuseaddr"}));
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
}

TEST_F(Scenario, StoppingTheSocketThatNeverListensHelps) {
  bound(a, a.tcp(), "0.0.0.0", port);
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  EXPECT_EQ(f["holders"][0]["relation"], "holder-is-wildcard");
  EXPECT_TRUE(advises(f, "stop " + named("kt-a", a.pid()))) << f.dump(1);
  a.kill();
  expect_check_allows(question("tcp", "127.0.0.1", port));
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
}

TEST_F(Scenario, ListenerLeakedIntoAChild) {
  const int held = listening(a, a.tcp(), "127.0.0.1", port);
  const pid_t server = a.pid();
  Actor child = a.fork();
  a.kill();
  const int fd = b.tcp();
  b.reuseaddr(fd);
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_rule(f, "listener");
  EXPECT_EQ(holders_of(f), Strings{held_by(child, held)}) << f.dump(1);
  EXPECT_EQ(f["holders"][0]["binder"].value("pid", 0), server) << f.dump(1);
  EXPECT_EQ(f["holders"][0].value("binder_exited", false), true) << f.dump(1);
  EXPECT_TRUE(advises(f, named("kt-a", child.pid()) + " has the descriptor from " +
                             named("kt-a", server) + ", which is gone"))
      << f.dump(1);
  EXPECT_TRUE(explains(f, "SO_REUSEADDR, which is set here, does not help")) << f.dump(1);

  EXPECT_TRUE(advises(f, "stop " + named("kt-a", child.pid()))) << f.dump(1);
  child.kill();
  expect_check_allows(question("tcp", "127.0.0.1", port, {"reuseaddr"}));
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
}

TEST_F(Scenario, EveryProcessWithTheLeakedListenerHasToGo) {
  const int held = listening(a, a.tcp(), "127.0.0.1", port);
  Actor child = a.fork();
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  Strings both = {held_by(a, held), held_by(child, held)};
  std::sort(both.begin(), both.end());
  expect_blamed(f, "listener", "same", a, both);
  a.kill();
  EXPECT_EQ(holders_of(refused_bind(b, fd, "127.0.0.1", port)), Strings{held_by(child, held)});
  child.kill();
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
}

std::string comm_of(pid_t pid) {
  char text[32] = {};
  const std::string path = "/proc/" + std::to_string(pid) + "/comm";
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return ::read(fd.get(), text, sizeof text - 1) > 0 ? text : "";
}

TEST_F(Scenario, ListenerLeakedIntoAnotherProgram) {
  (void)daemon();
  Leaked leaked = leak_into_a_program(netns, port);
  const pid_t server = leaked.server.pid();
  const pid_t program = leaked.program.pid();
  ASSERT_EQ(leaked.server.wait(), 0);
  ASSERT_TRUE(eventually([&] { return comm_of(program) == "sleep\n"; })) << comm_of(program);

  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_rule(f, "listener");
  ASSERT_EQ(f.value("holders", Json::array()).size(), 1u) << f.dump(1);
  const Json& blamed = f["holders"][0];
  EXPECT_EQ(blamed["binder"].value("pid", 0), server) << f.dump(1);
  EXPECT_EQ(blamed["binder"].value("comm", ""), "kt-server") << f.dump(1);
  ASSERT_EQ(blamed["holders"].size(), 1u) << f.dump(1);
  EXPECT_EQ(blamed["holders"][0].value("pid", 0), program);
  EXPECT_EQ(blamed["holders"][0].value("comm", ""), "sleep");
  EXPECT_TRUE(blamed.contains("bound_at")) << "when it was bound, before it leaked";
  EXPECT_TRUE(advises(f, "SOCK_CLOEXEC")) << f.dump(1);
  EXPECT_TRUE(advises(f, "stop " + named("sleep", program))) << f.dump(1);
  leaked.program.kill();
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
}

TEST_F(Scenario, HolderInAnotherNamespaceIsNotBlamed) {
  const Netns elsewhere;
  Actor stranger(elsewhere, "kt-stranger");
  listening(stranger, stranger.tcp(), "0.0.0.0", port);
  EXPECT_TRUE(check(question("tcp", "127.0.0.1", port)).value("would_succeed", false));
  const int held = listening(a, a.tcp(), "127.0.0.1", port);
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_blamed(f, "listener", "same", a, {held_by(a, held)});
  EXPECT_EQ(f.dump().find("kt-stranger"), std::string::npos) << f.dump(1);
  EXPECT_TRUE(since_start(daemon().lines("/v1/failures?" + elsewhere.query())).empty());
  a.kill(); // and the stranger stays
  expect_check_allows(question("tcp", "127.0.0.1", port));
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", port).ok());
}

TEST_F(Scenario, KernelItselfHoldsThePort) {
  const std::string vxlan = std::to_string(port);
  if (run({"ip", "link", "add", "kt0", "type", "vxlan", "id", "7", "dstport", vxlan, "local",
           "127.0.0.1"}) != 0 ||
      run({"ip", "link", "set", "kt0", "up"}) != 0)
    GTEST_SKIP() << "not run here: no vxlan interface can be made with ip";
  const int fd = b.udp();
  const Json f = refused_bind(b, fd, "127.0.0.1", port);
  expect_rule(f, "udp-no-reuse");
  ASSERT_EQ(f.value("holders", Json::array()).size(), 1u) << f.dump(1);
  EXPECT_EQ(f["holders"][0].value("kernel", false), true) << f.dump(1);
  EXPECT_EQ(holders_of(f), Strings{}) << "no process has it open";
  EXPECT_TRUE(explains(f, "the kernel itself") || explains(f, "The kernel itself")) << f.dump(1);
  EXPECT_TRUE(advises(f, "remove what in the kernel uses the port")) << f.dump(1);
  EXPECT_FALSE(advises(f, "on the socket of ")) << "nobody can: " << f.dump(1);
  EXPECT_FALSE(advises(f, "stop ")) << "that would not end it: " << f.dump(1);
  const bool set_up_seen = f["holders"][0].contains("binder"); // not where only system calls are
  EXPECT_EQ(explains(f, "set up by ip["), set_up_seen) << f.dump(1);
  expect_check_refuses(question("udp", "127.0.0.1", port), "udp-no-reuse");

  b.reuseaddr(fd); // of no use on one side
  expect_rule(refused_bind(b, fd, "127.0.0.1", port), "udp-no-reuse");
  ASSERT_EQ(run({"ip", "link", "del", "kt0"}), 0);
  EXPECT_TRUE(eventually([&] { return b.bind(fd, "127.0.0.1", port).ok(); }));
}

} // namespace
} // namespace bindlens::test
