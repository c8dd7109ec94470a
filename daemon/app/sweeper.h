#pragma once

#include <bindlens/kernel/owners.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace bindlens::app {

// Sweeps over all descriptors of all processes, on a thread of its own.
class Sweeper {
 public:
  using Result = bindlens::Result<std::shared_ptr<const kernel::OwnerMap>>;
  using Done = std::function<void(const Result&)>;

  Sweeper(boost::asio::io_context& io, kernel::Session& session)
      : io_(io), session_(session), pause_(io) {}
  // Waits for a sweep under way.
  ~Sweeper() {
    if (pool_) pool_->join();
  }

  // Calls `done` on the event loop with a sweep that began after this call.
  // Those who ask while one runs share the next.
  void request(Done done);
  // The same for those who can wait: of these, sweeps take a fifth of a processor at
  // most, however many ask.
  void request_in_turn(Done done);
  // The newest one; empty before the first.
  [[nodiscard]] const kernel::OwnerMap& last() const { return *last_; }

 private:
  void go_on();
  void start();
  void finished(Result result, MonoNs cpu_ns);

  boost::asio::io_context& io_;
  kernel::Session& session_;
  std::vector<Done> running_; // asked before the current sweep began
  std::vector<Done> waiting_;
  bool busy_ = false;
  bool urgent_ = false; // some of those waiting cannot
  boost::asio::steady_timer pause_;
  MonoNs paused_until_ = 0;
  std::shared_ptr<const kernel::OwnerMap> last_ = std::make_shared<kernel::OwnerMap>();
  // Made at the first sweep: a thread keeps the capabilities it was made with.
  std::optional<boost::asio::thread_pool> pool_;
};

} // namespace bindlens::app
