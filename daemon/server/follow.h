#pragma once

#include "context.h"
#include "reply.h"

namespace bindlens::server {

// The event stream: what is in memory, then what happens. What a slow reader
// cannot take within the buffer's limit is counted and told to it as a gap, in
// its place between the events.
class FollowSource final : public Source {
 public:
  FollowSource(std::shared_ptr<Context> context, model::Filter filter,
               std::vector<model::Event> history);
  ~FollowSource() override;

  State fill(std::string& out, size_t slice) override;
  void on_ready(std::function<void()> ready) override;

 private:
  void take(const model::Event& e);
  void close_gap(std::string& out);

  std::shared_ptr<Context> context_;
  model::Filter filter_;
  std::vector<model::Event> history_;
  size_t told_ = 0; // of the history
  std::string pending_;
  uint64_t lost_ = 0; // since `pending_` became full
  std::function<void()> ready_;
  std::shared_ptr<void> subscription_;
};

} // namespace bindlens::server
