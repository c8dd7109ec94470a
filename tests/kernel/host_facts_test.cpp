#include <bindlens/kernel/host_facts.h>

#include <gtest/gtest.h>

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <mntent.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace bindlens::kernel {
namespace {

using model::parse_address;
using rules::HostFacts;
using rules::PortRange;
using rules::RouteType;

Fd open_path(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

// ---- the world of a test ----

// A network namespace of the test's own, loopback down as the kernel makes it.
class OwnNetns {
 public:
  OwnNetns() {
    std::thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno);
      fd_ = open_path("/proc/thread-self/ns/net");
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

void write_sysctl(const std::string& name, const std::string& value) {
  const Fd fd(::open(("/proc/sys/net/" + name).c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(fd) << name << ": " << std::strerror(errno);
  ASSERT_EQ(::write(fd.get(), value.data(), value.size()), static_cast<ssize_t>(value.size()))
      << name << ": " << std::strerror(errno);
}

// One rtnetlink request that changes something; send() returns an errno.
class Change {
 public:
  template <typename Header>
  Change(uint16_t type, const Header& header) : type_(type) {
    append(&header, sizeof header);
  }
  Change& add(uint16_t type, const void* data, size_t size) {
    const nlattr header{static_cast<uint16_t>(NLA_HDRLEN + size), type};
    append(&header, sizeof header);
    append(data, size);
    return *this;
  }
  Change& add(uint16_t type, uint32_t value) { return add(type, &value, sizeof value); }
  Change& add(uint16_t type, const std::string& text) {
    return add(type, text.data(), text.size());
  }
  Change& add(uint16_t type, const model::Address& a) {
    return add(type, a.bytes.data(), a.family == model::Family::inet ? 4 : 16);
  }
  Change& begin(uint16_t type) {
    open_.push_back(bytes_.size());
    return add(type, nullptr, 0);
  }
  template <typename Header>
  Change& begin(uint16_t type, const Header& header) {
    begin(type);
    append(&header, sizeof header);
    return *this;
  }
  Change& end() {
    const auto size = static_cast<uint16_t>(bytes_.size() - open_.back());
    std::memcpy(&bytes_[open_.back()], &size, sizeof size); // nla_len
    open_.pop_back();
    return *this;
  }
  int send() {
    nlmsghdr header{};
    header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + bytes_.size());
    header.nlmsg_type = type_;
    header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    std::vector<char> message(sizeof header);
    std::memcpy(message.data(), &header, sizeof header);
    message.insert(message.end(), bytes_.begin(), bytes_.end());
    const Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (::send(fd.get(), message.data(), message.size(), 0) < 0) return errno;
    std::array<char, 4096> answer{};
    if (::recv(fd.get(), answer.data(), answer.size(), 0) < 0) return errno;
    int error = 0;
    std::memcpy(&error, &answer[NLMSG_HDRLEN], sizeof error);
    return -error;
  }

 private:
  void append(const void* data, size_t size) {
    const auto* p = static_cast<const char*>(data);
    if (size != 0) bytes_.insert(bytes_.end(), p, p + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }

  uint16_t type_;
  std::vector<char> bytes_;
  std::vector<size_t> open_;
};

void raise_link(const char* name) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(::if_nametoindex(name));
  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  Change change(RTM_SETLINK, header);
  ASSERT_EQ(change.send(), 0) << name;
}

// "t0" and, its other end, "t1".
void add_pair() {
  Change change(RTM_NEWLINK, ifinfomsg{});
  change.add(IFLA_IFNAME, std::string("t0"));
  change.begin(IFLA_LINKINFO).add(IFLA_INFO_KIND, std::string("veth")).begin(IFLA_INFO_DATA);
  change.begin(VETH_INFO_PEER, ifinfomsg{}).add(IFLA_IFNAME, std::string("t1")).end();
  change.end().end();
  ASSERT_EQ(change.send(), 0) << "this kernel cannot make a veth pair";
  raise_link("t0");
  raise_link("t1");
}

int add_vrf(const char* name, uint32_t table) {
  Change change(RTM_NEWLINK, ifinfomsg{});
  change.add(IFLA_IFNAME, std::string(name));
  change.begin(IFLA_LINKINFO).add(IFLA_INFO_KIND, std::string("vrf")).begin(IFLA_INFO_DATA);
  change.add(IFLA_VRF_TABLE, table).end().end();
  return change.send();
}

void enslave(const char* name, const char* master) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(::if_nametoindex(name));
  Change change(RTM_SETLINK, header);
  ASSERT_EQ(change.add(IFLA_MASTER, ::if_nametoindex(master)).send(), 0);
}

void add_address(const char* link, const std::string& text, uint8_t length, uint32_t flags = 0) {
  const auto address = parse_address(text).value();
  ifaddrmsg header{};
  header.ifa_family = address.family == model::Family::inet ? AF_INET : AF_INET6;
  header.ifa_prefixlen = length;
  header.ifa_index = ::if_nametoindex(link);
  Change change(RTM_NEWADDR, header);
  ASSERT_EQ(change.add(IFA_LOCAL, address).add(IFA_FLAGS, flags).send(), 0) << text;
}

void add_route(const char* link, const std::string& text, uint8_t length, uint8_t type,
               uint8_t table, uint8_t tos = 0) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = length;
  header.rtm_tos = tos;
  header.rtm_table = table;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK;
  header.rtm_type = type;
  Change change(RTM_NEWROUTE, header);
  change.add(RTA_DST, parse_address(text).value());
  ASSERT_EQ(change.add(RTA_OIF, ::if_nametoindex(link)).send(), 0) << text;
}

void add_rule(uint32_t priority, uint32_t table) {
  fib_rule_hdr header{};
  header.family = AF_INET;
  header.action = FR_ACT_TO_TBL;
  Change change(RTM_NEWRULE, header);
  ASSERT_EQ(change.add(FRA_PRIORITY, priority).add(FRA_TABLE, table).send(), 0);
}

HostFacts read(const Fd& netns, const CallerFacts& caller = {}) {
  auto facts = read_host_facts(netns, caller);
  EXPECT_TRUE(facts) << facts.error().text;
  return std::move(facts).value_or(HostFacts{});
}

const rules::Interface* find_interface(const HostFacts& facts, const std::string& name) {
  const auto it = std::ranges::find(facts.interfaces.value(), name, &rules::Interface::name);
  return it == facts.interfaces->end() ? nullptr : &*it;
}

// Type of the route with exactly this prefix; empty when it is not among them.
std::optional<RouteType> route_type(const HostFacts& facts, const std::string& prefix,
                                    unsigned length, uint32_t table = rules::local_table) {
  for (const rules::Route& r : facts.routes.value())
    if (to_string(r.prefix) == prefix && r.length == length && r.table == table) return r.type;
  return std::nullopt;
}

// ---- sysctls ----

TEST(HostFacts, ReadsTheSysctlsOfTheNamespaceAndNotOurOwn) {
  const OwnNetns netns;
  netns.run([] {
    write_sysctl("ipv4/ip_unprivileged_port_start", "81");
    write_sysctl("ipv4/ip_nonlocal_bind", "1");
    write_sysctl("ipv6/ip_nonlocal_bind", "1");
    write_sysctl("ipv4/ip_local_port_range", "20001 20010");
    write_sysctl("ipv4/ip_local_reserved_ports", "8080,9000-9010,65535");
    write_sysctl("ipv4/ip_autobind_reuse", "1");
    write_sysctl("ipv6/bindv6only", "1");
    write_sysctl("ipv4/tcp_fin_timeout", "77");
    write_sysctl("ipv4/tcp_tw_reuse", "1");
  });
  const HostFacts f = read(netns.fd());
  EXPECT_EQ(f.unprivileged_port_start, 81);
  EXPECT_EQ(f.nonlocal_bind4, true);
  EXPECT_EQ(f.nonlocal_bind6, true);
  EXPECT_EQ(f.local_port_range, (PortRange{20001, 20010}));
  EXPECT_EQ(f.reserved_ports, (std::vector<PortRange>{{8080, 8080}, {9000, 9010}, {65535, 65535}}));
  EXPECT_EQ(f.autobind_reuse, true);
  EXPECT_EQ(f.bindv6only, true);
  EXPECT_EQ(f.tcp_fin_timeout_s, 77u);
  EXPECT_EQ(f.tcp_tw_reuse, 1u);

  const OwnNetns fresh;
  const HostFacts defaults = read(fresh.fd());
  EXPECT_EQ(defaults.unprivileged_port_start, 1024);
  EXPECT_EQ(defaults.nonlocal_bind4, false);
  EXPECT_EQ(defaults.reserved_ports, std::vector<PortRange>{});
  EXPECT_EQ(defaults.tcp_l3mdev_accept, false);
}

TEST(HostFacts, ReadsWhetherVrfsShareTheTable) {
  if (::access("/proc/sys/net/ipv4/tcp_l3mdev_accept", F_OK) != 0)
    GTEST_SKIP() << "not run here: this kernel has no net.ipv4.tcp_l3mdev_accept";
  const OwnNetns netns;
  netns.run([] { write_sysctl("ipv4/tcp_l3mdev_accept", "1"); });
  EXPECT_EQ(read(netns.fd()).tcp_l3mdev_accept, true);
}

// ---- addresses and routes ----

TEST(HostFacts, AnUntouchedNamespaceHasNoRoutes) {
  const OwnNetns netns;
  const HostFacts f = read(netns.fd());
  EXPECT_TRUE(f.routes && f.routes->empty());
  EXPECT_TRUE(f.addresses6 && f.addresses6->empty());
  ASSERT_NE(find_interface(f, "lo"), nullptr);
  EXPECT_EQ(find_interface(f, "lo")->index, 1u);
}

TEST(HostFacts, ReadsAddressesAsRoutes) {
  const OwnNetns netns;
  netns.run([] {
    raise_link("lo");
    add_pair();
    add_address("t0", "192.0.2.1", 24);
  });
  const HostFacts f = read(netns.fd());
  EXPECT_EQ(route_type(f, "127.0.0.0", 8), RouteType::local);
  EXPECT_EQ(route_type(f, "192.0.2.1", 32), RouteType::local);
  EXPECT_EQ(route_type(f, "192.0.2.255", 32), RouteType::broadcast);
  ASSERT_NE(find_interface(f, "t0"), nullptr);
  ASSERT_NE(find_interface(f, "t1"), nullptr);
  EXPECT_EQ(find_interface(f, "t0")->vrf, 0u);
}

TEST(HostFacts, MainCountsAsLocalUntilThereIsARoutingRule) {
  const OwnNetns netns;
  netns.run([] {
    raise_link("lo");
    add_route("lo", "198.51.100.0", 24, RTN_LOCAL, RT_TABLE_MAIN);
    add_route("lo", "203.0.113.0", 24, RTN_LOCAL, 100); // a table nobody asks
  });
  HostFacts f = read(netns.fd());
  EXPECT_EQ(route_type(f, "198.51.100.0", 24), RouteType::local);
  EXPECT_EQ(route_type(f, "203.0.113.0", 24), std::nullopt);
  netns.run([] { add_rule(1000, RT_TABLE_MAIN); });
  f = read(netns.fd());
  EXPECT_EQ(route_type(f, "198.51.100.0", 24), std::nullopt);
  EXPECT_EQ(route_type(f, "127.0.0.0", 8), RouteType::local);
}

// fib_table_lookup() of an address check has no type of service.
TEST(HostFacts, PassesOverRoutesForOneTypeOfService) {
  const OwnNetns netns;
  netns.run([] {
    raise_link("lo");
    add_route("lo", "198.51.100.0", 24, RTN_LOCAL, RT_TABLE_LOCAL, 0x10);
    add_route("lo", "198.51.101.0", 24, RTN_LOCAL, RT_TABLE_LOCAL);
  });
  const HostFacts f = read(netns.fd());
  EXPECT_EQ(route_type(f, "198.51.100.0", 24), std::nullopt);
  EXPECT_EQ(route_type(f, "198.51.101.0", 24), RouteType::local);
}

TEST(HostFacts, LeavesRoutesEmptyWhenThereAreTooManyToRead) {
  const OwnNetns netns;
  netns.run([] {
    raise_link("lo");
    for (int i = 0; i < 25'000; ++i)
      add_route("lo", "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250), 32,
                RTN_UNICAST, RT_TABLE_MAIN);
  });
  HostFacts f = read(netns.fd());
  EXPECT_FALSE(f.routes);
  EXPECT_TRUE(f.interfaces && f.addresses6 && f.local_port_range);
  netns.run([] { add_rule(1000, RT_TABLE_MAIN); }); // main counts no more
  f = read(netns.fd());
  EXPECT_EQ(route_type(f, "127.0.0.0", 8), RouteType::local);
}

TEST(HostFacts, ReadsIpv6AddressesAndWhichAreTentative) {
  if (::access("/proc/net/if_inet6", F_OK) != 0)
    GTEST_SKIP() << "not run here: this kernel has no IPv6";
  const OwnNetns netns;
  netns.run([] {
    add_pair();
    // Duplicate detection that takes an hour is under way for sure.
    write_sysctl("ipv6/neigh/t0/retrans_time_ms", "3600000");
    add_address("t0", "2001:db8::1", 64, IFA_F_NODAD);
    add_address("t0", "2001:db8::2", 64);
  });
  const HostFacts f = read(netns.fd());
  ASSERT_TRUE(f.addresses6);
  const auto find = [&](const char* text) {
    return std::ranges::find(*f.addresses6, parse_address(text).value(), &rules::Address6::addr);
  };
  const auto ready = find("2001:db8::1");
  const auto tentative = find("2001:db8::2");
  ASSERT_NE(ready, f.addresses6->end());
  ASSERT_NE(tentative, f.addresses6->end());
  EXPECT_EQ(ready->dev, find_interface(f, "t0")->index);
  EXPECT_FALSE(ready->tentative);
  EXPECT_TRUE(tentative->tentative);
}

TEST(HostFacts, AssignsInterfacesToTheirVrf) {
  const OwnNetns netns;
  int made = 0;
  netns.run([&] {
    made = add_vrf("red", 77);
    if (made != 0) return;
    add_pair();
    raise_link("red");
    enslave("t0", "red");
    add_address("t0", "192.0.2.1", 24);
  });
  if (made == EOPNOTSUPP) GTEST_SKIP() << "not run here: this kernel cannot make a VRF";
  ASSERT_EQ(made, 0) << std::strerror(made);
  const HostFacts f = read(netns.fd());
  const auto* red = find_interface(f, "red");
  const auto* member = find_interface(f, "t0");
  ASSERT_TRUE(red != nullptr && member != nullptr);
  EXPECT_EQ(red->vrf, red->index);
  EXPECT_EQ(red->vrf_table, 77u);
  EXPECT_EQ(member->vrf, red->index);
  EXPECT_EQ(member->vrf_table, 77u);
  EXPECT_EQ(find_interface(f, "t1")->vrf, 0u);
  EXPECT_EQ(route_type(f, "192.0.2.1", 32, 77), RouteType::local);
  EXPECT_EQ(route_type(f, "192.0.2.1", 32), std::nullopt);
}

// ---- the caller ----

// A process that did `prepare` and sleeps until the test is over.
class Sleeper {
 public:
  explicit Sleeper(const std::function<bool()>& prepare) {
    std::array<int, 2> ready{};
    EXPECT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
    const Fd reader(ready[0]);
    Fd writer(ready[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      const char answer = prepare() ? 'y' : 'n';
      if (::write(writer.get(), &answer, 1) == 1) ::pause();
      ::_exit(1);
    }
    writer.reset();
    char answer = 0;
    ok_ = ::read(reader.get(), &answer, 1) == 1 && answer == 'y';
  }
  ~Sleeper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] CallerFacts caller() const {
    return {.pid = static_cast<uint32_t>(pid_), .uid = {}};
  }
  [[nodiscard]] Fd netns() const { return open_path("/proc/" + std::to_string(pid_) + "/ns/net"); }

 private:
  pid_t pid_ = -1;
  bool ok_ = false;
};

constexpr uid_t other_user = 65534;

bool become_other_user() {
  return ::setresuid(other_user, other_user, other_user) == 0;
}
bool enter_new_namespaces() {
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

using Capabilities = std::pair<std::optional<bool>, std::optional<bool>>;
constexpr Capabilities all{true, true};
constexpr Capabilities none{false, false};
constexpr Capabilities unknown{};

Capabilities capabilities(const Fd& netns, const CallerFacts& caller) {
  const HostFacts f = read(netns, caller);
  return {f.cap_net_bind_service, f.cap_net_admin_or_raw};
}

TEST(CallerCapabilities, AreThoseOfTheProcess) {
  const OwnNetns netns;
  const Sleeper root([] { return true; });
  const Sleeper other(become_other_user);
  ASSERT_TRUE(root.ok() && other.ok());
  EXPECT_EQ(capabilities(netns.fd(), root.caller()), all);
  EXPECT_EQ(capabilities(netns.fd(), other.caller()), none);
}

TEST(CallerCapabilities, CountWhereTheNamespaceBelongs) {
  const Sleeper nested(enter_new_namespaces);
  if (!nested.ok()) GTEST_SKIP() << "not run here: no user namespaces can be made";
  const OwnNetns outer;
  const Sleeper root([] { return true; });
  const Sleeper other(become_other_user);
  EXPECT_EQ(capabilities(nested.netns(), nested.caller()), all);
  EXPECT_EQ(capabilities(outer.fd(), nested.caller()), none);
  EXPECT_EQ(capabilities(nested.netns(), root.caller()), all);
  EXPECT_EQ(capabilities(nested.netns(), other.caller()), none);
}

// Whoever makes a user namespace has all capabilities in it from outside.
TEST(CallerCapabilities, BelongToTheOwnerOfTheUserNamespace) {
  const Sleeper nested([] { return become_other_user() && enter_new_namespaces(); });
  if (!nested.ok()) GTEST_SKIP() << "not run here: a user cannot make user namespaces";
  const Sleeper owner(become_other_user);
  const Sleeper stranger([] { return ::setresuid(12345, 12345, 12345) == 0; });
  EXPECT_EQ(capabilities(nested.netns(), owner.caller()), all);
  EXPECT_EQ(capabilities(nested.netns(), stranger.caller()), none);
}

TEST(CallerCapabilities, AreAssumedFromTheUserAlone) {
  const OwnNetns netns;
  EXPECT_EQ(capabilities(netns.fd(), {.pid = {}, .uid = 0}), all);
  EXPECT_EQ(capabilities(netns.fd(), {.pid = {}, .uid = other_user}), none);
  EXPECT_EQ(capabilities(netns.fd(), {}), unknown);
  const Sleeper nested(enter_new_namespaces);
  if (!nested.ok()) GTEST_SKIP() << "not run here: no user namespaces can be made";
  EXPECT_EQ(capabilities(nested.netns(), {.pid = {}, .uid = other_user}), unknown);
}

TEST(CallerCapabilities, OfAProcessThatIsGoneAreUnknown) {
  const OwnNetns netns;
  CallerFacts gone;
  {
    const Sleeper process([] { return true; });
    gone = process.caller();
  }
  gone.uid = 0;
  EXPECT_EQ(capabilities(netns.fd(), gone), unknown);
}

// ---- policies ----

std::string cgroup2_root() {
  const std::unique_ptr<FILE, int (*)(FILE*)> mounts(::setmntent("/proc/self/mounts", "r"),
                                                     &::endmntent);
  while (const mntent* m = mounts ? ::getmntent(mounts.get()) : nullptr)
    if (std::strcmp(m->mnt_type, "cgroup2") == 0) return m->mnt_dir;
  return {};
}

// A cgroup of the test's own, directly below the root; gone with the object.
class OwnCgroup {
 public:
  explicit OwnCgroup(const std::string& root)
      : path_("/bindlens-test-" + std::to_string(::getpid())), directory_(root + path_) {
    std::filesystem::create_directories(directory_ + "/inner");
  }
  ~OwnCgroup() {
    ::rmdir((directory_ + "/inner").c_str());
    ::rmdir(directory_.c_str());
  }
  OwnCgroup(const OwnCgroup&) = delete;
  OwnCgroup& operator=(const OwnCgroup&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] bool join_inner() const {
    std::ofstream procs(directory_ + "/inner/cgroup.procs");
    procs << ::getpid() << std::flush;
    return procs.good();
  }

 private:
  std::string path_;
  std::string directory_;
};

// A bind4 program that allows everything.
Fd load_bind_program() {
  std::array<bpf_insn, 2> code{};
  code[0] = {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1};
  code[1] = {BPF_JMP | BPF_EXIT, 0, 0, 0, 0};
  bpf_prog_load_opts options{};
  options.sz = sizeof options;
  options.expected_attach_type = BPF_CGROUP_INET4_BIND;
  return Fd(::bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "bind4", "GPL", code.data(),
                            code.size(), &options));
}

uint32_t id_of(const Fd& program) {
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  EXPECT_EQ(::bpf_obj_get_info_by_fd(program.get(), &info, &size), 0);
  return info.id;
}

TEST(Policies, NameTheCgroupThatAProgramIsAttachedTo) {
  const std::string root = cgroup2_root();
  if (root.empty()) GTEST_SKIP() << "not run here: no cgroup v2 is mounted";
  const Fd program = load_bind_program();
  if (!program) GTEST_SKIP() << "not run here: no cgroup program loads: " << std::strerror(errno);
  const OwnNetns netns;
  const OwnCgroup cgroup(root);
  const Sleeper process([&] { return cgroup.join_inner(); });
  ASSERT_TRUE(process.ok());
  const Fd directory = open_path(cgroup.directory());
  ASSERT_EQ(::bpf_prog_attach(program.get(), directory.get(), BPF_CGROUP_INET4_BIND, 0), 0)
      << std::strerror(errno);
  const std::string clause = "a cgroup BPF program attached to " + cgroup.path();
  EXPECT_EQ(std::ranges::count(read(netns.fd(), process.caller()).policies, clause), 1);

  const std::array<uint32_t, 1> own{id_of(program)};
  const auto without = read_host_facts(netns.fd(), process.caller(), own);
  ASSERT_TRUE(without);
  EXPECT_EQ(std::ranges::count(without->policies, clause), 0);

  const Sleeper elsewhere([] { return true; });
  EXPECT_EQ(std::ranges::count(read(netns.fd(), elsewhere.caller()).policies, clause), 0);
}

using Clauses = std::vector<std::string>;

Clauses selinux_policies(bool enforcing, const char* label) {
  SecurityLabels labels;
  labels.selinux_enforcing = enforcing;
  labels.selinux = label;
  return security_policies(labels);
}

TEST(Policies, NameSelinuxOnlyWhereItConfines) {
  const char* confined = "system_u:system_r:httpd_t:s0:c1,c2";
  EXPECT_EQ(selinux_policies(true, confined),
            (Clauses{"SELinux, which confines the caller to httpd_t"}));
  EXPECT_EQ(selinux_policies(false, confined), Clauses{});
  for (const char* free : {"unconfined_u:unconfined_r:unconfined_t:s0", "", "kernel", "a:b"})
    EXPECT_EQ(selinux_policies(true, free), Clauses{}) << free;
}

TEST(Policies, NameApparmorOnlyWhereItConfines) {
  const auto of = [](const char* profile) {
    SecurityLabels labels;
    labels.apparmor = profile;
    return security_policies(labels);
  };
  EXPECT_EQ(of("/usr/sbin/nginx (enforce)"),
            (Clauses{"AppArmor, which confines the caller to profile /usr/sbin/nginx"}));
  EXPECT_EQ(of("docker-default (kill)"),
            (Clauses{"AppArmor, which confines the caller to profile docker-default"}));
  for (const char* free : {"/usr/sbin/nginx (complain)", "unconfined", ""})
    EXPECT_EQ(of(free), Clauses{}) << free;
}

// ---- errors, cache, speed ----

TEST(HostFacts, RefusesWhatIsNoNamespace) {
  const auto facts = read_host_facts(open_path("/dev/null"), {});
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().code, EINVAL);
  EXPECT_NE(facts.error().text.find("network namespace"), std::string::npos);
}

TEST(HostFacts, LeavesTheCallersThreadWhereItIs) {
  const auto here = [] {
    struct stat st {};
    ::stat("/proc/thread-self/ns/net", &st);
    return st.st_ino;
  };
  const auto before = here();
  const OwnNetns netns;
  (void)read(netns.fd());
  EXPECT_EQ(here(), before);
}

TEST(HostFactsCache, ReadsANamespaceAgainWhenItsFactsAreOld) {
  const OwnNetns netns;
  HostFactsCache patient({}, 3'600'000'000'000);
  HostFactsCache impatient({}, 0);
  const auto start_of = [&](HostFactsCache& cache) {
    return cache.get(netns.fd(), {}).value().unprivileged_port_start;
  };
  EXPECT_EQ(start_of(patient), 1024);
  EXPECT_EQ(start_of(impatient), 1024);
  netns.run([] { write_sysctl("ipv4/ip_unprivileged_port_start", "99"); });
  EXPECT_EQ(start_of(patient), 1024);
  EXPECT_EQ(start_of(impatient), 99);
}

TEST(HostFactsCache, KeepsNamespacesAndCallersApart) {
  const OwnNetns one;
  const OwnNetns other;
  other.run([] { write_sysctl("ipv4/ip_unprivileged_port_start", "99"); });
  HostFactsCache cache;
  EXPECT_EQ(cache.get(one.fd(), {.pid = {}, .uid = 0})->cap_net_bind_service, true);
  EXPECT_EQ(cache.get(one.fd(), {.pid = {}, .uid = other_user})->cap_net_bind_service, false);
  EXPECT_EQ(cache.get(one.fd(), {})->cap_net_bind_service, std::nullopt);
  EXPECT_EQ(cache.get(other.fd(), {})->unprivileged_port_start, 99);
  EXPECT_EQ(cache.get(one.fd(), {})->unprivileged_port_start, 1024);
}

TEST(HostFactsCache, PassesErrorsOn) {
  HostFactsCache cache;
  EXPECT_FALSE(cache.get(open_path("/dev/null"), {}));
}

} // namespace
} // namespace bindlens::kernel
