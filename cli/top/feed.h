#pragma once

#include "model.h"

#include <bindlens/protocol/client.h>
#include <bindlens/protocol/url.h>
#include <bindlens/util/fd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace bindlens::cli::top {

// The model, as several threads use it.
struct Shared {
  Shared(protocol::WallNs sample_ns, protocol::WallNs started) : model(sample_ns, started) {}
  std::mutex mutex;
  Model model;
  Fd changed; // an eventfd, written to after each change
};

// Keeps the model up to date: one thread follows the events, another one asks
// for what is not told by itself. Goes on trying when the daemon is away.
class Feed {
 public:
  struct Options {
    std::string socket;
    std::vector<protocol::Parameter> filter;
    protocol::WallNs history_from = 0; // events since then fill the graphs
  };
  Feed(Options options, Shared& shared);
  // Ends both threads.
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

 private:
  // A client that the destructor can abort.
  class Connection;

  void follow();
  void follow_once(protocol::WallNs since);
  void ask();
  void ask_status();
  void ask_findings();
  void ask_groups();
  [[nodiscard]] std::expected<std::string, protocol::ClientError> fetch(const std::string& target,
                                                                        protocol::Client*& slot);
  [[nodiscard]] std::expected<void, protocol::ClientError>
  transfer(const std::string& target, protocol::Client*& slot, const protocol::Client::Sink& sink,
           const std::function<void()>& connected = {});
  [[nodiscard]] std::string target(std::string_view path,
                                   std::vector<protocol::Parameter> more) const;
  void take(const std::vector<Happening>& batch);
  void tell_link(bool up, std::string trouble);
  template <typename Change>
  void change(Change change);
  // False when it is time to stop.
  bool pause_for(std::chrono::milliseconds time);
  [[nodiscard]] bool stopping();

  Options options_;
  Shared& shared_;
  std::atomic<bool> audit_told_ = false; // by an event: the findings have changed
  std::mutex mutex_;                     // of all below
  std::condition_variable wake_;
  bool stopping_ = false;
  protocol::Client* following_ = nullptr;
  protocol::Client* asking_ = nullptr;
  std::thread follower_, asker_;
};

} // namespace bindlens::cli::top
