#pragma once

#include <bindlens/journal/rate_limit.h>
#include <bindlens/model/failure.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bindlens::app {

// Standard error is connected to systemd's journal (systemd.exec(5),
// $JOURNAL_STREAM).
[[nodiscard]] bool is_under_journal();

// Tells systemd's journal of refused calls, with fields to search by. Entries are
// sent by a thread of its own: a journal that does not read must not stop the
// event loop. What comes too fast, or waits too long, is counted and told later.
class Journal {
 public:
  using NetnsName = std::function<std::string(uint32_t inode)>;
  Journal(boost::asio::io_context& io, NetnsName netns_name);
  // What waits is sent, if that takes no longer than a second.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void tell(const model::Failure& f);

 private:
  struct Sender;

  void send(std::vector<std::string> entry);
  void tell_left_out_soon();

  NetnsName netns_name_;
  journal::RateLimit limit_;
  boost::asio::steady_timer later_;
  bool waits_ = false;
  std::shared_ptr<Sender> sender_;
};

} // namespace bindlens::app
