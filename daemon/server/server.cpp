#include <bindlens/server/server.h>

#include "context.h"
#include "reply.h"
#include "session.h"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <vector>

namespace bindlens::server {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using boost::system::error_code;

struct Server::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& io, Backend& backend, ListenSocket listener, Options options)
      : context(std::make_shared<Context>(backend, std::move(options))),
        socket(std::move(listener)), acceptor(io), retry(io) {
    acceptor.assign(Protocol(), socket->take_fd().release());
  }

  void accept();
  void on_accept(error_code ec, Protocol::socket client);
  bool make_room();
  void turn_away(Protocol::socket& client);
  void stop();

  std::shared_ptr<Context> context;
  std::optional<ListenSocket> socket; // keeps the file
  Protocol::acceptor acceptor;
  asio::steady_timer retry;
};

void Server::Impl::accept() {
  acceptor.async_accept([self = shared_from_this()](error_code ec, Protocol::socket client) {
    self->on_accept(ec, std::move(client));
  });
}

void Server::Impl::on_accept(error_code ec, Protocol::socket client) {
  if (!acceptor.is_open()) return;
  if (ec) {
    // Out of descriptors or memory: the connection stays in the queue, and
    // accepting again at once would only spin.
    constexpr auto pause = std::chrono::milliseconds(100);
    make_room();
    context->warn("cannot accept a client: " + ec.message() + ", trying again");
    retry.expires_after(pause);
    retry.async_wait([self = shared_from_this()](error_code stopped) {
      if (!stopped) self->accept();
    });
    return;
  }
  if (context->sessions.size() < context->options.limits.connections || make_room())
    std::make_shared<Session>(std::move(client), context)->start();
  else
    turn_away(client);
  accept();
}

void Server::Impl::turn_away(Protocol::socket& client) {
  context->warn("all connections are busy: a client was turned away, ignoring");
  const Reply reply = error_reply(503, "too many clients at once; try again");
  const std::string text = head_of(reply, {.keep_alive = false}) + reply.body;
  // A new socket has room for this; whoever has filled it already gets nothing.
  error_code ignored;
  client.non_blocking(true, ignored);
  client.send(asio::buffer(text), 0, ignored);
}

// Closes the connection that has been idle for longest. False if all are busy.
bool Server::Impl::make_room() {
  Session* oldest = nullptr;
  for (Session* s : context->sessions) {
    if (!s->idle_since()) continue;
    if (oldest == nullptr || *s->idle_since() < *oldest->idle_since()) oldest = s;
  }
  if (oldest == nullptr) return false;
  oldest->close();
  return true;
}

void Server::Impl::stop() {
  error_code ignored;
  acceptor.close(ignored);
  retry.cancel();
  socket.reset();
  // close() leaves the set as it is: sessions end when their handlers have run.
  for (Session* s : context->sessions)
    s->close();
}

Server::Server(asio::io_context& io, Backend& backend, ListenSocket socket, Options options)
    : impl_(std::make_shared<Impl>(io, backend, std::move(socket), std::move(options))) {
  impl_->accept();
}

Server::~Server() {
  stop();
}

void Server::stop() {
  impl_->stop();
}

} // namespace bindlens::server
