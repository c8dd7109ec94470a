#pragma once

// Ports in use, in one expression. The range is 40000-40009 here.
//
//   PortScene scene;
//   scene.add(holds("10.0.0.5:40000").child("10.0.0.9:80"), by_connect);

#include <bindlens/analysis/port_use.h>

#include "world.h"

namespace bindlens::analysis::test {

using model::SocketFlag;
using rules::test::address;
using rules::test::endpoint;
using rules::test::holds;

constexpr bool by_connect = true; // the bucket has been used by connect() only
constexpr uint32_t netns = rules::test::host;

class PortScene {
 public:
  rules::HostFacts facts = rules::test::known_host();

  model::Socket& add(const holds& h, bool connect_only = false) {
    model::Socket s = h.socket();
    s.id = ++last_id_;
    model::Bucket* bucket = nullptr;
    for (model::Bucket& b : view.buckets)
      if (b.port == s.local.port && b.proto == s.proto && b.netns == s.netns) bucket = &b;
    if (bucket == nullptr) bucket = &view.buckets.emplace_back();
    bucket->proto = s.proto;
    bucket->port = s.local.port;
    bucket->netns = s.netns;
    if (connect_only) bucket->fastreuse = bucket->fastreuseport = -1;
    bucket->sockets.push_back(s);
    return bucket->sockets.back();
  }
  // So many connections to one server, each from a port of its own.
  void connect(int count, const char* to, int first = 40000) {
    for (int i = 0; i < count; ++i)
      add(holds(at(first + i).c_str()).child(to), by_connect);
  }
  void wait(int count, const char* to, int first, uint32_t left_ms) {
    for (int i = 0; i < count; ++i) {
      model::Socket& s = add(holds(at(first + i).c_str()).child(to).time_wait(left_ms), by_connect);
      s.tw_substate = model::State::time_wait;
    }
  }
  [[nodiscard]] static std::string at(int port) { return "10.0.0.5:" + std::to_string(port); }

  [[nodiscard]] FactsOf facts_of() const {
    return [this](uint32_t) -> const rules::HostFacts& { return facts; };
  }
  [[nodiscard]] Census census() const { return count_ports(view, facts_of()); }
  [[nodiscard]] RouteUse route(const char* to, const char* from = "10.0.0.5") const {
    const Census all = census();
    const auto it = all.routes.find({netns, address(from), endpoint(to)});
    return it == all.routes.end() ? RouteUse{} : it->second;
  }

  model::PortView view;

 private:
  model::SocketId last_id_ = 0;
};

} // namespace bindlens::analysis::test
