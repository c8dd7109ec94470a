// The engine's request for the next call, read from the socket as it is now.

#include "world.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace differential {

using bindlens::Fd;
using bindlens::model::Address;
using bindlens::model::Endpoint;
using bindlens::model::Family;
using bindlens::model::Proto;
using bindlens::model::SocketFlag;
namespace rules = bindlens::rules;

namespace {

int get_int(const Fd& fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd.get(), level, name, &value, &size) == 0 ? value : 0;
}

Endpoint to_endpoint(const sockaddr_storage& a) {
  Endpoint out;
  if (a.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&a);
    std::memcpy(out.addr.bytes.data(), &in->sin_addr, 4);
    out.port = ntohs(in->sin_port);
  } else {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&a);
    out.addr.family = Family::inet6;
    std::memcpy(out.addr.bytes.data(), &in6->sin6_addr, 16);
    out.port = ntohs(in6->sin6_port);
  }
  return out;
}

Endpoint name_of(const Fd& fd) {
  sockaddr_storage a{};
  socklen_t size = sizeof a;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &size);
  return to_endpoint(a);
}

bool is_tcp(Transport t) {
  return t == Transport::tcp || t == Transport::mptcp;
}

Proto proto_of(Transport t) {
  switch (t) {
  case Transport::udp:
    return Proto::udp;
  case Transport::udplite:
    return Proto::udplite;
  case Transport::mptcp:
    return Proto::mptcp;
  case Transport::tcp:
    break;
  }
  return Proto::tcp;
}

int tcp_state(const Slot& s) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(s.fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return TCP_CLOSE;
  return info.tcpi_state;
}

// TCP_CLOSE, which bind and listen ask for.
bool in_close(const Slot& s) {
  if (!is_tcp(s.transport)) return !s.connected;
  return tcp_state(s) == TCP_CLOSE;
}

void read_options(const Slot& s, rules::Request& r) {
  const int reuse = get_int(s.fd, SOL_SOCKET, SO_REUSEADDR);
  r.flags.set(SocketFlag::reuseaddr, reuse != 0);
  r.flags.set(SocketFlag::force_reuse, reuse == 2);
  r.flags.set(SocketFlag::reuseport, get_int(s.fd, SOL_SOCKET, SO_REUSEPORT) != 0);
  r.flags.set(SocketFlag::v6only, s.v6 && get_int(s.fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0);
  r.flags.set(SocketFlag::freebind, get_int(s.fd, IPPROTO_IP, IP_FREEBIND) != 0);
  r.flags.set(SocketFlag::transparent, get_int(s.fd, IPPROTO_IP, IP_TRANSPARENT) != 0);
  r.flags.set(SocketFlag::bind_no_port, get_int(s.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) != 0);
  r.flags.set(SocketFlag::has_group, s.attached);
  constexpr int bind_to_ifindex = 62; // SO_BINDTOIFINDEX
  r.dev = static_cast<uint32_t>(get_int(s.fd, SOL_SOCKET, bind_to_ifindex));
  constexpr int ip_local_port_range = 51; // IP_LOCAL_PORT_RANGE
  const auto range = static_cast<uint32_t>(get_int(s.fd, IPPROTO_IP, ip_local_port_range));
  r.own_range = {static_cast<uint16_t>(range & 0xffff), static_cast<uint16_t>(range >> 16)};
  struct stat st {};
  if (::fstat(s.fd.get(), &st) == 0) r.uid = st.st_uid;
}

// The source that routing takes for an address of this host: 127.0.0.1 for its
// whole network, and every other address for itself.
Address source_for(const Address& to) {
  const auto v4 = to.as_v4();
  if (!v4 || !(v4->is_wildcard() || v4->is_loopback())) return to;
  return *bindlens::model::parse_address(to.is_v4_mapped() ? "::ffff:127.0.0.1" : "127.0.0.1");
}

} // namespace

bool World::request_for(const Op& op, rules::Request& r) const {
  const Slot& s = sockets_[op.slot];
  if (!s.fd) return false;
  r = {};
  r.proto = proto_of(s.transport);
  r.family = s.v6 ? Family::inet6 : Family::inet;
  r.netns = lab_.netns();
  read_options(s, r);
  const Endpoint name = name_of(s.fd);
  switch (op.kind) {
  case Kind::bind:
    r.op = rules::Operation::bind;
    r.local = {lab_.addresses()[op.a].addr, port_of(op.b)};
    r.scope_id = lab_.addresses()[op.a].scope;
    r.connected = !in_close(s) && !s.listening;
    r.has_port = s.listening;
    return true;
  case Kind::listen:
    if (s.listening) return false; // only the backlog changes
    r.op = rules::Operation::listen;
    r.local = name;
    r.connected = is_tcp(s.transport) && (s.connected || !in_close(s));
    return true;
  case Kind::send:
    if (is_tcp(s.transport) || name.port != 0) return false;
    r.op = rules::Operation::autobind;
    r.local = name;
    return true;
  case Kind::connect: {
    sockaddr_storage to{};
    socklen_t size = 0;
    if (s.listening || s.connected || !in_close(s)) return false;
    if (op.a == op.slot || !name_as_peer(op.a, to, size)) return false;
    r.op = rules::Operation::connect;
    r.peer = to_endpoint(to);
    if (r.peer.addr.family != *r.family) return false; // fails for its family, or turns to IPv4
    // tcp_v6_connect() binds the socket to the device of the scope before it looks for a port,
    // UDP afterwards.
    if (r.dev == 0 && to.ss_family == AF_INET6 && is_tcp(s.transport))
      r.dev = reinterpret_cast<const sockaddr_in6*>(&to)->sin6_scope_id;
    if (!is_tcp(s.transport) && name.port != 0) return false;
    r.local = name;
    return true;
  }
  default:
    return false;
  }
}

bool World::in_syn_sent(unsigned slot) const {
  const Slot& s = sockets_[slot];
  return is_tcp(s.transport) && tcp_state(s) == TCP_SYN_SENT;
}

uint16_t World::own_port(unsigned slot) const {
  return name_of(sockets_[slot].fd).port;
}

void World::complete_from(const bindlens::model::PortView& view, const Op& op,
                          rules::Request& r) const {
  const Slot& s = sockets_[op.slot];
  bool in_table = false;
  for (const auto& b : view.buckets) {
    for (const auto& row : b.sockets) {
      if (row.inode == 0 || row.inode != s.inode) continue;
      in_table = true;
      r.self = row.id;
      r.flags.set(SocketFlag::has_group, row.is(SocketFlag::has_group));
      r.flags.set(SocketFlag::group_has_closed, row.is(SocketFlag::group_has_closed));
      if (op.kind == Kind::bind) r.has_port = true;
    }
  }
  // getsockname() goes on to show the port of a connection that was dissolved.
  if (!in_table && op.kind != Kind::bind) r.local.port = 0;
  const bool keeps_source = r.local.addr.is_v4_mapped() && !r.peer.addr.as_v4();
  if (op.kind == Kind::connect && is_tcp(s.transport) && r.local.addr.is_wildcard() && r.dev == 0 &&
      !keeps_source) // on a device routing may choose another
    r.local.addr = source_for(r.peer.addr);
}

} // namespace differential
