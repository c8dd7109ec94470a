#pragma once

// Worlds in one expression:
//
//   EXPECT_EQ(rule(ask("0.0.0.0:80"), {holds("127.0.0.1:80").listening()}), Rule::listener);

#include <bindlens/rules/change.h>
#include <bindlens/rules/engine.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <initializer_list>
#include <ostream>

namespace bindlens::model {

inline void PrintTo(Rule r, std::ostream* out) {
  *out << '"' << to_string(r) << '"';
}
inline void PrintTo(Relation r, std::ostream* out) {
  *out << '"' << to_string(r) << '"';
}

} // namespace bindlens::model

namespace bindlens::rules::test {

using model::Family;
using model::Proto;
using model::Relation;
using model::Rule;
using model::SocketFlag;
using model::State;

inline model::Endpoint endpoint(const char* text) {
  return model::parse_endpoint(text).value();
}
inline model::Address address(const char* text) {
  return model::parse_address(text).value();
}

constexpr uint32_t host = 4026531840; // the namespace of everything unless said otherwise

// A socket that holds a port. As bind() leaves it: a socket on a specific IPv6
// address has IPV6_V6ONLY.
class holds {
 public:
  explicit holds(const char* at) {
    s_.local = endpoint(at);
    s_.netns = host;
    s_.uid = s_.inode_uid = 1000;
    s_.inode = 77;
    s_.flags.set(SocketFlag::port_locked);
    const model::Address& a = s_.local.addr;
    s_.flags.set(SocketFlag::v6only,
                 a.family == Family::inet6 && !a.is_v4_mapped() && !a.is_wildcard());
  }
  holds& udp() { return s_.proto = Proto::udp, *this; }
  holds& with(SocketFlag f, bool on = true) { return s_.flags.set(f, on), *this; }
  holds& reuseaddr() { return with(SocketFlag::reuseaddr); }
  holds& reuseport() { return with(SocketFlag::reuseport); }
  holds& v6only() { return with(SocketFlag::v6only); }
  holds& uid(uint32_t u) { return s_.uid = s_.inode_uid = u, *this; }
  holds& dev(uint32_t d) { return s_.dev = d, *this; }
  holds& netns(uint32_t n) { return s_.netns = n, *this; }
  holds& id(model::SocketId i) { return s_.id = i, *this; }
  holds& hash2(uint32_t h) { return s_.udp_hash2 = h, *this; }
  holds& listening() { return s_.state = State::listen, *this; }
  holds& connected(const char* peer) {
    s_.state = State::established;
    s_.peer = endpoint(peer);
    return *this;
  }
  // Accepted by a listener: it never asked for its port.
  holds& child(const char* peer) {
    connected(peer);
    s_.flags.set(SocketFlag::v6only, false);
    return with(SocketFlag::port_locked, false);
  }
  holds& state(State s) { return s_.state = s, *this; }
  // No process has it open: not accepted yet, or, by its state, closed.
  holds& queued() {
    s_.inode = s_.inode_uid = 0;
    return with(SocketFlag::orphan);
  }
  holds& time_wait(uint32_t left_ms = 0) {
    s_.state = State::time_wait;
    s_.uid = s_.inode_uid = 0;
    s_.inode = 0;
    s_.tw_left_ms = left_ms;
    s_.flags.set(SocketFlag::port_locked, false);
    return with(SocketFlag::timewait);
  }
  [[nodiscard]] const model::Socket& socket() const { return s_; }

 private:
  model::Socket s_;
};

// A request; to bind unless told otherwise.
class ask {
 public:
  explicit ask(const char* at) {
    r_.local = endpoint(at);
    r_.netns = host;
    r_.uid = 1000;
  }
  ask& udp() { return r_.proto = Proto::udp, *this; }
  ask& proto(Proto p) { return r_.proto = p, *this; }
  ask& with(SocketFlag f) { return r_.flags.set(f), *this; }
  ask& reuseaddr() { return with(SocketFlag::reuseaddr); }
  ask& reuseport() { return with(SocketFlag::reuseport); }
  ask& v6only() { return with(SocketFlag::v6only); }
  ask& uid(uint32_t u) { return r_.uid = u, *this; }
  ask& dev(uint32_t d) { return r_.dev = d, *this; }
  ask& scope(uint32_t s) { return r_.scope_id = s, *this; }
  ask& family(Family f) { return r_.family = f, *this; }
  ask& self(model::SocketId i) { return r_.self = i, *this; }
  ask& has_port() { return r_.has_port = true, *this; }
  ask& connected() { return r_.connected = true, *this; }
  ask& own_range(uint16_t first, uint16_t last) { return r_.own_range = {first, last}, *this; }
  ask& then_listen() { return r_.then_listen = true, *this; }
  ask& to_listen() { return r_.op = Operation::listen, *this; }
  ask& to_autobind() { return r_.op = Operation::autobind, *this; }
  ask& to_connect(const char* peer) {
    r_.op = Operation::connect;
    r_.peer = endpoint(peer);
    return *this;
  }
  [[nodiscard]] const Request& request() const { return r_; }

 private:
  Request r_;
};

// A host where everything is known: 127/8 and 10.0.0.5 on IPv4, ::1 and fd00::5
// on IPv6, a VRF (interface 9) with eth1 (3) in it; the caller has no privilege.
inline HostFacts known_host() {
  HostFacts f;
  f.unprivileged_port_start = 1024;
  f.nonlocal_bind4 = f.nonlocal_bind6 = false;
  f.local_port_range = PortRange{40000, 40009};
  f.reserved_ports.emplace();
  f.autobind_reuse = false;
  f.tcp_l3mdev_accept = false;
  f.bindv6only = false;
  f.routes = std::vector<Route>{
      {address("127.0.0.0"), 8, RouteType::local, local_table},
      {address("10.0.0.5"), 32, RouteType::local, local_table},
      {address("10.0.0.255"), 32, RouteType::broadcast, local_table},
      {address("10.2.0.5"), 32, RouteType::local, 900},
  };
  f.addresses6 = std::vector<Address6>{{address("::1"), 1, false},
                                       {address("fd00::5"), 2, false},
                                       {address("fe80::5"), 2, false},
                                       {address("fd00::7"), 2, true},
                                       {address("fd00:2::5"), 3, false}};
  f.interfaces = std::vector<Interface>{
      {1, "lo", 0, 0}, {2, "eth0", 0, 0}, {3, "eth1", 9, 900}, {9, "vrf-red", 9, 900}};
  f.cap_net_bind_service = false;
  f.cap_net_admin_or_raw = false;
  return f;
}

// One bucket per port and VRF, in the order of the holders.
inline model::PortView view_of(std::initializer_list<holds> holders, uint32_t l3mdev = 0) {
  model::PortView view;
  model::SocketId next_id = 1000;
  for (const holds& h : holders) {
    model::Socket s = h.socket();
    if (s.id == 0) s.id = next_id++;
    auto it = view.buckets.begin();
    for (; it != view.buckets.end(); ++it)
      if (it->port == s.local.port && it->proto == s.proto && it->netns == s.netns) break;
    if (it == view.buckets.end()) {
      model::Bucket b;
      b.proto = s.proto;
      b.port = s.local.port;
      b.netns = s.netns;
      b.l3mdev = l3mdev;
      view.buckets.push_back(b);
      it = view.buckets.end() - 1;
    }
    it->sockets.push_back(s);
    it->slot_count++;
  }
  return view;
}

inline Verdict verdict(const ask& a, const model::PortView& view, const Variants& v = {},
                       const HostFacts& facts = known_host()) {
  return decide(a.request(), view, facts, v);
}

// The errno, 0 for success.
inline int error(const ask& a, std::initializer_list<holds> holders = {}, const Variants& v = {}) {
  return verdict(a, view_of(holders), v).error;
}
inline int error(const ask& a, const HostFacts& facts) {
  return decide(a.request(), {}, facts, {}).error;
}
inline Rule rule(const ask& a, std::initializer_list<holds> holders = {}, const Variants& v = {}) {
  return verdict(a, view_of(holders), v).rule;
}

} // namespace bindlens::rules::test
