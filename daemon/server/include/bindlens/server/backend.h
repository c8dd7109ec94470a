#pragma once

#include <bindlens/model/distribution.h>
#include <bindlens/model/filter.h>
#include <bindlens/model/past.h>
#include <bindlens/model/port_use.h>
#include <bindlens/model/timewait.h>
#include <bindlens/protocol/types.h>
#include <bindlens/util/result.h>

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace bindlens::server {

// Hands out socket rows one by one, so that a long answer never holds up the
// event loop. Belongs to one response.
class SocketCursor {
 public:
  virtual ~SocketCursor() = default;
  // False at the end. The row and its views live until the next call.
  virtual bool next(protocol::SocketRow& row) = 0;
};

// Hands out an answer from the history piece by piece, as it is read elsewhere.
// Belongs to one response; ending it ends the reading.
class PastCursor {
 public:
  virtual ~PastCursor() = default;
  // Calls `done` later, on the event loop, and never after the cursor's end; one
  // call at a time.
  virtual void next(std::function<void(Result<model::PastPiece>)> done) = 0;
};

// The other end of a Unix-socket connection (SO_PEERCRED).
struct Peer {
  uint32_t pid = 0;
  uint32_t uid = 0;
};

// What the HTTP server asks of the daemon. All calls and callbacks happen on
// the event loop's thread; a callback may come before the call returns.
class Backend {
 public:
  virtual ~Backend() = default;

  struct SocketQuery {
    model::Filter filter;
    bool all = false;  // accepted children and TIME_WAIT sockets too
    bool wide = false; // with bucket state
  };
  template <typename T>
  using Done = std::function<void(Result<T>)>;

  virtual void list_sockets(SocketQuery query, Done<std::unique_ptr<SocketCursor>> done) = 0;

  // Oldest first, everything still in memory that matches.
  virtual std::vector<model::Event> events(const model::Filter& f) = 0;

  // Events of before, oldest first; failures, newest first; and sockets as they were:
  // from the history, where there is one, and from memory. Waits for refusals whose
  // processes are still looked up.
  struct PastQuery {
    enum class Of : uint8_t { events, failures, sockets };
    Of of = Of::events;
    model::Filter filter;          // times in it are wall time, as in model/past.h
    std::optional<uint64_t> limit; // events and failures: the newest so many
    int64_t at = 0;                // sockets: at this wall time
  };
  virtual void past(PastQuery query, Done<std::unique_ptr<PastCursor>> done) = 0;

  using EventSink = std::function<void(const model::Event&)>;
  // Calls `sink` for every event from now on. The returned handle ends it.
  [[nodiscard]] virtual std::shared_ptr<void> subscribe(EventSink sink) = 0;

  virtual protocol::Status status() = 0;
  virtual void verify(Done<protocol::VerifyReport> done) = 0;
  virtual void check(const protocol::CheckRequest& request, Peer peer,
                     Done<protocol::CheckReply> done) = 0;

  struct AuditQuery {
    model::Filter filter;           // a finding stays when one of its sockets matches
    std::optional<uint32_t> idle_s; // bound and not listening for so long; else the usual
  };
  // The most severe first.
  virtual void audit(AuditQuery query, Done<std::vector<model::Finding>> done) = 0;

  // The TIME_WAIT sockets of all ports, read from the kernel now. A filter of
  // processes is about who had bound the dead sockets.
  virtual void timewait(model::Filter filter, Done<model::TimeWaitTable> done) = 0;

  // The one in trouble first. A group is there as a whole when one of its members matches.
  virtual void reuseport(model::Filter filter, Done<std::vector<model::JudgedGroup>> done) = 0;

  struct PortsQuery {
    std::optional<uint32_t> netns;      // else all that hold a port
    std::optional<model::Address> from; // only connections from there
    std::optional<model::Address> to;   // … to there
    uint16_t to_port = 0;               // … to that port, 0 = any
    size_t destinations = 10;           // of each namespace
  };
  virtual void ports(PortsQuery query, Done<model::PortReport> done) = 0;

  // Names that only the host can resolve. Errors name the remedy.
  virtual Result<uint32_t> resolve_user(std::string_view name_or_uid) = 0;
  // Inode number, name below /run/netns, or pid.
  virtual Result<uint32_t> resolve_netns(std::string_view text) = 0;
  // Name of a namespace / user / interface for output; empty when it has none.
  virtual std::string netns_name(uint32_t netns) = 0;
  virtual std::string user_name(uint32_t uid) = 0;
  virtual std::string dev_name(uint32_t netns, uint32_t index) = 0;
};

} // namespace bindlens::server
