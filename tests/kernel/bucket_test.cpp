// The state of a bind bucket, as `ls --wide` shows it: each state is made, and the
// kernel is asked by real calls whether it is true.

#include "scenario.h"

namespace bindlens::test {
namespace {

constexpr uint16_t port = 40000;
constexpr uint16_t service = 9000;
constexpr uint32_t some_user = 1234;

class Bucket : public Scenario {
 protected:
  void SetUp() override {
    Scenario::SetUp();
    set_sysctl("ipv4/ip_local_port_range", "40000 40000");
    set_sysctl("ipv4/tcp_tw_reuse", "0");
    listening(a, a.tcp(), "127.0.0.1", service);
    listening(a, a.tcp(), "127.0.0.2", service);
  }
  Json state() {
    const auto all = sockets("&proto=tcp&wide=1&port=" + std::to_string(port));
    return all.empty() ? Json::object() : all[0].value("bucket", Json::object());
  }
  // What the kernel lets in now, beside what is there: nothing is left behind.
  Strings let_in(const std::string& address = "127.0.0.1") {
    Strings all;
    Actor anybody(netns, "kt-any");
    const auto try_bind = [&](Actor& by, const char* name, bool reuseaddr, bool reuseport) {
      const int fd = by.tcp();
      by.reuseaddr(fd, reuseaddr);
      by.reuseport(fd, reuseport);
      const Outcome outcome = by.bind(fd, address, port);
      by.close(fd);
      if (outcome.ok()) all.emplace_back(name);
    };
    // First connect, for a bind may close the port to it.
    const int client = b.tcp();
    if (b.connect(client, "127.0.0.2", service).ok()) all.emplace_back("connect");
    b.linger(client, 0);
    b.close(client);
    try_bind(b, "plain", false, false);
    try_bind(b, "reuseaddr", true, false);
    try_bind(b, "reuseport", false, true);
    anybody.become(some_user);
    try_bind(anybody, "reuseport of another", false, true);
    return all;
  }
  // By connect(), from `port`.
  int connected(Actor& by, bool reuseaddr = false) {
    const int fd = by.tcp();
    by.reuseaddr(fd, reuseaddr);
    EXPECT_TRUE(by.connect(fd, "127.0.0.1", service).ok());
    return fd;
  }
};

TEST_F(Bucket, NobodyBesideAPlainSocket) {
  bound(a, a.tcp(), "127.0.0.1", port);
  EXPECT_EQ(state()["open_to"], "nobody") << state().dump(1);
  EXPECT_EQ(let_in(), Strings{});
  EXPECT_EQ(state()["open_to"], "nobody");
}

TEST_F(Bucket, ConnectWhileNobodyHasBoundThePort) {
  connected(a);
  EXPECT_EQ(state()["open_to"], "connect") << state().dump(1);
  EXPECT_EQ(let_in(), Strings{"connect"});
}

TEST_F(Bucket, ConnectionWithReuseaddrLetsABindIn) {
  connected(a, true);
  EXPECT_EQ(state()["open_to"], "connect") << state().dump(1);
  EXPECT_TRUE(state()["because"].get<std::string>().find("SO_REUSEADDR gets it too") !=
              std::string::npos)
      << state().dump(1);
  EXPECT_EQ(let_in(), (Strings{"connect", "reuseaddr"}));
  // Beside a socket that was bound connect does not get it any more.
  const int fd = b.tcp();
  b.reuseaddr(fd);
  bound(b, fd, "127.0.0.1", port);
  EXPECT_EQ(state()["open_to"], "reuseaddr") << state().dump(1);
  EXPECT_EQ(let_in(), Strings{"reuseaddr"});
}

TEST_F(Bucket, ReuseaddrWhileNoneListens) {
  const int fd = a.tcp();
  a.reuseaddr(fd);
  bound(a, fd, "127.0.0.1", port);
  EXPECT_EQ(state()["open_to"], "reuseaddr") << state().dump(1);
  EXPECT_EQ(let_in(), Strings{"reuseaddr"});
  ASSERT_TRUE(a.listen(fd).ok());
  EXPECT_EQ(state()["open_to"], "nobody") << state().dump(1);
  EXPECT_EQ(let_in(), Strings{});
}

// The flag is cleared after the bind: until 6.7 the bucket remembers it.
TEST_F(Bucket, ReuseaddrThatWasClearedAgain) {
  const int fd = a.tcp();
  a.reuseaddr(fd);
  bound(a, fd, "127.0.0.1", port);
  a.reuseaddr(fd, false);
  const bool open = state()["open_to"] == "reuseaddr";
  EXPECT_EQ(state()["fastreuse"] == 1, open) << state().dump(1);
  EXPECT_EQ(let_in(), open ? Strings{"reuseaddr"} : Strings{});
}

TEST_F(Bucket, ReuseportOfOneUser) {
  const int fd = a.tcp();
  a.reuseport(fd);
  listening(a, fd, "127.0.0.1", port);
  EXPECT_EQ(state()["open_to"], "reuseport") << state().dump(1);
  EXPECT_EQ(state()["open_uid"], 0);
  EXPECT_EQ(let_in(), Strings{"reuseport"});
  EXPECT_EQ(state()["open_to"], "reuseport") << state().dump(1);
}

TEST_F(Bucket, TimeWaitOfAReuseportServerIsOpenToAllUsers) {
  const int server = a.tcp();
  a.reuseport(server);
  listening(a, server, "127.0.0.1", port);
  const int client = b.tcp();
  bound(b, client, "127.0.0.1", 2000);
  ASSERT_TRUE(b.connect(client, "127.0.0.1", port).ok());
  a.close(a.accept(server).value);
  b.close(client);
  a.close(server);
  EXPECT_EQ(state()["open_to"], "reuseport") << state().dump(1);
  EXPECT_FALSE(state().contains("open_uid"));
  EXPECT_EQ(let_in(), (Strings{"reuseport", "reuseport of another"}));
}

TEST_F(Bucket, BinderThatIsGoneMayHaveClosedThePortToConnect) {
  connected(a, true);
  const int fd = b.tcp();
  b.reuseaddr(fd);
  bound(b, fd, "127.0.0.1", port);
  b.close(fd);
  // From 6.18 the bucket is as before, until then it stays closed.
  const bool back = state()["open_to"] == "connect";
  const Strings in = let_in();
  EXPECT_EQ(std::find(in.begin(), in.end(), "connect") != in.end(), back) << state().dump(1);
  EXPECT_NE(std::find(in.begin(), in.end(), "reuseaddr"), in.end());
}

TEST_F(Bucket, WhyAndCheckShowIt) {
  connected(a);
  const Json f = refused_bind(b, b.tcp(), "127.0.0.1", port);
  EXPECT_EQ(f.value("bucket", Json::object()).value("open_to", ""), "connect") << f.dump(1);
  const Json c = check(question("tcp", "127.0.0.1", port));
  EXPECT_EQ(c.value("bucket", Json::object()).value("open_to", ""), "connect") << c.dump(1);
  EXPECT_FALSE(check(question("tcp", "127.0.0.1", 1)).contains("bucket")) << "nobody holds it";
}

} // namespace
} // namespace bindlens::test
