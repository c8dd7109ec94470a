#pragma once

#include "core.h"

#include <bindlens/kernel/members.h>
#include <bindlens/model/reuseport.h>

#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace bindlens::app {

// TCP sockets join a reuseport group when they listen, others when they are bound. A TCP
// socket that has a group before has had a program attached, which waits for that.
[[nodiscard]] bool is_group_member(const model::Socket& s);
[[nodiscard]] bool is_datagram(model::Proto p);

// What was counted of the members of reuseport groups: takes the kernel's figures once a
// second while there are any, and tells when members join and leave.
class MemberCounts {
 public:
  MemberCounts(boost::asio::io_context& io, Core& core, kernel::Session& session,
               kernel::MemberReader& reader);
  MemberCounts(const MemberCounts&) = delete;
  MemberCounts& operator=(const MemberCounts&) = delete;

  // To be called when the table is there: its members are from before.
  void start();
  // Reads these sockets now. A row with `group` 0: it is no member any more.
  Result<std::vector<bl_member>> read(std::span<const model::Socket> sockets);
  // What is known of a socket that was read.
  void fill(model::ReuseportMember& m) const;
  // Those that are counted.
  [[nodiscard]] std::vector<model::Socket> sockets() const;
  // Calls `f` after each sample.
  void when_sampled(std::function<void()> f) { sampled_ = std::move(f); }

 private:
  struct Member {
    model::Socket socket;
    model::ProcessRef process;
    MonoNs joined_at = 0; // 0 = before the daemon
    MonoNs since = 0;
    uint32_t drops_before = 0;
    bool seen = false; // has been read
    model::ShareCounters counters;
    // For the rate.
    MonoNs sampled_at = 0;
    uint64_t sampled = 0;
    std::optional<double> per_second;
  };
  // Which figures the hooks in use give.
  struct Given {
    bool selected = false, accepted = false, queued = false, datagrams = false, migrated = false;
  };

  void on_event(const model::Event& e);
  void take_events();
  void join(const model::Socket& s, const model::ProcessRef& process, MonoNs time);
  void leave(Member& m, MonoNs time);
  void tell(const Member& m, model::EventType type, MonoNs time);
  void count(Member& m, const bl_share& share, bool datagram) const;
  void count_at_close(Member& m) const;
  void update(Member& m, const std::optional<bl_share>& share, const bl_member& row);
  void sample_rate(Member& m, MonoNs now) const;
  void sample();
  void sample_later();
  void rest_if_nobody_listens();

  boost::asio::io_context& io_;
  Core& core_;
  kernel::Session& session_;
  kernel::MemberReader& reader_;
  kernel::ShareReader shares_;
  boost::asio::steady_timer timer_;
  Given given_;
  MonoNs started_at_;
  std::function<void()> sampled_;
  bool sampling_ = false;
  bool posted_ = false;
  std::vector<model::Event> events_; // not taken yet
  std::unordered_map<model::SocketId, Member> members_;
  std::shared_ptr<void> subscription_;
};

} // namespace bindlens::app
