#pragma once

// Sockets, processes, failures and events, each made in one expression.

#include <bindlens/model/bucket.h>
#include <bindlens/model/event.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

namespace bindlens::test {

constexpr uint32_t host_netns = 4026531840;
constexpr uint32_t other_netns = 4026532300;

struct SocketOf {
  model::Socket s;

  explicit SocketOf(model::SocketId id, uint16_t port = 8080) {
    s.id = id;
    s.netns = host_netns;
    s.local = {model::Address::any(model::Family::inet), port};
    s.flags.set(model::SocketFlag::port_locked);
  }
  SocketOf& proto(model::Proto p) { return s.proto = p, *this; }
  SocketOf& state(model::State v) { return s.state = v, *this; }
  SocketOf& listening() { return state(model::State::listen); }
  SocketOf& addr(model::Address a) { return s.local.addr = a, *this; }
  SocketOf& netns(uint32_t n) { return s.netns = n, *this; }
  SocketOf& uid(uint32_t u) { return s.uid = u, *this; }
  SocketOf& cookie(uint64_t c) { return s.cookie = c, *this; }
  SocketOf& peer(uint16_t port) { return s.peer.port = port, *this; }
  SocketOf& with(model::SocketFlag f) { return s.flags.set(f), *this; }
  SocketOf& without(model::SocketFlag f) { return s.flags.set(f, false), *this; }
  operator model::Socket() const { return s; } // NOLINT: a builder stands for what it builds
};

inline model::ProcessRef process(uint32_t pid, std::string comm = "nginx", std::string unit = {},
                                 std::string container = {}) {
  model::Process p;
  p.pid = pid;
  p.start_time = pid * 1000ULL;
  p.comm = std::move(comm);
  p.unit = std::move(unit);
  p.container = std::move(container);
  return std::make_shared<const model::Process>(std::move(p));
}

inline model::Failure refused_bind(uint16_t port, uint32_t pid = 4121, MonoNs time = 100) {
  model::Failure f;
  f.time = f.first_time = time;
  f.error = EADDRINUSE;
  f.asked = {model::Address::any(model::Family::inet), port};
  f.netns = host_netns;
  f.process = process(pid);
  return f;
}

inline model::Event event(model::EventType type, MonoNs time, const model::Socket& s,
                          model::ProcessRef who = nullptr) {
  model::Event e;
  e.type = type;
  e.time = time;
  e.socket = s;
  e.process = std::move(who);
  return e;
}

inline model::Bucket bucket_of(std::initializer_list<model::Socket> sockets, int8_t fastreuse = 0) {
  model::Bucket b;
  b.sockets = sockets;
  b.fastreuse = fastreuse;
  if (!b.sockets.empty()) {
    b.port = b.sockets.front().local.port;
    b.netns = b.sockets.front().netns;
    b.proto = b.sockets.front().proto;
  }
  return b;
}

} // namespace bindlens::test
