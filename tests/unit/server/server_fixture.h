#pragma once

#include "scripted_backend.h"

#include <bindlens/server/server.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <stdexcept>
#include <thread>
#include <type_traits>

namespace bindlens::test {

// A directory of its own that is gone afterwards.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/bindlens-test-XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A server on a socket of its own, running in a thread of its own.
class RunningServer {
 public:
  explicit RunningServer(server::Options options = {}) : path_(directory_.file("s")) {
    auto socket = server::ListenSocket::create(path_, "");
    if (!socket) throw std::runtime_error(socket.error().text);
    server_.emplace(io_, backend_, std::move(*socket), std::move(options));
    thread_ = std::thread([this] { io_.run(); });
  }
  ~RunningServer() {
    in_loop([this] { server_.reset(); });
    work_.reset();
    thread_.join();
  }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // Only inside in_loop() once a client may be connected.
  [[nodiscard]] ScriptedBackend& backend() { return backend_; }

  // Runs `work` on the event loop and returns what it returns.
  template <typename Work>
  std::invoke_result_t<Work> in_loop(Work work) {
    std::packaged_task<std::invoke_result_t<Work>()> task(std::move(work));
    auto result = task.get_future();
    boost::asio::post(io_, [&task] { task(); });
    return result.get();
  }
  // Waits until `condition` holds on the event loop; false after ten seconds.
  template <typename Condition>
  bool wait_until(Condition condition) {
    for (int i = 0; i < 1000; ++i) {
      if (in_loop(condition)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

 private:
  TemporaryDirectory directory_;
  std::string path_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      io_.get_executor()};
  ScriptedBackend backend_;
  std::optional<server::Server> server_;
  std::thread thread_;
};

} // namespace bindlens::test
