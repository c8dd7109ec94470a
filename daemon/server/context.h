#pragma once

#include <bindlens/protocol/json.h>
#include <bindlens/server/backend.h>
#include <bindlens/server/server.h>

#include <unordered_set>

namespace bindlens::server {

class Session;

// The backend's names, as the JSON writers take them.
class BackendNames final : public protocol::Names {
 public:
  explicit BackendNames(Backend& backend) : backend_(backend) {}
  [[nodiscard]] std::string user(uint32_t uid) const override { return backend_.user_name(uid); }
  [[nodiscard]] std::string netns(uint32_t inode) const override {
    return backend_.netns_name(inode);
  }
  [[nodiscard]] std::string dev(uint32_t netns, uint32_t index) const override {
    return backend_.dev_name(netns, index);
  }

 private:
  Backend& backend_;
};

// What the sessions of one server have in common. Lives as long as the last
// session; the backend must outlive it.
struct Context {
  Context(Backend& b, Options o) : backend(b), names(b), options(std::move(o)) {}

  void warn(const std::string& text) const {
    if (options.warn) options.warn(text);
  }

  Backend& backend;
  BackendNames names;
  Options options;
  std::unordered_set<Session*> sessions;
  size_t followers = 0;
};

} // namespace bindlens::server
