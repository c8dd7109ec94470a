#pragma once

#include <bindlens/server/backend.h>
#include <bindlens/server/listen_socket.h>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace bindlens::server {

// Every size and time that a client could otherwise choose for itself.
struct Limits {
  size_t connections = 1024;              // beyond: the oldest idle one is closed for a new one
  size_t followers = 32;                  // streams of /v1/events?follow=1; beyond: 503
  size_t follow_buffer = 4 * 1024 * 1024; // bytes that wait for one slow follower
  size_t header = 16 * 1024;
  size_t body = 64 * 1024;
  size_t slice = 64 * 1024; // bytes of an answer between two turns of the event loop
  std::chrono::milliseconds request_timeout{10'000}; // to send a request, also the next one
  std::chrono::milliseconds write_timeout{30'000};   // to take one slice; not for followers
};

struct Options {
  Limits limits;
  // Gets a sentence about what the daemon survived; may be empty.
  std::function<void(const std::string&)> warn;
};

// The HTTP API (docs/openapi.yaml) on a Unix socket. Everything happens on the
// event loop of `io`, in one thread; `backend` must outlive the loop's run.
class Server {
 public:
  Server(boost::asio::io_context& io, Backend& backend, ListenSocket socket, Options options = {});
  // stop()
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Closes the listener, all connections, and removes the socket file.
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

} // namespace bindlens::server
