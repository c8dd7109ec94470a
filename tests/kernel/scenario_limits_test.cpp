// Refusals without a socket that is to blame: no port left, or not allowed.

#include "scenario.h"

#include <bindlens/util/fd.h>

#include <array>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/bpf.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 8080;
constexpr uint16_t service = 9000;
constexpr int ports_in_range = 4;

class ScenarioOfFewPorts : public Scenario {
 protected:
  void SetUp() override {
    Scenario::SetUp();
    set_sysctl("ipv4/ip_local_port_range", "40000 40003");
  }

  // Connections of `b` to the service until no port is left.
  void use_all_ports() {
    listening(a, a.tcp(), "0.0.0.0", service);
    for (int i = 0; i < ports_in_range; ++i)
      ASSERT_TRUE(b.connect(b.tcp(), "127.0.0.1", service).ok());
  }
  int without_port(const std::string& address) {
    const int fd = b.tcp();
    b.set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bound(b, fd, address, 0);
  }
};

TEST_F(ScenarioOfFewPorts, ConnectHasNoPortLeftForItsDestination) {
  use_all_ports();
  const int fd = b.tcp();
  const Json f = refusal(b, 0, EADDRNOTAVAIL, [&] { return b.connect(fd, "127.0.0.1", service); });
  expect_rule(f, "ephemeral-exhausted");
  EXPECT_EQ(f.value("call", ""), "connect");
  EXPECT_EQ(f.value("errno", ""), "EADDRNOTAVAIL");
  EXPECT_EQ(f.value("peer", ""), "127.0.0.1:9000") << f.dump(1);
  EXPECT_TRUE(explains(f, "40000-40003")) << f.dump(1);
  EXPECT_TRUE(explains(f, "127.0.0.1:9000")) << f.dump(1);

  b.reuseaddr(fd); // not advised, and of no use
  expect_rule(refusal(b, 0, EADDRNOTAVAIL, [&] { return b.connect(fd, "127.0.0.1", service); }),
              "ephemeral-exhausted");
  EXPECT_TRUE(advises(f, "connect from, or to, another address")) << f.dump(1);
  EXPECT_TRUE(b.connect(b.tcp(), "127.0.0.2", service).ok());
  EXPECT_TRUE(b.connect(without_port("127.0.0.3"), "127.0.0.1", service).ok());
}

TEST_F(ScenarioOfFewPorts, TellsWhoHasThePorts) {
  listening(a, a.tcp(), "0.0.0.0", service);
  Actor other(netns, "kt-other");
  const int one = other.tcp();
  other.linger(one, 0); // its port is free at once when it closes
  ASSERT_TRUE(other.connect(one, "127.0.0.1", service).ok());
  for (int i = 1; i < ports_in_range; ++i)
    ASSERT_TRUE(b.connect(b.tcp(), "127.0.0.1", service).ok());
  const int fd = b.tcp();
  const Json f = refusal(b, 0, EADDRNOTAVAIL, [&] { return b.connect(fd, "127.0.0.1", service); });
  EXPECT_TRUE(explains(f, "the ports are held by " + named("kt-b", b.pid()) + " (3) and " +
                              named("kt-other", other.pid()) + " (1)."))
      << f.dump(1);
  other.kill(); // one of those named, and there is room
  EXPECT_TRUE(eventually([&] { return b.connect(fd, "127.0.0.1", service).ok(); }));
}

// A server goes, a client's connection is given its port, and the server's
// successor cannot have it.
TEST_F(ScenarioOfFewPorts, ConnectionTookThePortOfAServerThatRestarts) {
  set_sysctl("ipv4/ip_local_port_range", "8080 8081");
  listening(a, a.tcp(), "127.0.0.1", service);
  Actor server(netns, "kt-server");
  listening(server, server.tcp(), "0.0.0.0", port);
  server.kill();
  Actor client(netns, "kt-client");
  for (int i = 0; i < 2; ++i) { // both ports: one is the server's
    const int fd = client.tcp();
    client.linger(fd, 0); // its port is free at once when it closes
    ASSERT_TRUE(client.connect(fd, "127.0.0.1", service).ok());
  }

  Actor next(netns, "kt-next");
  const int fd = next.tcp();
  next.reuseaddr(fd);
  const Json f = refused_bind(next, fd, "0.0.0.0", port);
  expect_rule(f, "bucket-connect-only");
  EXPECT_TRUE(explains(f, named("kt-client", client.pid()) + " to 127.0.0.1:9000")) << f.dump(1);
  EXPECT_TRUE(advises(f, "net.ipv4.ip_local_reserved_ports with 8080 added")) << f.dump(1);

  set_sysctl("ipv4/ip_local_reserved_ports", std::to_string(port));
  client.kill();
  EXPECT_TRUE(eventually([&] { return next.bind(fd, "0.0.0.0", port).ok(); }));
  ASSERT_TRUE(next.listen(fd).ok());
  next.kill();
  EXPECT_TRUE(b.connect(b.tcp(), "127.0.0.1", service).ok());
  EXPECT_EQ(b.connect(b.tcp(), "127.0.0.1", service).error, EADDRNOTAVAIL) << "8080 is left out";
  Actor last(netns, "kt-last");
  listening(last, last.tcp(), "0.0.0.0", port);
}

TEST_F(ScenarioOfFewPorts, WideningTheRangeHelps) {
  use_all_ports();
  const int fd = b.tcp();
  const Json f = refusal(b, 0, EADDRNOTAVAIL, [&] { return b.connect(fd, "127.0.0.1", service); });
  EXPECT_TRUE(advises(f, "widen net.ipv4.ip_local_port_range")) << f.dump(1);
  set_sysctl("ipv4/ip_local_port_range", "40000 40005");
  EXPECT_TRUE(b.connect(fd, "127.0.0.1", service).ok());
}

TEST_F(ScenarioOfFewPorts, BindToPortZeroFindsNoPort) {
  for (int i = 0; i < ports_in_range; ++i)
    bound(b, b.tcp(), "127.0.0.1", 0);
  const int fd = b.tcp();
  const Json f = refused_bind(b, fd, "127.0.0.1", 0);
  expect_rule(f, "ephemeral-exhausted");
  EXPECT_EQ(f.value("call", ""), "bind");
  EXPECT_TRUE(explains(f, "All 4 ports of 40000-40003 are in use")) << f.dump(1);
  EXPECT_TRUE(f.value("holders", Json::array()).empty()) << "no one of them: " << f.dump(1);
  const Json answer = check(question("tcp", "127.0.0.1", 0));
  EXPECT_EQ(answer.value("would_succeed", true), false) << answer.dump(1);
  EXPECT_EQ(answer.value("rule", ""), "ephemeral-exhausted") << answer.dump(1);
  EXPECT_TRUE(advises(f, "widen net.ipv4.ip_local_port_range")) << f.dump(1);
  set_sysctl("ipv4/ip_local_port_range", "40000 40005");
  // Settings of the host are read anew every second.
  EXPECT_TRUE(eventually([&] { return check(question("tcp", "127.0.0.1", 0))["would_succeed"]; }));
  EXPECT_TRUE(b.bind(fd, "127.0.0.1", 0).ok());
}

// A port that bind() took is one destination's for ever; with the option as many
// connections as there are destinations share it.
TEST_F(ScenarioOfFewPorts, BindAddressNoPortSharesPortsBetweenDestinations) {
  Actor first(netns, "kt-first");
  for (int i = 0; i < ports_in_range; ++i)
    bound(first, first.tcp(), "127.0.0.1", 0);
  const Json f = refused_bind(b, b.tcp(), "127.0.0.1", 0);
  EXPECT_TRUE(advises(f, "set IP_BIND_ADDRESS_NO_PORT before bind")) << f.dump(1);
  first.kill(); // and comes again with the option
  listening(a, a.tcp(), "0.0.0.0", service);
  for (int i = 0; i < 2 * ports_in_range; ++i) {
    const std::string to = i < ports_in_range ? "127.0.0.1" : "127.0.0.2";
    EXPECT_TRUE(b.connect(without_port("127.0.0.1"), to, service).ok()) << i;
  }
}

// Ports that were taken without the option stay taken for who sets it: the
// advice is true only when it says so.
TEST_F(ScenarioOfFewPorts, BindAddressNoPortDoesNotShareWithThoseWithoutIt) {
  listening(a, a.tcp(), "0.0.0.0", service);
  for (int i = 0; i < ports_in_range; ++i) {
    const int fd = bound(b, b.tcp(), "127.0.0.1", 0);
    ASSERT_TRUE(b.connect(fd, "127.0.0.1", service).ok());
  }
  const Json f = refused_bind(b, b.tcp(), "127.0.0.1", 0);
  expect_rule(f, "ephemeral-exhausted");
  const int fd = without_port("127.0.0.1");
  ASSERT_EQ(b.connect(fd, "127.0.0.2", service).error, EADDRNOTAVAIL);
  EXPECT_TRUE(advises(f, "IP_BIND_ADDRESS_NO_PORT")) << f.dump(1);
  EXPECT_FALSE(advises(f, "set IP_BIND_ADDRESS_NO_PORT before bind if a connect follows: ports "
                          "are then shared between destinations"))
      << "the socket that failed cannot help itself: " << f.dump(1);
  EXPECT_FALSE(advises(f, "if a connect follows")) << f.dump(1);
  EXPECT_TRUE(advises(f, "on this socket alone it does not help")) << f.dump(1);
}

// Ports that connect() took are open to who sets it now.
TEST_F(ScenarioOfFewPorts, BindAddressNoPortSharesWhatConnectTook) {
  use_all_ports();
  const Json f = refused_bind(b, b.tcp(), "127.0.0.1", 0);
  expect_rule(f, "ephemeral-exhausted");
  EXPECT_TRUE(explains(f, "All 4 ports of 40000-40003 are in use")) << f.dump(1);
  EXPECT_TRUE(advises(f, "set IP_BIND_ADDRESS_NO_PORT before bind if a connect follows: it shares "
                         "the 4 ports that connect took"))
      << f.dump(1);
  EXPECT_TRUE(b.connect(without_port("127.0.0.1"), "127.0.0.2", service).ok());
}

// connect() passes over a port that was bound once, on whatever address: another
// destination does not help there, and is not advised.
TEST_F(ScenarioOfFewPorts, ConnectIsToldOfThePortsThatBindTook) {
  for (int i = 0; i < ports_in_range; ++i)
    bound(b, b.tcp(), "127.0.0.5", 0);
  listening(a, a.tcp(), "0.0.0.0", service);
  const int fd = b.tcp();
  const auto call = [&] { return b.connect(fd, "127.0.0.1", service); };
  const Json f = refusal(b, 0, EADDRNOTAVAIL, call);
  expect_rule(f, "ephemeral-exhausted");
  EXPECT_TRUE(explains(f, "All 4 ports of 40000-40003 are in use for 127.0.0.1:9000; bind took 4 "
                          "of them"))
      << f.dump(1);
  EXPECT_FALSE(advises(f, "connect from, or to, another address")) << f.dump(1);
  EXPECT_EQ(b.connect(fd, "127.0.0.2", service).error, EADDRNOTAVAIL) << "it would be of no use";
  EXPECT_TRUE(advises(f, "IP_BIND_ADDRESS_NO_PORT before bind in the programs that bind without a "
                         "port number and then connect, here " +
                             named("kt-b", b.pid()) + " (4)"))
      << f.dump(1);
}

// One refusal after the other, each over what was taken by then.
TEST_F(ScenarioOfFewPorts, EachSearchIsExplainedByWhatItMet) {
  set_sysctl("ipv4/ip_local_port_range", "40000 40000");
  listening(a, a.tcp(), "0.0.0.0", service);
  ASSERT_TRUE(b.connect(b.tcp(), "127.0.0.1", service).ok());
  const auto to = [&](const std::string& address) {
    return refusal(b, 0, EADDRNOTAVAIL, [&] { return b.connect(b.tcp(), address, service); });
  };
  EXPECT_TRUE(
      explains(to("127.0.0.1"), "The only port of 40000-40000 is in use for 127.0.0.1:9000"));
  ASSERT_TRUE(b.connect(b.tcp(), "127.0.0.2", service).ok());
  EXPECT_TRUE(
      explains(to("127.0.0.2"), "The only port of 40000-40000 is in use for 127.0.0.2:9000"));
}

// The connections are over, and their ports still are not free for this
// destination: TIME_WAIT without timestamps does not give way.
TEST_F(ScenarioOfFewPorts, ConnectMeetsOnlyTimeWait) {
  set_sysctl("ipv4/tcp_timestamps", "0");
  const int server = listening(a, a.tcp(), "0.0.0.0", service);
  for (int i = 0; i < ports_in_range; ++i) {
    const int fd = b.tcp();
    ASSERT_TRUE(b.connect(fd, "127.0.0.1", service).ok());
    const int accepted = a.accept(server).value;
    b.close(fd);
    a.close(accepted);
  }
  const int fd = b.tcp();
  const Json f = refusal(b, 0, EADDRNOTAVAIL, [&] { return b.connect(fd, "127.0.0.1", service); });
  expect_rule(f, "ephemeral-exhausted");
  EXPECT_TRUE(explains(f, "All 4 ports of 40000-40003 are in use for 127.0.0.1:9000")) << f.dump(1);
  EXPECT_TRUE(explains(f, "held by closed connections in TIME_WAIT (4)")) << f.dump(1);
  EXPECT_TRUE(f.value("holders", Json::array()).empty()) << "no one of them: " << f.dump(1);
  EXPECT_TRUE(advises(f, "connect from, or to, another address")) << f.dump(1);
  EXPECT_TRUE(b.connect(fd, "127.0.0.2", service).ok());
}

// A cgroup of version 2 of its own, with a program that refuses every bind.
class RefusingCgroup {
 public:
  // What is missing here; nothing when it works.
  std::optional<std::string> make() {
    for (const char* root : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"})
      if (std::filesystem::exists(std::string(root) + "/cgroup.controllers")) return make_in(root);
    return "no cgroup of version 2 is mounted";
  }
  ~RefusingCgroup() {
    link_.reset();
    if (!path_.empty()) ::rmdir(path_.c_str());
  }
  // As /proc/PID/cgroup has it.
  [[nodiscard]] std::string name() const { return path_.substr(path_.rfind('/')); }
  bool take(pid_t pid) const {
    std::ofstream file(path_ + "/cgroup.procs");
    file << pid << std::flush;
    return file.good();
  }
  // Those who were forked have the link too: closing it is not enough.
  void detach() const { ::bpf_link_detach(link_.get()); }

 private:
  std::optional<std::string> make_in(const std::string& root) {
    const std::string path = root + "/bindlens-test-" + std::to_string(::getpid());
    if (::mkdir(path.c_str(), 0755) != 0) return "no cgroup can be made in " + root;
    path_ = path;
    return load();
  }
  std::optional<std::string> load() {
    const bpf_insn refuse[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
                               {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.expected_attach_type = BPF_CGROUP_INET4_BIND;
    const Fd program(::bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "kt_refuse", "GPL", refuse,
                                     std::size(refuse), &options));
    if (!program) return "a cgroup program cannot be loaded";
    const Fd cgroup(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    link_.reset(::bpf_link_create(program.get(), cgroup.get(), BPF_CGROUP_INET4_BIND, nullptr));
    if (!link_) return "a cgroup program cannot be attached";
    return std::nullopt;
  }

  std::string path_;
  Fd link_;
};

TEST_F(Scenario, CgroupProgramRefusesTheBind) {
  RefusingCgroup cgroup;
  if (const auto missing = cgroup.make()) GTEST_SKIP() << "not run here: " << *missing;
  Actor inside(netns, "kt-inside");
  if (!cgroup.take(inside.pid())) GTEST_SKIP() << "not run here: the cgroup takes no process";
  const int fd = inside.tcp();
  const Json f = refused_bind(inside, fd, "127.0.0.1", port, EPERM);
  expect_rule(f, "policy");
  EXPECT_EQ(f.value("errno", ""), "EPERM");
  EXPECT_TRUE(f.value("holders", Json::array()).empty()) << f.dump(1);
  EXPECT_TRUE(explains(f, "cgroup BPF program")) << f.dump(1);
  EXPECT_TRUE(advises(f, "bind4")) << f.dump(1);
  EXPECT_NE(f["process"].value("cgroup", "").find("bindlens-test-"), std::string::npos)
      << f.dump(1);

  inside.reuseaddr(fd); // no option is of use
  inside.reuseport(fd);
  expect_rule(refused_bind(inside, fd, "127.0.0.1", port, EPERM), "policy");
  EXPECT_TRUE(b.bind(b.tcp(), "127.0.0.1", port + 1).ok()) << "outside it is allowed";
  cgroup.detach();
  EXPECT_TRUE(inside.bind(fd, "127.0.0.1", port).ok());
  inside.kill();
}

// What `check` says to a process in that cgroup; null when it cannot be there.
Json checked_inside(const RefusingCgroup& cgroup, const std::function<Json()>& check) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) give_up_errno("pipe");
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  Child asking = Child::fork([&] {
    if (!cgroup.take(::getpid())) return 1;
    const std::string answer = check().dump();
    return ::write(write_end.get(), answer.data(), answer.size()) < 0 ? 2 : 0;
  });
  write_end.reset();
  std::string text(65536, '\0'); // what a pipe holds
  const ssize_t size = ::read(read_end.get(), text.data(), text.size());
  if (asking.wait() != 0 || size <= 0) return {};
  return Json::parse(text.substr(0, static_cast<size_t>(size)));
}

bool leaves_open(const Json& answer, const std::string& text) {
  const Json unknown = answer.value("unknown", Json::array());
  return std::any_of(unknown.begin(), unknown.end(), [&](const Json& one) {
    return one.get<std::string>().find(text) != std::string::npos;
  });
}

TEST_F(Scenario, CheckLeavesOpenWhatACgroupProgramDecides) {
  RefusingCgroup cgroup;
  if (const auto missing = cgroup.make()) GTEST_SKIP() << "not run here: " << *missing;
  const Json asked = question("tcp", "127.0.0.1", port);
  const Json inside = checked_inside(cgroup, [&] { return check(asked); });
  ASSERT_FALSE(inside.is_null());
  EXPECT_TRUE(leaves_open(inside, "a cgroup BPF program attached to " + cgroup.name()))
      << inside.dump(1);
  Json for_another = asked;
  for_another["uid"] = 1000;
  const Json of_another = checked_inside(cgroup, [&] { return check(for_another); });
  EXPECT_TRUE(leaves_open(of_another, cgroup.name())) << of_another.dump(1);
  const Json outside = check(asked);
  EXPECT_FALSE(leaves_open(outside, cgroup.name())) << outside.dump(1);
  cgroup.detach();
  const Json detached = checked_inside(cgroup, [&] { return check(asked); });
  ASSERT_FALSE(detached.is_null());
  EXPECT_FALSE(leaves_open(detached, cgroup.name())) << detached.dump(1);
}

} // namespace
} // namespace bindlens::test
