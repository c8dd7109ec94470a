#include <bindlens/kernel/host_facts.h>

#include <bindlens/kernel/kernel_facts.h>

#include "netlink.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace bindlens::kernel {

namespace {

using model::Address;
using model::Family;

// ---- text files ----

std::optional<std::string> read_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  std::string text;
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t n = ::read(fd.get(), part.data(), part.size());
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    text.append(part.data(), static_cast<size_t>(n));
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0'))
    text.pop_back();
  return text;
}

// Takes a number off the front of `text`, white space before it included.
template <typename T>
std::optional<T> take_number(std::string_view& text, int base = 10) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  T out{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  if (ec != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return out;
}

// The rest of the first line that begins with `key`.
std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  for (size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (line.starts_with(key)) return line.substr(key.size());
    at += line.size() + 1;
  }
  return std::nullopt;
}

// ---- sysctls ----

template <typename T>
std::optional<T> read_sysctl(const char* name) {
  const auto text = read_file(std::string("/proc/sys/net/") + name);
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  return take_number<T>(rest);
}

std::optional<bool> read_switch(const char* name) {
  return read_sysctl<int>(name).transform([](int value) { return value != 0; });
}

std::optional<rules::PortRange> read_port_range() {
  const auto text = read_file("/proc/sys/net/ipv4/ip_local_port_range");
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  const auto first = take_number<uint16_t>(rest);
  const auto last = take_number<uint16_t>(rest);
  if (!first || !last) return std::nullopt;
  return rules::PortRange{*first, *last};
}

// "8080,9000-9010", as proc_do_large_bitmap() writes it; empty for none.
std::optional<std::vector<rules::PortRange>> read_reserved_ports() {
  const auto text = read_file("/proc/sys/net/ipv4/ip_local_reserved_ports");
  if (!text) return std::nullopt;
  std::vector<rules::PortRange> out;
  for (std::string_view rest = *text; !rest.empty();) {
    const auto first = take_number<uint16_t>(rest);
    if (!first) return std::nullopt;
    rules::PortRange range{*first, *first};
    if (rest.starts_with('-')) {
      rest.remove_prefix(1);
      const auto last = take_number<uint16_t>(rest);
      if (!last) return std::nullopt;
      range.last = *last;
    }
    if (rest.starts_with(',')) rest.remove_prefix(1);
    out.push_back(range);
  }
  return out;
}

void read_sysctls(rules::HostFacts& facts) {
  facts.unprivileged_port_start = read_sysctl<uint16_t>("ipv4/ip_unprivileged_port_start");
  facts.nonlocal_bind4 = read_switch("ipv4/ip_nonlocal_bind");
  facts.nonlocal_bind6 = read_switch("ipv6/ip_nonlocal_bind");
  facts.local_port_range = read_port_range();
  facts.reserved_ports = read_reserved_ports();
  facts.autobind_reuse = read_switch("ipv4/ip_autobind_reuse");
  facts.tcp_l3mdev_accept = read_switch("ipv4/tcp_l3mdev_accept");
  facts.bindv6only = read_switch("ipv6/bindv6only");
  facts.tcp_fin_timeout_s = read_sysctl<uint32_t>("ipv4/tcp_fin_timeout");
  facts.tcp_tw_reuse = read_sysctl<uint32_t>("ipv4/tcp_tw_reuse");
  // A kernel without VRFs (CONFIG_NET_L3_MASTER_DEV) lacks the switch, and
  // sockets there share one table as if it said so.
  if (!facts.tcp_l3mdev_accept && facts.local_port_range) facts.tcp_l3mdev_accept = false;
}

// ---- interfaces and addresses ----

Address to_address(Family family, Bytes bytes) {
  Address out{family, {}};
  const size_t size = family == Family::inet ? 4 : 16;
  // A default route has no address, and memcpy() takes no null pointer.
  std::ranges::transform(bytes.first(std::min(size, bytes.size())), out.bytes.begin(),
                         [](std::byte b) { return std::to_integer<uint8_t>(b); });
  return out;
}

std::string to_text(Bytes bytes) {
  std::string text;
  for (const std::byte b : bytes)
    text += std::to_integer<char>(b);
  return text.substr(0, text.find('\0'));
}

struct Link {
  rules::Interface interface;
  uint32_t master = 0; // interface index
};

Link parse_link(Bytes body) {
  const Bytes attributes = attributes_after<ifinfomsg>(body);
  Link out;
  out.interface.index = static_cast<uint32_t>(read_struct<ifinfomsg>(body)->ifi_index);
  out.interface.name = to_text(find_attribute(attributes, IFLA_IFNAME));
  out.master = read_attribute<uint32_t>(attributes, IFLA_MASTER).value_or(0);
  const Bytes info = find_attribute(attributes, IFLA_LINKINFO);
  if (to_text(find_attribute(info, IFLA_INFO_KIND)) != "vrf") return out;
  const Bytes data = find_attribute(info, IFLA_INFO_DATA);
  out.interface.vrf = out.interface.index;
  out.interface.vrf_table = read_attribute<uint32_t>(data, IFLA_VRF_TABLE).value_or(0);
  return out;
}

// l3mdev_master_ifindex_rcu(): a VRF belongs to itself, its direct members to
// it; what is behind a bridge in a VRF does not.
std::vector<rules::Interface> assign_vrfs(std::vector<Link> links) {
  std::vector<rules::Interface> vrfs;
  for (const Link& l : links)
    if (l.interface.vrf != 0) vrfs.push_back(l.interface);
  std::vector<rules::Interface> out;
  for (Link& l : links) {
    const auto vrf = std::ranges::find(vrfs, l.master, &rules::Interface::index);
    if (l.interface.vrf == 0 && vrf != vrfs.end()) {
      l.interface.vrf = vrf->index;
      l.interface.vrf_table = vrf->vrf_table;
    }
    out.push_back(std::move(l.interface));
  }
  return out;
}

std::optional<std::vector<rules::Interface>> read_interfaces(Netlink& netlink) {
  struct {
    ifinfomsg header{};
    nlattr mask{sizeof(nlattr) + sizeof(uint32_t), IFLA_EXT_MASK};
    // Counters are most of what an interface has to say.
    uint32_t mask_value = RTEXT_FILTER_SKIP_STATS;
  } request;
  const auto dump = netlink.dump(RTM_GETLINK, request);
  if (!dump) return std::nullopt;
  std::vector<Link> links;
  dump->for_each(RTM_NEWLINK, [&](Bytes body) {
    if (body.size() >= sizeof(ifinfomsg)) links.push_back(parse_link(body));
  });
  return assign_vrfs(std::move(links));
}

rules::Address6 parse_address6(const ifaddrmsg& header, Bytes attributes) {
  // With a peer IFA_ADDRESS is the peer's and IFA_LOCAL our own.
  Bytes own = find_attribute(attributes, IFA_LOCAL);
  if (own.empty()) own = find_attribute(attributes, IFA_ADDRESS);
  const uint32_t flags = read_attribute<uint32_t>(attributes, IFA_FLAGS).value_or(header.ifa_flags);
  rules::Address6 out;
  out.addr = to_address(Family::inet6, own);
  out.dev = header.ifa_index;
  out.tentative = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
  return out;
}

std::optional<std::vector<rules::Address6>> read_addresses6(Netlink& netlink) {
  ifaddrmsg request{};
  request.ifa_family = AF_INET6;
  const auto dump = netlink.dump(RTM_GETADDR, request);
  if (!dump) return std::nullopt;
  std::vector<rules::Address6> out;
  dump->for_each(RTM_NEWADDR, [&](Bytes body) {
    const auto header = read_struct<ifaddrmsg>(body);
    // A kernel without IPv6 answers with the addresses of other families.
    if (header && header->ifa_family == AF_INET6)
      out.push_back(parse_address6(*header, attributes_after<ifaddrmsg>(body)));
  });
  return out;
}

// ---- routes ----

constexpr size_t route_bytes = 1u << 20; // some 10,000 routes

rules::RouteType to_route_type(uint8_t type) {
  switch (type) {
  case RTN_LOCAL:
    return rules::RouteType::local;
  case RTN_BROADCAST:
    return rules::RouteType::broadcast;
  case RTN_MULTICAST:
    return rules::RouteType::multicast;
  case RTN_UNICAST:
    return rules::RouteType::unicast;
  default:
    return rules::RouteType::other;
  }
}

// The routes of `table` as routes of `reported_as`. False: not known.
bool append_routes(Netlink& netlink, uint32_t table, uint32_t reported_as,
                   std::vector<rules::Route>& out) {
  struct {
    rtmsg header{};
    nlattr attribute{sizeof(nlattr) + sizeof(uint32_t), RTA_TABLE};
    uint32_t table = 0;
  } request;
  request.header.rtm_family = AF_INET;
  request.table = table;
  const auto dump = netlink.dump(RTM_GETROUTE, request, route_bytes);
  // A table comes into being with its first route.
  if (!dump) return dump.error().code == ENOENT;
  dump->for_each(RTM_NEWROUTE, [&](Bytes body) {
    const auto header = read_struct<rtmsg>(body);
    // fib_table_lookup() passes over dead routes, and an address check asks
    // without a type of service.
    if (!header || header->rtm_family != AF_INET || header->rtm_tos != 0 ||
        (header->rtm_flags & RTNH_F_DEAD) != 0)
      return;
    const Bytes attributes = attributes_after<rtmsg>(body);
    out.push_back({.prefix = to_address(Family::inet, find_attribute(attributes, RTA_DST)),
                   .length = header->rtm_dst_len,
                   .type = to_route_type(header->rtm_type),
                   .table = reported_as});
  });
  return true;
}

// Do local and main share a trie? They part with the first routing rule
// (fib_unmerge(), net/ipv4/fib_frontend.c) and stay apart when it is deleted,
// which cannot be seen here. A kernel without routing rules has but one trie.
std::optional<bool> is_main_merged(Netlink& netlink) {
  fib_rule_hdr request{};
  request.family = AF_INET;
  const auto dump = netlink.dump(RTM_GETRULE, request);
  if (!dump && dump.error().code == EOPNOTSUPP) return true;
  if (!dump) return std::nullopt;
  using Rule = std::pair<uint32_t, uint32_t>; // priority, table
  std::set<Rule> rules;
  dump->for_each(RTM_NEWRULE, [&](Bytes body) {
    const Bytes attributes = attributes_after<fib_rule_hdr>(body);
    rules.emplace(read_attribute<uint32_t>(attributes, FRA_PRIORITY).value_or(0),
                  read_attribute<uint32_t>(attributes, FRA_TABLE).value_or(0));
  });
  // fib_default_rules_init().
  return rules ==
         std::set<Rule>{{0, RT_TABLE_LOCAL}, {0x7FFE, RT_TABLE_MAIN}, {0x7FFF, RT_TABLE_DEFAULT}};
}

std::optional<std::vector<rules::Route>>
read_routes(Netlink& netlink, const std::vector<rules::Interface>& interfaces) {
  const auto merged = is_main_merged(netlink);
  if (!merged) return std::nullopt;
  std::vector<rules::Route> out;
  if (!append_routes(netlink, RT_TABLE_LOCAL, rules::local_table, out)) return std::nullopt;
  std::set<uint32_t> vrf_tables;
  for (const rules::Interface& i : interfaces)
    if (i.vrf_table != 0) vrf_tables.insert(i.vrf_table);
  for (const uint32_t table : vrf_tables)
    if (!append_routes(netlink, table, table, out)) return std::nullopt;
  if (*merged && !append_routes(netlink, RT_TABLE_MAIN, rules::local_table, out))
    return std::nullopt;
  return out;
}

void read_network(rules::HostFacts& facts) {
  auto netlink = Netlink::open(NETLINK_ROUTE);
  if (!netlink) return;
  facts.interfaces = read_interfaces(*netlink);
  facts.addresses6 = read_addresses6(*netlink);
  // The last one: too long an answer spoils the socket.
  if (facts.interfaces) facts.routes = read_routes(*netlink, *facts.interfaces);
}

// ---- capabilities ----

constexpr uint64_t all_capabilities = ~uint64_t{0};
constexpr uint64_t initial_user_ns = 0xEFFFFFFD; // PROC_USER_INIT_INO

uint64_t inode_of(const Fd& fd) {
  struct stat st {};
  return ::fstat(fd.get(), &st) == 0 ? st.st_ino : 0;
}

std::string proc_path(uint32_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

struct Credentials {
  uint64_t effective = 0; // CapEff
  uint32_t euid = 0;
  uint64_t user_ns = 0;
};

std::optional<Credentials> read_credentials(uint32_t pid) {
  const auto status = read_file(proc_path(pid, "status"));
  struct stat user_ns {};
  if (!status || ::stat(proc_path(pid, "ns/user").c_str(), &user_ns) != 0) return std::nullopt;
  auto capabilities = value_of(*status, "CapEff:");
  auto uids = value_of(*status, "Uid:"); // real, effective, saved, file system
  if (!capabilities || !uids) return std::nullopt;
  const auto effective = take_number<uint64_t>(*capabilities, 16);
  const auto real = take_number<uint32_t>(*uids);
  const auto euid = take_number<uint32_t>(*uids);
  if (!effective || !real || !euid) return std::nullopt;
  return Credentials{*effective, *euid, user_ns.st_ino};
}

// cap_capable(), security/commoncap.c: the capabilities held in the user
// namespace itself or in one around it; and whoever made a user namespace has
// all of them in it.
std::optional<uint64_t> capabilities_in(Fd user_ns, const Credentials& caller) {
  while (inode_of(user_ns) != caller.user_ns) {
    Fd parent(::ioctl(user_ns.get(), NS_GET_PARENT));
    // Above the last one that can be seen there is something only if that is
    // not the initial one.
    if (!parent && inode_of(user_ns) != initial_user_ns) return std::nullopt;
    if (!parent) return 0;
    uid_t owner = 0;
    if (inode_of(parent) == caller.user_ns &&
        ::ioctl(user_ns.get(), NS_GET_OWNER_UID, &owner) == 0 && owner == caller.euid)
      return all_capabilities;
    user_ns = std::move(parent);
  }
  return caller.effective;
}

std::optional<uint64_t> find_capabilities(const Fd& netns, const CallerFacts& caller) {
  Fd user_ns(::ioctl(netns.get(), NS_GET_USERNS));
  if (!user_ns) return std::nullopt;
  if (caller.pid) {
    const auto credentials = read_credentials(*caller.pid);
    if (!credentials) return std::nullopt;
    return capabilities_in(std::move(user_ns), *credentials);
  }
  if (!caller.uid) return std::nullopt;
  if (*caller.uid == 0) return all_capabilities;
  if (inode_of(user_ns) != initial_user_ns) return std::nullopt;
  return 0;
}

void read_capabilities(const Fd& netns, const CallerFacts& caller, rules::HostFacts& facts) {
  const auto held = find_capabilities(netns, caller);
  if (!held) return;
  const auto has = [&](int capability) { return (*held >> capability & 1) != 0; };
  facts.cap_net_bind_service = has(CAP_NET_BIND_SERVICE);
  facts.cap_net_admin_or_raw = has(CAP_NET_ADMIN) || has(CAP_NET_RAW);
}

// ---- policies ----

using ProgramIds = std::set<uint32_t>;

// Programs that run at a bind of a socket of this cgroup; with
// BPF_F_QUERY_EFFECTIVE also those attached above it.
ProgramIds bind_programs(const Fd& cgroup, uint32_t query_flags) {
  ProgramIds out;
  for (const auto type : {BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET6_BIND, BPF_CGROUP_INET4_POST_BIND,
                          BPF_CGROUP_INET6_POST_BIND}) {
    std::array<uint32_t, 64> ids{}; // BPF_CGROUP_MAX_PROGS of one cgroup
    uint32_t count = ids.size();
    uint32_t attach_flags = 0;
    const int error =
        ::bpf_prog_query(cgroup.get(), type, query_flags, &attach_flags, ids.data(), &count);
    // When there are more, the first ones are there and `count` is their number.
    if (error == 0 || errno == ENOSPC)
      out.insert(ids.begin(), ids.begin() + std::min<size_t>(count, ids.size()));
  }
  return out;
}

Fd open_cgroup(const std::string& path) {
  static const std::string mount = cgroup2_mount();
  if (mount.empty()) return {};
  return Fd(::open((mount + path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

// Path of a process in the v2 hierarchy, "/" for its root. Empty for none, and
// for one that lies outside of the daemon's cgroup namespace.
std::string cgroup_path(uint32_t pid) {
  const auto text = read_file(proc_path(pid, "cgroup"));
  const auto path = text ? value_of(*text, "0::") : std::nullopt;
  if (!path || !path->starts_with('/') || path->starts_with("/..")) return {};
  return std::string(*path);
}

void append_cgroup_policies(uint32_t pid, std::span<const uint32_t> own,
                            std::vector<std::string>& out) {
  std::string path = cgroup_path(pid);
  if (path.empty()) return;
  ProgramIds foreign = bind_programs(open_cgroup(path), BPF_F_QUERY_EFFECTIVE);
  for (const uint32_t id : own)
    foreign.erase(id);
  // Usually there are none, and then nobody needs to know where.
  while (!foreign.empty()) {
    const ProgramIds here = bind_programs(open_cgroup(path), 0);
    const auto found =
        std::ranges::count_if(here, [&](uint32_t id) { return foreign.contains(id); });
    if (found == 1) out.push_back("a cgroup BPF program attached to " + path);
    if (found > 1)
      out.push_back(std::to_string(found) + " cgroup BPF programs attached to " + path);
    if (path == "/") return;
    path.resize(std::max<size_t>(path.rfind('/'), 1));
  }
}

SecurityLabels read_labels(uint32_t pid) {
  SecurityLabels out;
  out.selinux_enforcing = read_file("/sys/fs/selinux/enforce") == "1";
  // Without a module's own directory the file is that of the first module.
  if (out.selinux_enforcing) out.selinux = read_file(proc_path(pid, "attr/current")).value_or("");
  out.apparmor = read_file(proc_path(pid, "attr/apparmor/current")).value_or("");
  return out;
}

// The third part of "user:role:type:level".
std::string_view selinux_type(std::string_view label) {
  for (int part = 0; part < 2; ++part) {
    const size_t colon = label.find(':');
    if (colon == std::string_view::npos) return {};
    label.remove_prefix(colon + 1);
  }
  return label.substr(0, label.find(':'));
}

void read_caller(const Fd& netns, const CallerFacts& caller, std::span<const uint32_t> own,
                 rules::HostFacts& facts) {
  read_capabilities(netns, caller, facts);
  if (!caller.pid) return;
  append_cgroup_policies(*caller.pid, own, facts.policies);
  std::ranges::move(security_policies(read_labels(*caller.pid)),
                    std::back_inserter(facts.policies));
}

Result<rules::HostFacts> read_namespace(const Fd& netns) {
  rules::HostFacts facts;
  const auto read = in_netns(netns, [&]() -> Result<void> {
    read_sysctls(facts);
    read_network(facts);
    return {};
  });
  if (!read) return std::unexpected(read.error());
  return facts;
}

} // namespace

std::vector<std::string> security_policies(const SecurityLabels& labels) {
  std::vector<std::string> out;
  const std::string_view type = selinux_type(labels.selinux);
  if (labels.selinux_enforcing && !type.empty() && !type.starts_with("unconfined"))
    out.push_back("SELinux, which confines the caller to " + std::string(type));
  const std::string_view profile = labels.apparmor;
  if (profile.ends_with(" (enforce)") || profile.ends_with(" (kill)"))
    out.push_back("AppArmor, which confines the caller to profile " +
                  std::string(profile.substr(0, profile.rfind(" ("))));
  return out;
}

Result<rules::HostFacts> read_host_facts(const Fd& netns, const CallerFacts& caller,
                                         std::span<const uint32_t> own_programs) {
  auto facts = read_namespace(netns);
  if (facts) read_caller(netns, caller, own_programs, *facts);
  return facts;
}

Result<rules::HostFacts> HostFactsCache::get(const Fd& netns, const CallerFacts& caller) {
  const MonoNs now = monotonic_now();
  std::erase_if(entries_, [&](const auto& e) { return now - e.second.read_at >= max_age_; });
  auto entry = entries_.find(inode_of(netns));
  if (entry == entries_.end()) {
    auto facts = read_namespace(netns);
    if (!facts) return facts;
    entry = entries_.emplace(inode_of(netns), Entry{std::move(*facts), now}).first;
  }
  rules::HostFacts facts = entry->second.facts;
  read_caller(netns, caller, own_programs_, facts);
  return facts;
}

} // namespace bindlens::kernel
