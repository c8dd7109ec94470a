#pragma once

#include "context.h"
#include "reply.h"

namespace bindlens::server {

// An answer from the history, in the order in which its pieces come. When reading
// fails on the way, the answer ends with a line that says so.
class PastSource final : public Source {
 public:
  // `first` is a piece that has been read already.
  PastSource(std::shared_ptr<Context> context, std::unique_ptr<PastCursor> cursor,
             model::PastPiece first, uint64_t limit = UINT64_MAX);

  State fill(std::string& out, size_t slice) override;
  void on_ready(std::function<void()> ready) override;

 private:
  void ask();
  void append(std::string& out, const model::PastItem& item);

  std::shared_ptr<Context> context_;
  model::PastPiece piece_;
  size_t told_ = 0; // of the piece
  bool asked_ = false;
  uint64_t left_; // sockets that may still be told
  protocol::RowWriter writer_{0};
  std::function<void()> ready_;
  std::unique_ptr<PastCursor> cursor_; // ends first: it calls back
};

// Names as they were when the item happened, as far as they are known.
class PastNames final : public protocol::Names {
 public:
  PastNames(const protocol::Names& now, const model::PastItem& item) : now_(now), item_(item) {}
  [[nodiscard]] std::string user(uint32_t uid) const override { return now_.user(uid); }
  [[nodiscard]] std::string netns(uint32_t inode) const override {
    return item_.netns_name.empty() ? now_.netns(inode) : item_.netns_name;
  }
  [[nodiscard]] std::string dev(uint32_t netns, uint32_t index) const override {
    return now_.dev(netns, index);
  }

 private:
  const protocol::Names& now_;
  const model::PastItem& item_;
};

} // namespace bindlens::server
