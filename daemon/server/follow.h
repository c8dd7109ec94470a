#pragma once

#include "context.h"
#include "reply.h"

#include <bindlens/model/filter.h>

namespace bindlens::server {

// The event stream: what was before, then what happens. What a slow reader
// cannot take within the buffer's limit is counted and told to it as a gap, in
// its place between the events.
class FollowSource final : public Source {
 public:
  // From now on; `before` is told first.
  FollowSource(std::shared_ptr<Context> context, model::Filter filter);
  void set_before(std::unique_ptr<Source> before) { before_ = std::move(before); }
  ~FollowSource() override;

  State fill(std::string& out, size_t slice) override;
  void on_ready(std::function<void()> ready) override;

 private:
  void take(const model::Event& e);
  void close_gap(std::string& out);

  std::shared_ptr<Context> context_;
  model::Filter filter_;
  std::unique_ptr<Source> before_;
  std::string pending_;
  uint64_t lost_ = 0; // since `pending_` became full
  std::function<void()> ready_;
  std::shared_ptr<void> subscription_;
};

} // namespace bindlens::server
