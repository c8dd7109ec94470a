#pragma once

// What most tests start from: a namespace of their own, two processes in it, and
// the shared daemon asked about that namespace alone.

#include "actor.h"
#include "daemon.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bindlens::test {

class World : public testing::Test {
  // The number of a namespace comes again when it is gone, and the shared daemon
  // remembers what happened in the one that had it before.
  std::string start_ = now_text();

 protected:
  Netns netns;
  Actor a{netns, "kt-a"};
  Actor b{netns, "kt-b"};

  // What happens before the daemon is there is not told of.
  void SetUp() override { (void)daemon(); }

  [[nodiscard]] virtual Daemon& daemon() { return shared_daemon(); }

  // Of this namespace; `more` as "&port=1".
  [[nodiscard]] std::vector<Json> sockets(const std::string& more = "") {
    return daemon().lines("/v1/sockets?" + netns.query() + more);
  }
  [[nodiscard]] std::vector<Json> failures(const std::string& more = "") {
    return since_start(daemon().lines("/v1/failures?" + netns.query() + more));
  }
  // In the order in which they happened; findings, which come and go whenever they
  // are looked for, only when they are asked for by type.
  [[nodiscard]] std::vector<Json> events(const std::string& more = "") {
    auto all = since_start(daemon().lines("/v1/events?" + netns.query() + more));
    const bool typed = more.find("type=") != std::string::npos;
    std::erase_if(
        all, [&](const Json& e) { return e["type"] == "gap" || (!typed && e["type"] == "audit"); });
    std::stable_sort(all.begin(), all.end(), [](const Json& x, const Json& y) {
      return x["time"].get<std::string>() < y["time"].get<std::string>();
    });
    return all;
  }
  // The one failure on this port, once it is there; null when there is none or
  // more than one.
  [[nodiscard]] Json failure(uint16_t port) {
    std::vector<Json> found;
    (void)eventually([&] {
      found = failures("&port=" + std::to_string(port));
      return !found.empty();
    });
    return found.size() == 1 ? found[0] : Json();
  }
  // The newest event on this port.
  [[nodiscard]] Json event(uint16_t port) {
    auto found = events("&port=" + std::to_string(port));
    return found.empty() ? Json() : found.back();
  }

  [[nodiscard]] std::vector<Json> since_start(std::vector<Json> all) const {
    std::erase_if(all, [&](const Json& one) { return one["time"].get<std::string>() < start_; });
    return all;
  }
};

// "123:4" for every process and descriptor that holds the sockets in the way.
[[nodiscard]] inline std::vector<std::string> holders_of(const Json& failure) {
  std::vector<std::string> all;
  for (const Json& socket : failure.value("holders", Json::array()))
    for (const Json& h : socket.value("holders", Json::array()))
      all.push_back(std::to_string(h.value("pid", 0)) + ":" + std::to_string(h.value("fd", -1)));
  std::sort(all.begin(), all.end());
  return all;
}

[[nodiscard]] inline std::string held_by(const Actor& actor, int fd) {
  return std::to_string(actor.pid()) + ":" + std::to_string(fd);
}

} // namespace bindlens::test
