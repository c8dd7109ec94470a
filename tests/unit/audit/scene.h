#pragma once

// A host in one expression:
//
//   Scene scene;
//   scene.add(holds("0.0.0.0:80").listening(), nginx);
//   EXPECT_EQ(scene.told(), Strings{"warning wildcard-conflict 80"});

#include <bindlens/audit/audit.h>

#include "world.h"

#include <algorithm>
#include <map>

namespace bindlens::audit::test {

using Strings = std::vector<std::string>;
using model::SocketFlag;
using rules::test::holds;

constexpr MonoNs second = 1'000'000'000;

inline model::Process process(uint32_t pid, std::string comm, std::string unit = "") {
  model::Process p;
  p.pid = pid;
  p.comm = comm;
  p.exe = "/usr/bin/" + comm;
  p.unit = std::move(unit);
  p.start_time = pid * second;
  return p;
}

class Scene {
 public:
  rules::HostFacts facts = rules::test::known_host();
  MonoNs now = 1000 * second;
  std::vector<model::JudgedGroup> groups;
  std::vector<model::TimeWaitReuse> reuses; // the newest first

  // The model::Blocker that the audit will be given for this socket.
  model::Blocker& add(const holds& h, const std::vector<model::Process>& holders = {}) {
    model::Socket s = h.socket();
    s.id = ++last_id_;
    const auto place = std::ranges::find_if(view_.buckets, [&](const model::Bucket& b) {
      return b.port == s.local.port && b.proto == s.proto && b.netns == s.netns;
    });
    model::Bucket& bucket = place != view_.buckets.end() ? *place : view_.buckets.emplace_back();
    bucket.proto = s.proto;
    bucket.port = s.local.port;
    bucket.netns = s.netns;
    bucket.sockets.push_back(s);
    model::Blocker& b = owners_[s.id];
    b.socket = s;
    b.holders_known = true;
    for (const model::Process& p : holders)
      b.holders.push_back({std::make_shared<const model::Process>(p), 3});
    return b;
  }
  model::Bucket& bucket(uint16_t port) {
    return *std::ranges::find(view_.buckets, port, &model::Bucket::port);
  }

  [[nodiscard]] std::vector<model::Finding> run(std::optional<MonoNs>* by_age = nullptr) const {
    Input in;
    in.view = &view_;
    in.facts = [this](uint32_t) -> const rules::HostFacts& { return facts; };
    in.resolve = [this](model::Blocker& b) { b = owners_.at(b.socket.id); };
    in.user = [](uint32_t uid) { return uid == 33 ? std::string("www-data") : std::string(); };
    in.groups = groups;
    in.reuses = reuses;
    in.now = now;
    in.watched_since = 100 * second;
    return audit(in, by_age);
  }
  [[nodiscard]] std::optional<MonoNs> by_age() const {
    std::optional<MonoNs> time;
    (void)run(&time);
    return time;
  }
  // "severity id port", in order.
  [[nodiscard]] Strings told() const {
    Strings all;
    for (const model::Finding& f : run())
      all.push_back(std::string(to_string(f.severity)) + " " + std::string(to_string(f.id)) + " " +
                    std::to_string(f.port));
    return all;
  }

 private:
  model::PortView view_;
  std::map<model::SocketId, model::Blocker> owners_;
  model::SocketId last_id_ = 0;
};

} // namespace bindlens::audit::test
