#pragma once

#include "diagnosis.h"
#include "options.h"
#include "sweeper.h"

#include <bindlens/analysis/connect_meter.h>
#include <bindlens/kernel/namespaces.h>
#include <bindlens/kernel/processes.h>
#include <bindlens/kernel/session.h>
#include <bindlens/kernel/table_source.h>
#include <bindlens/model/event_log.h>
#include <bindlens/model/timewait_groups.h>
#include <bindlens/model/tracker.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <functional>
#include <list>
#include <memory>

namespace bindlens::app {

// The daemon's heart: takes records from the kernel, keeps the table right,
// diagnoses refusals, keeps events and failures. All on the event loop.
class Core {
 public:
  Core(boost::asio::io_context& io, kernel::Session& session, kernel::TableSource& source,
       HostView host, const Options& options);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // The first snapshot; then follows the kernel until the loop stops.
  Result<void> start();

  // The first sweep, so that later questions about few sockets need none.
  void look_for_owners();

  // Takes in everything the kernel has told so far: to be called before any
  // question is answered.
  void catch_up();
  // The same, and reads the kernel's tables again at once if anything was lost.
  void make_good();
  // Only that nothing is lost meanwhile: during a walk.
  void take_records() { drain(); }
  // Calls `done` when the refusals taken in so far are among the failures. Behind a storm
  // of others it waits for three seconds at most.
  void when_diagnosed(std::function<void()> done);
  // Before the end: as when_diagnosed(), and what is not diagnosed by then is kept as it is.
  void finish_refusals(std::function<void()> done);
  // A whole walk, merged into the table, and how the table differed before.
  struct Snapshot {
    model::PortView view;
    model::BindTable::MergeReport report;
  };
  Result<Snapshot> snapshot();

  // Keeps an event and tells it to those who follow: also what does not come from
  // the kernel.
  void publish(model::Event&& e);
  using EventSink = std::function<void(const model::Event&)>;
  [[nodiscard]] std::shared_ptr<void> subscribe(EventSink sink);

  struct Health {
    uint64_t lost = 0;
    uint64_t resyncs = 0;
    uint64_t snapshot_ns = 0;
    MonoNs verified_at = 0; // 0 = not yet
    uint64_t verify_differences = 0;
    uint64_t undecodable = 0;
    bool complete = true;
    uint64_t records = 0;
  };
  [[nodiscard]] const Health& health() const { return health_; }
  [[nodiscard]] const model::BindTable& table() const { return table_; }
  [[nodiscard]] const model::EventLog& events() const { return events_; }
  [[nodiscard]] const model::FailureLog& failures() const { return failures_; }
  [[nodiscard]] const model::DeadBinders& dead_binders() const { return dead_binders_; }
  [[nodiscard]] const model::RecentReuses& reuses() const { return reuses_; }
  [[nodiscard]] const model::BindReuses& bind_reuses() const { return bind_reuses_; }
  [[nodiscard]] kernel::ProcessCache& processes() { return processes_; }
  [[nodiscard]] kernel::TableSource& source() const { return source_; }
  [[nodiscard]] Sweeper& sweeper() { return sweeper_; }
  [[nodiscard]] const HostView& host() const { return host_; }
  [[nodiscard]] const analysis::ConnectMeter& connects() const { return connects_; }

  // The processes behind sockets: `done` comes at once when /proc suffices.
  void find_owners(std::vector<model::Blocker>& blockers, std::function<void()> done);

 private:
  // A walk made because a search for a free port had failed.
  struct Searched {
    MonoNs at = 0;
    uint32_t netns = 0;
    model::Proto proto = model::Proto::tcp;
    model::PortView view;
  };

  // A bind that may have gone over TIME_WAIT sockets: the bucket tells.
  struct BoundOver {
    model::Socket socket;
    MonoNs time = 0;
    model::ProcessRef process;
  };

  // Somebody waits until so many refusals have come to their end.
  struct Awaited {
    uint64_t finished = 0;
    std::function<void()> done;
    boost::asio::steady_timer patience;
  };

  // A diagnosis that waits for the processes behind its blockers.
  struct InProgress {
    std::shared_ptr<Diagnosis> diagnosis;
    bool ready = false;
  };

  void wait_for_wakeup();
  void poll_soon();
  void on_poll();
  bool drain();
  bool drain_all();
  void on_record(std::span<const std::byte> bytes);
  void note_losses();
  void resync();
  [[nodiscard]] MonoNs next_resync() const;
  void take_refusal(model::RefusedCall refused);
  void keep_undiagnosed(const model::RefusedCall& refused);
  void tell_reuse(model::TimeWaitReuse reuse);
  void look_below_binds();
  void look_below(uint32_t netns, uint16_t port, std::vector<BoundOver>& binds);
  void bound_over_time_wait(BoundOver bind, uint64_t sockets);
  void diagnose_waiting();
  void add_releases(model::Failure& failure);
  void diagnose(model::RefusedCall refused);
  void finish_in_order();
  void tell_those_who_wait();
  void finish(Diagnosis& diagnosis);
  void publish_failure(std::shared_ptr<const model::Failure> failure);
  std::shared_ptr<Diagnosis> decide(model::RefusedCall refused);
  void complete_view(model::RefusedCall& refused);
  Result<model::PortView> search_view(const kernel::WalkRequest& request);
  [[nodiscard]] bool search_outdated(MonoNs time) const;
  void fill_holders(model::Blocker& blocker, std::span<const kernel::Descriptor> owners);
  void verify_later();

  kernel::Session& session_;
  kernel::TableSource& source_;
  HostView host_;
  kernel::ProcessCache processes_;
  model::BindTable table_;
  model::EventLog events_;
  model::FailureLog failures_;
  model::DeadBinders dead_binders_;
  model::RecentReuses reuses_;
  model::Tracker tracker_;
  model::LossDetector losses_;
  Sweeper sweeper_;
  analysis::ConnectMeter connects_{monotonic_now()};
  Health health_;

  std::deque<model::RefusedCall> refused_;
  std::deque<BoundOver> bound_over_;
  MonoNs looks_paid_until_ = 0;
  model::BindReuses bind_reuses_;
  Searched searched_;
  MonoNs searches_paid_until_ = 0;
  std::list<InProgress> in_progress_;            // oldest first
  uint64_t finished_ = 0;                        // refusals diagnosed, or given up in a storm
  std::deque<std::shared_ptr<Awaited>> awaited_; // fewest first
  std::list<EventSink> sinks_;

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor ring_;
  boost::asio::steady_timer poll_timer_;
  boost::asio::steady_timer verify_timer_;
  uint32_t verify_interval_s_;
  int idle_polls_ = 0;
  bool polling_ = false;
  bool diagnosis_posted_ = false;
  bool walking_ = false;
  bool resync_due_ = false;
  MonoNs resynced_at_ = 0, resync_took_ = 0;
  uint32_t resyncs_in_vain_ = 0; // in a row, since the last loss
};

} // namespace bindlens::app
