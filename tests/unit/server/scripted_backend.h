#pragma once

// A daemon without a kernel: answers what a test has put into it.

#include "port_report.h"
#include "timewait_table.h"

#include <bindlens/server/backend.h>

#include <algorithm>
#include <cerrno>
#include <list>
#include <map>
#include <string>

namespace bindlens::test {

inline model::ProcessRef process(uint32_t pid, std::string comm, std::string unit = {}) {
  model::Process p;
  p.pid = pid;
  p.uid = 33;
  p.user = "www-data";
  p.comm = std::move(comm);
  p.exe = "/usr/sbin/" + p.comm;
  p.cgroup = "/system.slice/" + unit;
  p.unit = std::move(unit);
  p.ppid = 1;
  return std::make_shared<const model::Process>(std::move(p));
}

inline model::Socket listener(uint16_t port,
                              model::Address addr = model::Address::any(model::Family::inet)) {
  model::Socket s;
  s.id = port;
  s.cookie = 0x1000u + port;
  s.netns = 4026531840;
  s.uid = 33;
  s.state = model::State::listen;
  s.local = {addr, port};
  s.max_backlog = 511;
  s.flags.set(model::SocketFlag::reuseaddr);
  return s;
}

class ScriptedBackend final : public server::Backend {
 public:
  struct Entry {
    model::Socket socket;
    model::ProcessRef binder;
    std::vector<model::Holder> holders;
  };
  std::vector<Entry> sockets;
  std::vector<std::shared_ptr<const model::Failure>> kept_failures; // newest first
  std::vector<model::Event> kept_events;                            // oldest first
  protocol::Status current;
  protocol::VerifyReport report;
  protocol::CheckReply check_reply;
  std::vector<model::Finding> findings;
  AuditQuery last_audit;
  model::TimeWaitTable timewait_table;
  model::Filter last_timewait;
  std::vector<model::JudgedGroup> groups;
  model::Filter last_reuseport;
  model::PortReport port_report;
  PortsQuery last_ports;
  std::string broken; // every asynchronous call fails with this

  protocol::CheckRequest last_check;
  server::Peer last_peer;
  SocketQuery last_query;
  PastQuery last_past;
  int listings = 0;
  [[nodiscard]] long live_cursors() const { return live_.use_count() - 1; }
  // What past() gives, piece by piece; when there is none, what is kept. An error ends it.
  std::vector<Result<model::PastPiece>> past_pieces;

  void emit(const model::Event& e) {
    for (const auto& sink : sinks_)
      sink(e);
  }
  [[nodiscard]] size_t subscribers() const { return sinks_.size(); }

  void list_sockets(SocketQuery query, Done<std::unique_ptr<server::SocketCursor>> done) override {
    last_query = query;
    ++listings;
    if (!broken.empty()) return done(fail(broken));
    done(std::make_unique<Cursor>(*this, std::move(query)));
  }
  void past(PastQuery query, Done<std::unique_ptr<server::PastCursor>> done) override {
    last_past = query;
    if (!broken.empty()) return done(fail(broken));
    auto cursor = std::make_unique<Pieces>(live_);
    cursor->pieces = past_pieces;
    if (cursor->pieces.empty()) cursor->pieces.push_back(in_memory(query));
    done(std::move(cursor));
  }
  std::vector<model::Event> events(const model::Filter& f) override {
    std::vector<model::Event> out;
    for (const auto& e : kept_events)
      if (f.matches(e)) out.push_back(e);
    return out;
  }
  std::shared_ptr<void> subscribe(EventSink sink) override {
    const auto at = sinks_.insert(sinks_.end(), std::move(sink));
    return {nullptr, [this, at](void*) { sinks_.erase(at); }};
  }
  protocol::Status status() override { return current; }
  void verify(Done<protocol::VerifyReport> done) override {
    if (!broken.empty()) return done(fail(broken));
    done(report);
  }
  void check(const protocol::CheckRequest& request, server::Peer peer,
             Done<protocol::CheckReply> done) override {
    last_check = request;
    last_peer = peer;
    if (!broken.empty()) return done(fail(broken));
    done(check_reply);
  }
  void audit(AuditQuery query, Done<std::vector<model::Finding>> done) override {
    last_audit = query;
    if (!broken.empty()) return done(fail(broken));
    done(findings);
  }
  void ports(PortsQuery query, Done<model::PortReport> done) override {
    last_ports = query;
    if (!broken.empty()) return done(fail(broken));
    done(port_report);
  }
  void timewait(model::Filter filter, Done<model::TimeWaitTable> done) override {
    last_timewait = std::move(filter);
    if (!broken.empty()) return done(fail(broken));
    done(timewait_table);
  }
  void reuseport(model::Filter filter, Done<std::vector<model::JudgedGroup>> done) override {
    last_reuseport = filter;
    if (!broken.empty()) return done(fail(broken));
    std::vector<model::JudgedGroup> out;
    for (const model::JudgedGroup& g : groups)
      if (std::ranges::any_of(g.group.members, [&](const model::ReuseportMember& m) {
            return filter.matches(m.socket) && filter.matches(m.binder, m.holders);
          }))
        out.push_back(g);
    done(std::move(out));
  }
  Result<uint32_t> resolve_user(std::string_view text) override {
    if (text == "www-data" || text == "33") return 33;
    if (text == "0" || text == "root") return 0;
    return fail("there is no user '" + std::string(text) + "'", ENOENT);
  }
  Result<uint32_t> resolve_netns(std::string_view text) override {
    if (text == "host" || text == "4026531840") return 4026531840;
    return fail("there is no network namespace '" + std::string(text) + "'", ENOENT);
  }
  std::string netns_name(uint32_t netns) override { return netns == 4026531840 ? "host" : ""; }
  std::string user_name(uint32_t uid) override { return uid == 33 ? "www-data" : ""; }
  std::string dev_name(uint32_t, uint32_t index) override { return index == 2 ? "eth0" : ""; }

 private:
  class Pieces final : public server::PastCursor {
   public:
    explicit Pieces(std::shared_ptr<int> live) : live_(std::move(live)) {}
    void next(std::function<void(Result<model::PastPiece>)> done) override {
      if (at_ < pieces.size()) return done(pieces[at_++]);
      waiting_ = std::move(done); // for ever
    }
    std::vector<Result<model::PastPiece>> pieces;

   private:
    std::shared_ptr<int> live_;
    size_t at_ = 0;
    std::function<void(Result<model::PastPiece>)> waiting_;
  };

  // As the real one: wall times.
  // As the history gives it: in wall time.
  static std::shared_ptr<model::Failure> in_wall_time(const model::Failure& kept, MonoNs wall) {
    auto f = std::make_shared<model::Failure>(kept);
    f->time += wall;
    f->first_time += wall;
    return f;
  }
  model::PastPiece in_memory(const PastQuery& query) {
    model::PastPiece piece;
    piece.last = true;
    const auto wall = static_cast<MonoNs>(wall_offset());
    if (query.of == PastQuery::Of::failures) {
      for (const auto& kept : kept_failures) {
        auto f = in_wall_time(*kept, wall);
        if (query.filter.matches(*f)) piece.items.push_back({std::move(f), {}});
      }
      if (query.limit && piece.items.size() > *query.limit) piece.items.resize(*query.limit);
      return piece;
    }
    for (model::Event e : kept_events) {
      e.time += wall;
      if (e.failure) e.failure = in_wall_time(*e.failure, wall);
      if (query.filter.matches(e)) piece.items.push_back({e, {}});
    }
    if (query.limit && piece.items.size() > *query.limit)
      piece.items.erase(piece.items.begin(),
                        piece.items.end() - static_cast<std::ptrdiff_t>(*query.limit));
    return piece;
  }

  class Cursor final : public server::SocketCursor {
   public:
    Cursor(const ScriptedBackend& from, SocketQuery query)
        : from_(from), query_(std::move(query)), live_(from.live_) {}
    bool next(protocol::SocketRow& row) override {
      while (at_ < from_.sockets.size()) {
        const Entry& e = from_.sockets[at_++];
        if (!query_.filter.matches(e.socket) || !query_.filter.matches(e.binder, e.holders))
          continue;
        row = {};
        row.socket = e.socket;
        row.binder = e.binder;
        row.bound_by = model::BoundBy::bind;
        row.holders = e.holders;
        row.user = "www-data";
        row.netns_name = e.socket.netns == 4026531840 ? "host" : "web-1";
        return true;
      }
      return false;
    }

   private:
    const ScriptedBackend& from_;
    SocketQuery query_;
    std::shared_ptr<int> live_;
    size_t at_ = 0;
  };

  std::list<EventSink> sinks_;
  std::shared_ptr<int> live_ = std::make_shared<int>();
};

} // namespace bindlens::test
