#include <bindlens/kernel/sock_diag.h>

#include "netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/magic.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>

namespace bindlens::kernel {

namespace {

namespace fs = std::filesystem;
using model::Family;
using model::Proto;
using model::Socket;
using model::SocketFlag;
using model::State;

// Bit 13 asks for bound, idle TCP sockets (TCP_BOUND_INACTIVE, from 6.8); older
// kernels ignore it.
constexpr uint32_t all_states = ~uint32_t{0};
constexpr uint8_t timer_time_wait = 3; // idiag_timer, inet_twsk_diag_fill()

uint8_t protocol_number(Proto proto) {
  if (proto == Proto::udp) return IPPROTO_UDP;
  return proto == Proto::udplite ? IPPROTO_UDPLITE : IPPROTO_TCP;
}

model::Endpoint to_endpoint(uint8_t family, const uint32_t (&address)[4], uint16_t port) {
  model::Endpoint out;
  out.addr.family = family == AF_INET6 ? Family::inet6 : Family::inet;
  std::memcpy(out.addr.bytes.data(), &address, family == AF_INET6 ? 16 : 4);
  out.port = ntohs(port);
  return out;
}

void set_state(Socket& s, const inet_diag_msg& m) {
  const auto state = static_cast<State>(m.idiag_state);
  if (m.idiag_timer != timer_time_wait) {
    s.state = state;
    return;
  }
  // The state shown is the substate: FIN_WAIT2 while the peer may still send.
  s.state = State::time_wait;
  s.tw_substate = state;
  s.tw_left_ms = m.idiag_expires;
  s.flags.set(SocketFlag::timewait);
}

void set_flags(Socket& s, Bytes attributes) {
  s.flags.set(SocketFlag::v6only, read_attribute<uint8_t>(attributes, INET_DIAG_SKV6ONLY) == 1);
  s.flags.set(SocketFlag::connected, s.proto != Proto::tcp && s.peer.port != 0);
  // A request of a handshake (SYN_RECV) has no socket yet that could be orphaned.
  s.flags.set(SocketFlag::orphan,
              s.inode == 0 && !s.is(SocketFlag::timewait) && s.state != State::syn_recv);
  const auto options = read_attribute<inet_diag_sockopt>(attributes, INET_DIAG_SOCKOPT);
  if (!options) return;
  s.flags.set(SocketFlag::freebind, options->freebind != 0);
  s.flags.set(SocketFlag::transparent, options->transparent != 0);
  s.flags.set(SocketFlag::bind_no_port, options->bind_address_no_port != 0);
}

Socket to_socket(const inet_diag_msg& m, Bytes attributes, Proto proto, uint32_t netns) {
  Socket s;
  s.proto = proto;
  s.netns = netns;
  s.cookie = m.id.idiag_cookie[0] | uint64_t{m.id.idiag_cookie[1]} << 32;
  s.id = s.cookie;
  s.inode = m.idiag_inode;
  s.uid = m.idiag_uid;
  s.inode_uid = m.idiag_uid;
  s.dev = m.id.idiag_if;
  s.local = to_endpoint(m.idiag_family, m.id.idiag_src, m.id.idiag_sport);
  s.peer = to_endpoint(m.idiag_family, m.id.idiag_dst, m.id.idiag_dport);
  set_state(s, m);
  if (s.state == State::listen) {
    s.backlog = m.idiag_rqueue;
    s.max_backlog = m.idiag_wqueue;
  }
  set_flags(s, attributes);
  return s;
}

// Appends the sockets of one family.
Result<void> append_family(Netlink& netlink, uint8_t family, Proto proto, uint16_t port,
                           uint32_t netns, std::vector<Socket>& out) {
  inet_diag_req_v2 request{};
  request.sdiag_family = family;
  request.sdiag_protocol = protocol_number(proto);
  request.idiag_states = all_states;
  request.id.idiag_sport = htons(port);
  const auto dump = netlink.dump(SOCK_DIAG_BY_FAMILY, request);
  const bool absent = !dump && dump.error().code == ENOENT;
  if (absent && (family == AF_INET6 || proto == Proto::udplite)) return {};
  if (!dump) return fail(dump.error(), "the list of " + std::string(to_string(proto)) + " sockets");
  dump->for_each(SOCK_DIAG_BY_FAMILY, [&](Bytes body) {
    const auto m = read_struct<inet_diag_msg>(body);
    // The kernel lists bound, idle TCP sockets whatever their port is.
    if (m && m->id.idiag_sport != 0 && (port == 0 || m->id.idiag_sport == htons(port)))
      out.push_back(to_socket(*m, attributes_after<inet_diag_msg>(body), proto, netns));
  });
  return {};
}

uint32_t inode_of(const Fd& fd) {
  struct stat st {};
  return ::fstat(fd.get(), &st) == 0 ? static_cast<uint32_t>(st.st_ino) : 0;
}

// /run/netns also holds the plain files onto which namespaces get mounted.
bool is_namespace(const Fd& fd) {
  struct statfs fs_info {};
  return fd && ::fstatfs(fd.get(), &fs_info) == 0 && fs_info.f_type == NSFS_MAGIC;
}

std::vector<std::string> namespace_paths(std::error_code& error) {
  std::vector<std::string> out;
  std::error_code no_names;
  for (const auto& entry : fs::directory_iterator("/run/netns", no_names))
    out.push_back(entry.path().string());
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; }))
      out.push_back(entry.path().string() + "/ns/net");
  }
  return out;
}

// Calls `visit` once for every namespace. One descriptor at a time is open:
// there may be more namespaces than descriptors to be had.
Result<void> for_each_namespace(const std::function<void(uint32_t, const Fd&)>& visit) {
  std::error_code error;
  std::set<uint32_t> seen;
  for (const std::string& path : namespace_paths(error)) {
    // Processes that went away meanwhile, or hide, fail to open.
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (is_namespace(fd) && seen.insert(inode_of(fd)).second) visit(inode_of(fd), fd);
  }
  if (error) return fail_errno("the list of processes cannot be read", error.value());
  return {};
}

constexpr std::array protocols = {Proto::tcp, Proto::udp, Proto::udplite};

} // namespace

Result<std::vector<Socket>> diag_sockets(const Fd& netns, Proto proto, uint16_t port) {
  if (std::ranges::find(protocols, proto) == protocols.end())
    return fail_errno("sock_diag is asked for TCP, UDP and UDP-Lite only", EPROTONOSUPPORT);
  std::vector<Socket> out;
  const auto read = in_netns(netns, [&]() -> Result<void> {
    auto netlink = Netlink::open(NETLINK_SOCK_DIAG);
    if (!netlink) return std::unexpected(netlink.error());
    for (const uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}})
      if (auto read_family = append_family(*netlink, family, proto, port, inode_of(netns), out);
          !read_family)
        return read_family;
    return {};
  });
  if (!read) return std::unexpected(read.error());
  return out;
}

Result<std::vector<uint32_t>> list_namespaces() {
  std::vector<uint32_t> out;
  const auto listed = for_each_namespace([&](uint32_t inode, const Fd&) { out.push_back(inode); });
  if (!listed) return std::unexpected(listed.error());
  std::ranges::sort(out);
  return out;
}

model::PortView diag_snapshot(uint16_t port) {
  model::PortView view;
  const auto add = [&](uint32_t netns, const Fd& fd, Proto proto) {
    const auto sockets = diag_sockets(fd, proto, port);
    view.truncated = view.truncated || !sockets;
    if (!sockets) return;
    std::map<uint16_t, model::Bucket> buckets;
    for (const Socket& s : *sockets)
      buckets[s.local.port].sockets.push_back(s);
    for (auto& [number, bucket] : buckets) {
      bucket.proto = proto;
      bucket.netns = netns;
      bucket.port = number;
      view.buckets.push_back(std::move(bucket));
    }
  };
  const auto listed = for_each_namespace([&](uint32_t netns, const Fd& fd) {
    for (const Proto proto : protocols)
      add(netns, fd, proto);
  });
  view.truncated = view.truncated || !listed;
  return view;
}

} // namespace bindlens::kernel
