#include "core.h"

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <unistd.h>

namespace bindlens::app {

namespace {

using namespace std::chrono_literals;

// While events come, the ring is emptied this often; a wake-up for each would
// double the cost of a bind.
constexpr auto poll_interval = 20ms;
constexpr int polls_before_sleep = 5;
constexpr size_t records_per_turn = 65536;
constexpr int max_turns = 4;
// One failure can have every TIME_WAIT socket of a busy server in its way.
constexpr size_t max_kept_blockers = 256;
constexpr size_t max_waiting_refusals = 8192;
constexpr size_t max_bound_over = 4096;
constexpr size_t crowd = 16;      // refusals waiting
constexpr auto longest_wait = 3s; // for the diagnosis of what stands before a question
constexpr MonoNs searched_max_age = 250'000'000;
// Walks because a search had failed take a tenth of the time, some of it in advance.
constexpr MonoNs searches_share = 10;
constexpr MonoNs searches_in_advance = 1'000'000'000;
// So do those that make good a loss; where a bucket does not come to rest, always less.
constexpr MonoNs resync_share = 10;
constexpr MonoNs resync_pause = 100'000'000;
constexpr uint32_t most_doublings = 8;

// 0: the kernel had to search for one.
uint16_t asked_port(const model::CallRecord& c) {
  return c.call == model::Call::bind && c.asked ? c.asked->port : c.socket.local.port;
}

} // namespace

Core::Core(boost::asio::io_context& io, kernel::Session& session, kernel::TableSource& source,
           HostView host, const Options& options)
    : session_(session), source_(source), host_(std::move(host)), events_(options.event_memory),
      failures_(options.max_failures, options.failure_memory),
      tracker_(table_, {[this](const model::TaskInfo& t) { return processes_.caller(t); },
                        [this](model::Event&& e) { publish(std::move(e)); },
                        [this](model::RefusedCall r) { take_refusal(std::move(r)); },
                        [this](model::TimeWaitReuse r) { tell_reuse(std::move(r)); },
                        [this](const model::Socket& s, MonoNs time, model::ProcessRef p) {
                          if (bound_over_.size() < max_bound_over)
                            bound_over_.push_back({s, time, std::move(p)});
                        },
                        [this](const model::Binding& b) { dead_binders_.note(b); }}),
      sweeper_(io, session), io_(io), ring_(io, ::dup(session.ring_fd())), poll_timer_(io),
      verify_timer_(io), verify_interval_s_(options.verify_interval_s) {}

Result<void> Core::start() {
  if (auto walked = snapshot(); !walked) return fail(walked.error(), "the first snapshot");
  health_.verify_differences = 0; // there was no table yet to differ
  catch_up();
  session_.request_wakeup();
  wait_for_wakeup();
  poll_soon();
  verify_later();
  return {};
}

void Core::look_for_owners() {
  sweeper_.request([](const Sweeper::Result& swept) {
    if (!swept) spdlog::warn("{}; holders are looked up in /proc, ignoring", swept.error().text);
  });
}

// --- following the kernel ---------------------------------------------------

void Core::wait_for_wakeup() {
  ring_.async_wait(ring_.wait_read, [this](const boost::system::error_code& ec) {
    if (ec) return;
    catch_up();
    poll_soon();
    wait_for_wakeup();
  });
}

void Core::poll_soon() {
  if (polling_) return;
  polling_ = true;
  poll_timer_.expires_after(poll_interval);
  poll_timer_.async_wait([this](const boost::system::error_code& ec) {
    polling_ = false;
    if (!ec) on_poll();
  });
}

void Core::on_poll() {
  const uint64_t before = health_.records;
  catch_up();
  idle_polls_ = health_.records == before ? idle_polls_ + 1 : 0;
  if (idle_polls_ < polls_before_sleep || resync_due_) return poll_soon();
  idle_polls_ = 0;
  session_.request_wakeup();
  catch_up(); // a record that came before the request wakes nobody
  if (health_.records != before) poll_soon();
}

bool Core::drain() {
  const size_t n = session_.consume([this](auto bytes) { on_record(bytes); }, records_per_turn);
  health_.records += n;
  return n < records_per_turn;
}

void Core::on_record(std::span<const std::byte> bytes) {
  auto record = model::decode(bytes);
  if (!record) {
    if (health_.undecodable++ == 0)
      spdlog::error("{}; counted, ignoring", model::to_string(record.error()));
    return;
  }
  losses_.saw(record->cpu, record->seq);
  tracker_.apply(*std::move(record));
}

// A storm can fill the ring as fast as it is emptied; then the rest has to wait
// until clients have had their turn, and this is false.
bool Core::drain_all() {
  for (int turns = 0; turns < max_turns; ++turns)
    if (drain()) return true;
  return false;
}

void Core::catch_up() {
  if (drain_all()) note_losses();
  if (resync_due_ && !walking_ && monotonic_now() >= next_resync()) resync();
  if (!walking_) look_below_binds();
  diagnose_waiting();
}

void Core::note_losses() {
  const uint64_t lost = std::max(session_.lost(), losses_.missing());
  if (lost <= health_.lost) return;
  model::Event gap;
  gap.time = monotonic_now();
  gap.type = model::EventType::gap;
  gap.lost = lost - health_.lost;
  spdlog::warn("{} records were lost; reading the kernel's tables again", gap.lost);
  health_.lost = lost;
  health_.complete = false;
  resync_due_ = true;
  resyncs_in_vain_ = 0;
  publish(std::move(gap));
}

void Core::make_good() {
  catch_up();
  if (resync_due_ && !walking_) resync();
}

void Core::resync() {
  ++health_.resyncs;
  const MonoNs start = monotonic_now();
  const auto walked = snapshot();
  if (!walked) spdlog::error("resynchronising: {}; will be tried again", walked.error().text);
  resynced_at_ = monotonic_now();
  resync_took_ = resynced_at_ - start;
  const bool in_vain = !walked || walked->view.torn;
  resyncs_in_vain_ = in_vain ? std::min(resyncs_in_vain_ + 1, most_doublings) : 0;
}

MonoNs Core::next_resync() const {
  return resynced_at_ + (std::max(resync_pause, resync_share * resync_took_) << resyncs_in_vain_);
}

Result<Core::Snapshot> Core::snapshot() {
  drain_all();
  walking_ = true;
  table_.begin_walk(monotonic_now());
  auto view = source_.walk({.files = false}, [this] { drain(); });
  const bool drained = drain_all(); // else a row whose record still waits looks like one missed
  walking_ = false;
  if (!view) {
    table_.cancel_walk();
    return std::unexpected(view.error());
  }
  Snapshot result{*std::move(view), {}};
  result.report = table_.merge(result.view.buckets, result.view.torn);
  health_.snapshot_ns = source_.last().duration_ns;
  health_.verified_at = monotonic_now();
  health_.verify_differences = result.report.differences();
  // What has gone from a bucket that did not come to rest is not known.
  resync_due_ = result.view.torn;
  health_.complete = !result.view.torn;
  if (drained) note_losses(); // those meanwhile
  return result;
}

void Core::verify_later() {
  if (verify_interval_s_ == 0) return;
  verify_timer_.expires_after(std::chrono::seconds(verify_interval_s_));
  verify_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    const auto checked = snapshot();
    if (!checked)
      spdlog::warn("checking the table: {}, ignoring", checked.error().text);
    else if (const size_t n = checked->report.differences(); n != 0)
      spdlog::warn("the table differed from the kernel in {} sockets and was put right", n);
    verify_later();
  });
}

// --- events -------------------------------------------------------------------

void Core::publish(model::Event&& e) {
  connects_.note(e);
  if (e.type == model::EventType::release) failures_.note_release(e.socket, e.time);
  const model::Event& kept = events_.add(std::move(e));
  // A sink may end its own subscription.
  for (auto next = sinks_.begin(); next != sinks_.end();)
    (*next++)(kept);
}

std::shared_ptr<void> Core::subscribe(EventSink sink) {
  sinks_.push_back(std::move(sink));
  // The list never moves its elements, so the position is a name for good.
  return {nullptr, [this, at = std::prev(sinks_.end())](void*) { sinks_.erase(at); }};
}

// --- TIME_WAIT ----------------------------------------------------------------

void Core::tell_reuse(model::TimeWaitReuse r) {
  reuses_.add(r);
  model::Event e;
  e.time = r.time;
  e.type = model::EventType::timewait_reuse;
  e.socket = r.socket;
  e.process = r.process;
  e.reuse = std::make_shared<const model::TimeWaitReuse>(std::move(r));
  publish(std::move(e));
}

// The kernel side saw that there were others in the bucket; whether TIME_WAIT sockets
// of that address are among them is read now. They last for a minute. Binds of one port
// share a walk, and all walks for this take a tenth of the time.
void Core::look_below_binds() {
  std::map<std::pair<uint32_t, uint16_t>, std::vector<BoundOver>> by_port;
  for (BoundOver& b : std::exchange(bound_over_, {}))
    by_port[{b.socket.netns, b.socket.local.port}].push_back(std::move(b));
  for (auto& [port, binds] : by_port) {
    const MonoNs now = monotonic_now();
    if (looks_paid_until_ < now + searches_in_advance)
      look_below(port.first, port.second, binds);
    else
      bind_reuses_.leave_out(binds.size());
  }
}

void Core::look_below(uint32_t netns, uint16_t port, std::vector<BoundOver>& binds) {
  kernel::WalkRequest request{{model::Proto::tcp}, port, netns};
  request.files = false;
  request.timewait = true;
  std::vector<uint64_t> below(binds.size());
  const MonoNs start = monotonic_now();
  const auto whole = source_.for_each(request, [&](const model::Bucket& bucket) {
    for (size_t i = 0; i < binds.size(); ++i)
      below[i] +=
          static_cast<uint64_t>(std::ranges::count_if(bucket.sockets, [&](const model::Socket& s) {
            return model::lies_below(binds[i].socket, s) &&
                   !model::came_after(s, binds[i].socket, binds[i].time, start);
          }));
  });
  const MonoNs end = monotonic_now();
  looks_paid_until_ = std::max(looks_paid_until_, end) + searches_share * (end - start);
  if (!whole) return bind_reuses_.leave_out(binds.size());
  for (size_t i = 0; i < binds.size(); ++i)
    if (below[i] != 0) bound_over_time_wait(std::move(binds[i]), below[i]);
}

void Core::bound_over_time_wait(BoundOver bind, uint64_t sockets) {
  model::TimeWaitReuse r;
  r.time = bind.time;
  r.kind = model::ReuseKind::bind;
  r.socket = bind.socket;
  r.process = std::move(bind.process);
  r.sockets = sockets;
  if (bind_reuses_.count(bind.socket.netns, bind.socket.local.port, bind.time, r.left_out))
    tell_reuse(std::move(r));
}

// --- refusals -----------------------------------------------------------------

void Core::take_refusal(model::RefusedCall r) {
  if (refused_.size() < max_waiting_refusals) {
    refused_.push_back(std::move(r));
    return;
  }
  keep_undiagnosed(r);
}

void Core::keep_undiagnosed(const model::RefusedCall& r) {
  const model::Failure f = undiagnosed(r);
  auto folded = failures_.fold(f, f.time);
  publish_failure(folded ? std::move(folded) : failures_.add(f));
}

void Core::diagnose_waiting() {
  const MonoNs start = monotonic_now();
  constexpr MonoNs slice = 5'000'000;
  while (!refused_.empty()) {
    model::RefusedCall next = std::move(refused_.front());
    refused_.pop_front();
    diagnose(std::move(next));
    if (monotonic_now() - start >= slice) break;
  }
  // One turn waits at a time, however often this is called, or clients starve.
  if (refused_.empty() || diagnosis_posted_) return;
  diagnosis_posted_ = true;
  boost::asio::post(io_, [this] {
    diagnosis_posted_ = false;
    diagnose_waiting();
  });
}

// Ports run out for many callers at once: one walk serves them for a moment.
Result<model::PortView> Core::search_view(const kernel::WalkRequest& request) {
  const MonoNs now = monotonic_now();
  if (searched_.at != 0 && now - searched_.at < searched_max_age &&
      searched_.netns == request.netns && searched_.proto == request.protos[0])
    return searched_.view;
  auto view = source_.walk(request);
  if (!view) return view;
  searched_ = {now, request.netns, request.protos[0], *view};
  searches_paid_until_ =
      std::max(searches_paid_until_, now) + searches_share * source_.last().duration_ns;
  return view;
}

// The walk inside the call is the best there is. Where it stopped early, or was
// not made, the bucket is read now; where the kernel had to search for a port,
// the whole table of that protocol.
void Core::complete_view(model::RefusedCall& refused) {
  const int error = -refused.call.ret;
  const bool about_holders = error == EADDRINUSE || error == EADDRNOTAVAIL || error == EAGAIN;
  if (refused.whole || !about_holders) return;
  const model::CallRecord& c = refused.call;
  const uint16_t port = asked_port(c);
  const bool address_refused = error == EADDRNOTAVAIL && c.call == model::Call::bind;
  if (address_refused) return;
  const kernel::WalkRequest request{
      {c.socket.proto == model::Proto::mptcp ? model::Proto::tcp : c.socket.proto},
      port,
      c.socket.netns};
  auto view = port == 0 ? search_view(request) : source_.walk(request);
  if (!view) return;
  refused.view = *std::move(view);
  refused.whole = !refused.view.torn;
}

// The walk that is kept was made before `time`, and a new one is no burden.
bool Core::search_outdated(MonoNs time) const {
  return searched_.at < time && searches_paid_until_ < monotonic_now() + searches_in_advance;
}

std::shared_ptr<Diagnosis> Core::decide(model::RefusedCall refused) {
  const bool searched = !refused.whole && asked_port(refused.call) == 0;
  complete_view(refused);
  auto diagnosis = std::make_shared<Diagnosis>(std::move(refused), table_, host_);
  const bool outdated = searched && search_outdated(diagnosis->failure().time);
  if (diagnosis->reproduced() || !outdated) return diagnosis;
  refused = diagnosis->take_back();
  refused.whole = false;
  searched_ = {};
  complete_view(refused);
  return std::make_shared<Diagnosis>(std::move(refused), table_, host_);
}

void Core::diagnose(model::RefusedCall refused) {
  const auto diagnosis = decide(std::move(refused));
  model::Failure& f = diagnosis->failure();
  f.complete = f.complete && health_.complete;
  in_progress_.push_back({diagnosis});
  find_owners(f.blockers, [this, &ready = in_progress_.back().ready] {
    ready = true;
    finish_in_order();
  });
}

// Refusals are kept and told in the order in which they happened, though the
// processes behind some are found sooner.
void Core::finish_in_order() {
  while (!in_progress_.empty() && in_progress_.front().ready) {
    const auto diagnosis = std::move(in_progress_.front().diagnosis);
    in_progress_.pop_front();
    finish(*diagnosis);
    ++finished_;
  }
  tell_those_who_wait();
}

void Core::when_diagnosed(std::function<void()> done) {
  catch_up();
  if (refused_.empty() && in_progress_.empty()) return done();
  sweeper_.request([](const Sweeper::Result&) {}); // what is in progress need not wait for its turn
  const auto waiting = std::make_shared<Awaited>(
      Awaited{finished_ + in_progress_.size() + refused_.size(), std::move(done),
              boost::asio::steady_timer(io_, longest_wait)});
  waiting->patience.async_wait([this, weak = std::weak_ptr(waiting)](const auto& ec) {
    const auto told = weak.lock();
    if (ec || !told) return;
    std::erase(awaited_, told);
    told->done();
  });
  awaited_.push_back(waiting);
}

void Core::tell_those_who_wait() {
  while (!awaited_.empty() && awaited_.front()->finished <= finished_) {
    boost::asio::post(io_, std::move(awaited_.front()->done)); // not amid what is going on here
    awaited_.pop_front();
  }
}

void Core::finish_refusals(std::function<void()> done) {
  when_diagnosed([this, done = std::move(done)] {
    for (InProgress& p : std::exchange(in_progress_, {}))
      finish(*p.diagnosis);
    for (const model::RefusedCall& r : std::exchange(refused_, {}))
      keep_undiagnosed(r);
    done();
  });
}

// When a holder let go after the refusal: the kernel told of it since.
void Core::add_releases(model::Failure& f) {
  for (model::Blocker& b : f.blockers)
    b.released_at = events_.released_at(b.socket, f.time);
}

void Core::finish(Diagnosis& diagnosis) {
  model::Failure& known = diagnosis.failure();
  add_releases(known);
  if (auto folded = failures_.fold(known, known.time)) return publish_failure(std::move(folded));
  model::Failure f = diagnosis.finish();
  if (f.blockers.size() > max_kept_blockers) {
    f.blockers_left_out = f.blockers.size() - max_kept_blockers;
    f.blockers.resize(max_kept_blockers);
  }
  publish_failure(failures_.add(std::move(f)));
}

void Core::publish_failure(std::shared_ptr<const model::Failure> failure) {
  model::Event e;
  e.time = failure->time;
  e.type = model::EventType::fail;
  e.process = failure->process;
  e.failure = std::move(failure);
  publish(std::move(e));
}

void Core::fill_holders(model::Blocker& blocker, std::span<const kernel::Descriptor> owners) {
  blocker.holders.clear();
  for (const kernel::Descriptor& o : owners)
    if (auto process = processes_.current(o.pid))
      blocker.holders.push_back({std::move(process), static_cast<int>(o.fd)});
  blocker.holders_known = true;
  blocker.binder_exited = blocker.binder && !kernel::ProcessCache::is_alive(*blocker.binder);
}

void Core::find_owners(std::vector<model::Blocker>& blockers, std::function<void()> done) {
  bool complete = true;
  // Looking through a process is quick for one refusal, a sweep for many.
  const bool crowded = refused_.size() > crowd;
  for (model::Blocker& b : blockers) {
    const uint32_t binder = b.binder && !crowded ? b.binder->pid : 0;
    const kernel::Owners owners = kernel::quick_owners(b.socket, sweeper_.last(), binder);
    fill_holders(b, owners.descriptors);
    b.holders_known = owners.complete;
    complete = complete && owners.complete;
  }
  if (complete) return done();
  Sweeper::Done found = [this, &blockers, done = std::move(done)](const Sweeper::Result& swept) {
    for (model::Blocker& b : blockers)
      if (!b.holders_known && swept) fill_holders(b, kernel::still_open(b.socket, **swept));
    done();
  };
  if (awaited_.empty() || crowded)
    sweeper_.request_in_turn(std::move(found));
  else
    sweeper_.request(std::move(found));
}

} // namespace bindlens::app
