#include "lab.h"

#include <bindlens/util/fd.h>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

namespace differential {

using bindlens::fail;
using bindlens::fail_errno;
using bindlens::Result;
using bindlens::model::Address;
using bindlens::model::Family;
namespace rules = bindlens::rules;

namespace {

bool run(const std::string& command) {
  return std::system(command.c_str()) == 0;
}

std::vector<std::string> output_of(const std::string& command) {
  std::vector<std::string> lines;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::array<char, 512> line{};
  while (pipe && std::fgets(line.data(), line.size(), pipe.get()) != nullptr)
    lines.emplace_back(line.data());
  return lines;
}

Result<void> write_sysctl(const std::string& name, const std::string& value) {
  const bindlens::Fd fd(::open(("/proc/sys/net/" + name).c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), value.data(), value.size()) < 0)
    return fail_errno("writing " + name);
  return {};
}

// The kinds of devices a kernel may have; the first that can be made is taken.
bool make_device(const std::string& name) {
  for (const char* type : {"dummy", "veth", "ifb", "bridge"})
    if (run("ip link add " + name + " type " + type + " 2>/dev/null")) return true;
  return false;
}

rules::RouteType type_of(const std::string& word) {
  if (word == "local") return rules::RouteType::local;
  if (word == "broadcast") return rules::RouteType::broadcast;
  return rules::RouteType::other;
}

// "local 10.9.0.1 dev lo table local proto …", "10.9.1.0/24 dev va …".
rules::Route parse_route(const std::string& line, uint32_t table) {
  std::istringstream in(line);
  std::string first, where;
  in >> first;
  rules::Route r;
  r.table = table;
  if (first[0] >= '0' && first[0] <= '9') {
    r.type = rules::RouteType::unicast;
    where = first;
  } else if (first == "default") {
    r.type = rules::RouteType::unicast;
    where = "0.0.0.0/0";
  } else {
    r.type = type_of(first);
    in >> where;
  }
  const size_t slash = where.find('/');
  if (slash != std::string::npos)
    r.length = static_cast<uint8_t>(std::stoi(where.substr(slash + 1)));
  r.prefix = bindlens::model::parse_address(where.substr(0, slash)).value_or(Address{});
  return r;
}

} // namespace

sockaddr_storage to_sockaddr(const Address& a, uint16_t port, uint32_t scope) {
  sockaddr_storage out{};
  if (a.family == Family::inet) {
    auto* in = reinterpret_cast<sockaddr_in*>(&out);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    std::memcpy(&in->sin_addr, a.bytes.data(), 4);
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&out);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    in6->sin6_scope_id = scope;
    std::memcpy(&in6->sin6_addr, a.bytes.data(), 16);
  }
  return out;
}

Result<Lab> Lab::enter() {
  if (::unshare(CLONE_NEWNET) != 0) return fail_errno("making a network namespace");
  Lab lab;
  if (auto built = lab.build(); !built) return std::unexpected(built.error());
  if (auto learnt = lab.learn(); !learnt) return std::unexpected(learnt.error());
  return lab;
}

Result<void> Lab::build() {
  if (!run("ip link set lo up")) return fail("bringing the loopback device up");
  // Addresses work at once only where nobody asks whether they are duplicates.
  for (const char* which : {"all", "default"})
    if (auto ok = write_sysctl("ipv6/conf/" + std::string(which) + "/accept_dad", "0"); !ok)
      return ok;
  for (const char* name : {"va", "vb"})
    if (!make_device(name)) return fail("making a network device");
  if (!run("ip link set va up && ip addr add 10.9.1.1/24 dev va && ip addr add fd09:1::1/64 dev va "
           "nodad && ip addr add fe80::9/64 dev va nodad && ip addr add 10.9.0.1/32 dev lo && ip "
           "addr add fd09::1/128 dev lo nodad"))
    return fail("adding addresses");
  has_vrf_ =
      run("ip link add vrf9 type vrf table 900 2>/dev/null") &&
      run("ip link set vrf9 up && ip link set vb master vrf9 && ip link set vb up && ip addr "
          "add 10.9.2.1/24 dev vb");
  struct stat st {};
  if (::stat("/proc/thread-self/ns/net", &st) != 0) return fail_errno("asking for the namespace");
  netns_ = static_cast<uint32_t>(st.st_ino);
  return {};
}

Result<void> Lab::learn() {
  rules::HostFacts& f = facts_;
  f.tcp_l3mdev_accept = false;
  f.bindv6only = false;
  f.cap_net_admin_or_raw = true;
  f.interfaces.emplace();
  const uint32_t vrf = ::if_nametoindex("vrf9");
  for (const char* name : {"lo", "va", "vb", "vrf9"}) {
    const uint32_t index = ::if_nametoindex(name);
    if (index == 0) continue;
    const bool in_vrf = vrf != 0 && (index == vrf || name == std::string("vb"));
    f.interfaces->push_back({index, name, in_vrf ? vrf : 0, in_vrf ? 900u : 0});
    devices_.push_back(index);
  }
  f.routes.emplace();
  for (const std::string& line : output_of("ip -o -4 route show table local"))
    f.routes->push_back(parse_route(line, rules::local_table));
  if (has_vrf_)
    for (const std::string& line : output_of("ip -o -4 route show table 900"))
      f.routes->push_back(parse_route(line, 900));
  if (f.routes->empty()) return fail("reading the local routes with ip");
  f.addresses6.emplace();
  for (const std::string& line : output_of("ip -o -6 addr show")) {
    std::istringstream in(line);
    std::string number, dev, family, addr;
    in >> number >> dev >> family >> addr;
    const auto parsed = bindlens::model::parse_address(addr.substr(0, addr.find('/')));
    if (parsed) f.addresses6->push_back({*parsed, ::if_nametoindex(dev.c_str()), false});
  }
  list_addresses();
  return {};
}

void Lab::list_addresses() {
  const uint32_t va = ::if_nametoindex("va");
  auto add = [&](const char* text, uint32_t scope = 0) {
    addresses_.push_back({*bindlens::model::parse_address(text), scope, text});
  };
  // The first eight are what most sequences use: they overlap in every way.
  for (const char* text : {"0.0.0.0",     "127.0.0.1",        "::",
                           "::1",         "::ffff:127.0.0.1", "::ffff:0.0.0.0",
                           "127.0.0.6",   "127.0.0.2",        "10.9.0.1",
                           "10.9.1.1",    "::ffff:10.9.0.1",  "fd09::1",
                           "fd09:1::1",   "127.255.255.255",  "10.9.1.255",
                           "224.0.9.9",   "ff05::9",          "192.0.2.1",
                           "2001:db8::1", "255.255.255.255",  "::ffff:192.0.2.1",
                           "fe80::9",     "10.9.2.1"})
    add(text);
  add("fe80::9", va);
  add("ff02::9", va);
  add("fe80::9", 9999);
}

Result<void> Lab::apply(const Setting& s, uint16_t base) {
  auto port = [base](uint8_t offset) { return static_cast<uint16_t>(base + offset); };
  facts_.local_port_range = {{port(s.range_first), port(s.range_last)}};
  facts_.reserved_ports.emplace();
  if (s.reserved != 255) facts_.reserved_ports->push_back({port(s.reserved), port(s.reserved)});
  facts_.unprivileged_port_start = s.privileged != 0 ? port(s.privileged) : 0;
  facts_.autobind_reuse = s.autobind_reuse;
  facts_.tcp_tw_reuse = s.tw_reuse;
  facts_.nonlocal_bind4 = facts_.nonlocal_bind6 = s.nonlocal;
  const auto text = [](uint32_t n) { return std::to_string(n); };
  // The kernel wants the unprivileged ports and the local range apart.
  const std::vector<std::pair<std::string, std::string>> values = {
      {"ipv4/ip_unprivileged_port_start", "0"},
      {"ipv4/ip_local_port_range", text(port(s.range_first)) + " " + text(port(s.range_last))},
      {"ipv4/ip_unprivileged_port_start", text(*facts_.unprivileged_port_start)},
      {"ipv4/ip_local_reserved_ports", s.reserved != 255 ? text(port(s.reserved)) : "\n"},
      {"ipv4/ip_autobind_reuse", s.autobind_reuse ? "1" : "0"},
      {"ipv4/tcp_tw_reuse", text(s.tw_reuse)},
      {"ipv4/ip_nonlocal_bind", s.nonlocal ? "1" : "0"},
      {"ipv6/ip_nonlocal_bind", s.nonlocal ? "1" : "0"},
  };
  for (const auto& [name, value] : values)
    if (auto ok = write_sysctl(name, value); !ok) return ok;
  return {};
}

bool Lab::same_vrf(uint32_t device, uint32_t other) const {
  auto vrf_of = [this](uint32_t index) {
    for (const rules::Interface& i : *facts_.interfaces)
      if (i.index == index) return i.vrf;
    return 0u;
  };
  return vrf_of(device) == vrf_of(other);
}

rules::HostFacts Lab::facts(bool privileged) const {
  rules::HostFacts f = facts_;
  f.cap_net_bind_service = privileged;
  return f;
}

} // namespace differential
