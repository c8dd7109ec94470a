#include "world.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <netinet/tcp.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <tuple>

namespace differential {

using bindlens::Fd;

namespace {

constexpr int ip_local_port_range = 51;   // IP_LOCAL_PORT_RANGE
constexpr int attach_reuseport_cbpf = 51; // SO_ATTACH_REUSEPORT_CBPF
constexpr int bind_to_ifindex = 62;       // SO_BINDTOIFINDEX

constexpr std::array<unsigned, 3> users = {0, 1001, 1002};

int set_int(const Fd& fd, int level, int name, int value) {
  return ::setsockopt(fd.get(), level, name, &value, sizeof value) == 0 ? 0 : errno;
}

// Runs `call` without CAP_NET_BIND_SERVICE in the thread's effective set.
template <typename Call>
int without_privilege(Call call) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  ::syscall(SYS_capget, &header, data.data());
  auto less = data;
  less[0].effective &= ~(1u << CAP_NET_BIND_SERVICE);
  ::syscall(SYS_capset, &header, less.data());
  const int result = call();
  ::syscall(SYS_capset, &header, data.data());
  return result;
}

uint64_t inode_of(const Fd& fd) {
  struct stat st {};
  return ::fstat(fd.get(), &st) == 0 ? st.st_ino : 0;
}

int type_of(Transport t) {
  return (t == Transport::udp || t == Transport::udplite ? SOCK_DGRAM : SOCK_STREAM) |
         SOCK_NONBLOCK | SOCK_CLOEXEC;
}

int protocol_of(Transport t) {
  switch (t) {
  case Transport::tcp:
    return IPPROTO_TCP;
  case Transport::udp:
    return IPPROTO_UDP;
  case Transport::udplite:
    return IPPROTO_UDPLITE;
  case Transport::mptcp:
    return 262; // IPPROTO_MPTCP
  }
  return 0;
}

void close_with_reset(Slot& s) {
  const linger now{1, 0};
  ::setsockopt(s.fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  s = {};
}

uint16_t port_at(const Fd& fd, int (*name)(int, sockaddr*, socklen_t*)) {
  sockaddr_in6 a{}; // the port of an IPv4 address is in the same place
  socklen_t size = sizeof a;
  return name(fd.get(), reinterpret_cast<sockaddr*>(&a), &size) == 0 ? a.sin6_port : 0;
}

bool are_ends_of_one(const Fd& client, const Fd& accepted) {
  const uint16_t port = port_at(client, ::getsockname);
  return port != 0 && port == port_at(accepted, ::getpeername);
}

} // namespace

int World::open(const Op& op) {
  Slot& s = sockets_[op.slot];
  s = {};
  s.transport = static_cast<Transport>(op.a);
  s.v6 = op.b != 0;
  ::syscall(SYS_setfsuid, users[op.c]);
  s.fd.reset(::socket(s.v6 ? AF_INET6 : AF_INET, type_of(s.transport), protocol_of(s.transport)));
  ::syscall(SYS_setfsuid, 0);
  s.inode = inode_of(s.fd);
  return -1;
}

int World::set_option(const Op& op) {
  const Slot& s = sockets_[op.slot];
  switch (static_cast<Option>(op.a)) {
  case Option::reuseaddr:
    set_int(s.fd, SOL_SOCKET, SO_REUSEADDR, op.b);
    break;
  case Option::reuseport:
    set_int(s.fd, SOL_SOCKET, SO_REUSEPORT, op.b);
    break;
  case Option::v6only:
    if (s.v6) set_int(s.fd, IPPROTO_IPV6, IPV6_V6ONLY, op.b);
    break;
  case Option::freebind:
    set_int(s.fd, IPPROTO_IP, IP_FREEBIND, op.b);
    break;
  case Option::transparent:
    set_int(s.fd, IPPROTO_IP, IP_TRANSPARENT, op.b);
    break;
  case Option::bind_no_port:
    set_int(s.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, op.b);
    break;
  case Option::repair:
    // Repair changes what connect and close do; only the reuse it brings counts
    // here, so it stays with sockets that have no connection.
    if (s.transport == Transport::tcp && !s.connected)
      set_int(s.fd, IPPROTO_TCP, TCP_REPAIR, op.b != 0 ? 1 : 0);
    break;
  }
  return -1;
}

int World::set_device(const Op& op) {
  const Slot& s = sockets_[op.slot];
  const uint32_t wanted = op.a == 0 ? 0 : lab_.devices()[op.a - 1u];
  int now = 0;
  socklen_t size = sizeof now;
  ::getsockopt(s.fd.get(), SOL_SOCKET, bind_to_ifindex, &now, &size);
  // A bound socket that moves to another VRF and then listens is found in a bucket
  // that is not its own, and the kernel warns of itself (inet_csk_get_port()).
  if (own_port(op.slot) != 0 && !lab_.same_vrf(static_cast<uint32_t>(now), wanted)) return -1;
  set_int(s.fd, SOL_SOCKET, bind_to_ifindex, static_cast<int>(wanted));
  return -1;
}

int World::bind(const Op& op) {
  const Slot& s = sockets_[op.slot];
  const LabAddress& where = lab_.addresses()[op.a];
  // The scope would stay with the subflow, where no option shows it.
  if (s.transport == Transport::mptcp && where.scope != 0) return -1;
  const sockaddr_storage to = to_sockaddr(where.addr, port_of(op.b), where.scope);
  // The whole storage as length: a short one would be refused before its family.
  auto call = [&] {
    return ::bind(s.fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
  };
  return op.c != 0 ? without_privilege(call) : call();
}

int World::listen(const Op& op) {
  Slot& s = sockets_[op.slot];
  constexpr int backlog = 4;
  const int result = ::listen(s.fd.get(), backlog) == 0 ? 0 : errno;
  if (result == 0) s.listening = true;
  return result;
}

bool World::name_as_peer(unsigned slot, sockaddr_storage& to, socklen_t& size) const {
  const Slot& target = sockets_[slot];
  if (!target.fd) return false;
  to = {};
  size = sizeof to;
  if (::getsockname(target.fd.get(), reinterpret_cast<sockaddr*>(&to), &size) != 0) return false;
  if (to.ss_family == AF_INET) {
    auto* in = reinterpret_cast<sockaddr_in*>(&to);
    if (in->sin_addr.s_addr == 0) in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return in->sin_port != 0;
  }
  auto* in6 = reinterpret_cast<sockaddr_in6*>(&to);
  if (IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr)) in6->sin6_addr = IN6ADDR_LOOPBACK_INIT;
  return in6->sin6_port != 0;
}

int World::connect(const Op& op) {
  Slot& s = sockets_[op.slot];
  sockaddr_storage to{};
  socklen_t size = 0;
  if (op.a == op.slot || !name_as_peer(op.a, to, size)) return -1;
  const int result =
      ::connect(s.fd.get(), reinterpret_cast<const sockaddr*>(&to), size) == 0 ? 0 : errno;
  if (result == 0 || result == EINPROGRESS) s.connected = true;
  // The error of an earlier attempt, told now, also takes the attempt back.
  if (result == ECONNREFUSED || result == ECONNRESET || result == ECONNABORTED) s.connected = false;
  return result;
}

int World::accept(const Op& op) {
  Slot fresh;
  const Slot& s = sockets_[op.slot];
  fresh.fd.reset(::accept4(s.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fresh.fd) return -1;
  fresh.transport = s.transport;
  fresh.v6 = s.v6;
  fresh.connected = true;
  fresh.inode = inode_of(fresh.fd);
  sockets_[op.a] = std::move(fresh);
  return -1;
}

int World::send(const Op& op) {
  const Slot& s = sockets_[op.slot];
  if (s.transport != Transport::udp && s.transport != Transport::udplite) return -1;
  const sockaddr_storage to = s.v6 ? to_sockaddr(*bindlens::model::parse_address("::1"), 9, 0)
                                   : to_sockaddr(bindlens::model::Address::v4(127, 0, 0, 1), 9, 0);
  const char byte = 0;
  const auto sent = ::sendto(s.fd.get(), &byte, 1, 0, reinterpret_cast<const sockaddr*>(&to),
                             s.v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
  // EAGAIN is the port's; what routing or a former error says is not.
  return sent < 0 && errno == EAGAIN ? EAGAIN : 0;
}

int World::make_crowd(const Op& op) {
  for (uint8_t i = 1; i <= 11; ++i) {
    Slot s;
    s.transport = Transport::udp;
    s.fd.reset(::socket(AF_INET, type_of(s.transport), 0));
    s.inode = inode_of(s.fd);
    const sockaddr_storage at =
        to_sockaddr(bindlens::model::Address::v4(127, 0, 9, i), port_of(op.a), 0);
    if (::bind(s.fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(sockaddr_in)) == 0)
      crowd_.push_back(std::move(s));
  }
  return -1;
}

// False when there was none: the kernel has no port left, for one.
bool World::expire_one(const Op& op) {
  sockaddr_storage to{};
  socklen_t size = 0;
  if (!name_as_peer(op.slot, to, size)) return false;
  Slot client;
  client.fd.reset(::socket(to.ss_family, type_of(Transport::tcp), 0));
  set_int(client.fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (op.a != 255) {
    const auto own = to.ss_family == AF_INET ? "127.0.0.1" : "::1";
    const sockaddr_storage from =
        to_sockaddr(*bindlens::model::parse_address(own), port_of(op.a), 0);
    if (::bind(client.fd.get(), reinterpret_cast<const sockaddr*>(&from), size) != 0) return false;
  }
  std::ignore = ::connect(client.fd.get(), reinterpret_cast<const sockaddr*>(&to), size);
  Slot accepted;
  accepted.fd.reset(
      ::accept4(sockets_[op.slot].fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  // Its queue may hold somebody else's connection in front.
  if (!accepted.fd || !are_ends_of_one(client.fd, accepted.fd)) {
    close_with_reset(client);
    if (accepted.fd) close_with_reset(accepted);
    return false;
  }
  if (op.b == 0) std::swap(client, accepted);
  accepted = {};
  return true;
}

int World::expire(const Op& op) {
  const Slot& s = sockets_[op.slot];
  if (!s.fd || s.transport != Transport::tcp || !s.listening) return -1;
  for (int n = 0; n < op.c; ++n)
    if (!expire_one(op)) break;
  return -1;
}

int World::descriptor_of(uint64_t inode) const {
  if (inode == 0) return -1;
  for (const Slot& s : sockets_)
    if (s.fd && s.inode == inode) return s.fd.get();
  for (const Slot& s : crowd_)
    if (s.inode == inode) return s.fd.get();
  return -1;
}

void World::reset_by_inode(uint64_t inode) {
  for (Slot& s : sockets_)
    if (s.fd && s.inode == inode) close_with_reset(s);
  for (Slot& s : crowd_)
    if (s.fd && s.inode == inode) close_with_reset(s);
}

int World::perform(const Op& op) {
  Slot& s = sockets_[op.slot];
  if (op.kind == Kind::open) return open(op);
  if (op.kind == Kind::crowd) return make_crowd(op);
  if (op.kind == Kind::expire) return expire(op);
  if (!s.fd) return -1;
  switch (op.kind) {
  case Kind::option:
    return set_option(op);
  case Kind::device:
    return set_device(op);
  case Kind::own_range: {
    const auto value = static_cast<int>(uint32_t(port_of(op.b)) << 16 | port_of(op.a));
    set_int(s.fd, IPPROTO_IP, ip_local_port_range, value);
    return -1;
  }
  case Kind::attach: {
    sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0);
    const sock_fprog program{1, &code};
    if (::setsockopt(s.fd.get(), SOL_SOCKET, attach_reuseport_cbpf, &program, sizeof program) == 0)
      s.attached = true;
    return -1;
  }
  case Kind::chown:
    // An owner given after the subflow was made stays with the outer socket, and
    // only the subflow's counts: nothing shows it from here.
    if (s.transport == Transport::mptcp) return -1;
    std::ignore = ::fchown(s.fd.get(), users[op.a], static_cast<gid_t>(-1));
    return -1;
  case Kind::bind:
    return bind(op);
  case Kind::listen:
    return listen(op);
  case Kind::connect:
    return connect(op);
  case Kind::accept:
    return accept(op);
  case Kind::disconnect: {
    const sockaddr none{AF_UNSPEC, {}};
    if (::connect(s.fd.get(), &none, sizeof none) == 0) s.connected = s.listening = false;
    return -1;
  }
  case Kind::send:
    return send(op);
  case Kind::shut:
    // An attempt to connect is taken back by it (inet_shutdown()).
    if (in_syn_sent(op.slot)) s.connected = false;
    if (::shutdown(s.fd.get(), SHUT_RDWR) == 0) s.listening = false;
    return -1;
  case Kind::close:
    s = {};
    return -1;
  case Kind::reset:
    close_with_reset(s);
    return -1;
  case Kind::open:
  case Kind::crowd:
  case Kind::expire:
    break;
  }
  return -1;
}

} // namespace differential
