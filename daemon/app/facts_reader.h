#pragma once

#include <bindlens/kernel/namespaces.h>
#include <bindlens/rules/host_facts.h>
#include <bindlens/util/clock.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace bindlens::app {

// Reads what an audit asks of network namespaces, on a thread of its own: a
// millisecond for each is too long for events and clients to wait when there are
// hundreds.
class FactsReader {
 public:
  using Facts = std::unordered_map<uint32_t, rules::HostFacts>; // by inode number
  using Done = std::function<void(std::shared_ptr<const Facts>)>;

  explicit FactsReader(boost::asio::io_context& io) : io_(io) {}
  // Waits for what is being read.
  ~FactsReader() {
    if (pool_) pool_->join();
  }
  FactsReader(const FactsReader&) = delete;
  FactsReader& operator=(const FactsReader&) = delete;

  // Calls `done` on the event loop, with all of `namespaces`: those that cannot
  // be entered are empty. What is older than `max_age` is read again.
  void read(std::vector<uint32_t> namespaces, MonoNs max_age, Done done);

 private:
  struct Entry {
    rules::HostFacts facts;
    MonoNs read_at = 0;
  };
  std::shared_ptr<const Facts> read_all(const std::vector<uint32_t>& namespaces, MonoNs max_age);

  boost::asio::io_context& io_;
  // Of the thread alone:
  kernel::Namespaces namespaces_;
  std::unordered_map<uint32_t, Entry> entries_;
  // Made at the first use: a thread keeps the capabilities it was made with.
  std::optional<boost::asio::thread_pool> pool_;
};

} // namespace bindlens::app
