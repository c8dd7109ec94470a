#pragma once

#include "core.h"
#include "recorder.h"

#include <bindlens/server/backend.h>

#include <boost/asio/thread_pool.hpp>

namespace bindlens::app {

// Answers questions about the past from the history, and from memory for what the
// history could not take. The file is read on threads of their own.
class Past {
 public:
  using Query = server::Backend::PastQuery;
  using Done = server::Backend::Done<std::unique_ptr<server::PastCursor>>;

  // `recorder` is null when there is no history.
  Past(boost::asio::io_context& io, Core& core, Recorder* recorder)
      : io_(io), core_(core), recorder_(recorder), started_at_(monotonic_now()) {}
  // Waits for a piece that is being read.
  ~Past();
  Past(const Past&) = delete;
  Past& operator=(const Past&) = delete;

  void ask(Query query, Done done);

 private:
  void from_memory(const Query& query, const Done& done);
  // `written`: the newest event in the file, or why not all is there.
  void from_history(const Query& query, const Result<int64_t>& written, const Done& done);
  std::shared_ptr<boost::asio::thread_pool> pool();

  boost::asio::io_context& io_;
  Core& core_;
  Recorder* recorder_;
  MonoNs started_at_;
  std::shared_ptr<int> live_ = std::make_shared<int>(); // one more than there are cursors
  // Made at the first question: a thread keeps the capabilities it was made with.
  std::shared_ptr<boost::asio::thread_pool> pool_;
};

} // namespace bindlens::app
