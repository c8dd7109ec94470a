#include "feed.h"

#include <bindlens/util/clock.h>

#include <algorithm>
#include <chrono>
#include <unistd.h>

namespace bindlens::cli::top {
namespace {

using protocol::Client;
using protocol::ClientError;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds retry_after{1000};
constexpr milliseconds status_every{2000};
// An audit reads the kernel's tables and all descriptors: it may take a
// hundredth of the daemon's time at most.
constexpr milliseconds audit_every{30'000}; // events tell of most changes earlier
constexpr milliseconds audit_at_most_every{2000};
constexpr int audit_share = 100;
// Reuseport groups are read from the kernel, too, but only they.
constexpr milliseconds groups_every{2000};
constexpr int status_share = 20;
constexpr int groups_share = 50;
constexpr unsigned http_not_found = 404;
constexpr const char* history_limit = "20000"; // what graphs and rates are worth at the start
constexpr const char* findings_limit = "500";

protocol::WallNs wall_now() {
  return static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
}

template <typename View, typename Read>
Result<std::vector<View>> read_lines(std::string_view body, Read read) {
  std::vector<View> views;
  while (!body.empty()) {
    const size_t end = std::min(body.find('\n'), body.size());
    auto view = read(body.substr(0, end));
    if (!view) return std::unexpected(view.error());
    views.push_back(std::move(*view));
    body.remove_prefix(std::min(end + 1, body.size()));
  }
  return views;
}

// Asks and says when to ask again: nothing may take more than its part of the
// daemon's time.
template <typename Ask>
Clock::time_point next_time(Ask ask, milliseconds every, int share) {
  const auto begin = Clock::now();
  ask();
  const auto end = Clock::now();
  return end + std::max<Clock::duration>(every, (end - begin) * share);
}

} // namespace

Feed::Feed(Options options, Shared& shared) : options_(std::move(options)), shared_(shared) {
  follower_ = std::thread([this] { follow(); });
  asker_ = std::thread([this] { ask(); });
}

Feed::~Feed() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (following_ != nullptr) following_->abort();
    if (asking_ != nullptr) asking_->abort();
  }
  wake_.notify_all();
  follower_.join();
  asker_.join();
}

bool Feed::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool Feed::pause_for(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [this] { return stopping_; });
}

template <typename Change>
void Feed::change(Change change) {
  {
    const std::lock_guard lock(shared_.mutex);
    change(shared_.model);
  }
  const uint64_t one = 1;
  // It fails only when it is set already.
  [[maybe_unused]] const auto written = ::write(shared_.changed.get(), &one, sizeof one);
}

std::string Feed::target(std::string_view path, std::vector<protocol::Parameter> more) const {
  more.insert(more.begin(), options_.filter.begin(), options_.filter.end());
  return protocol::make_target(path, more);
}

std::expected<void, ClientError> Feed::transfer(const std::string& target, Client*& slot,
                                                const Client::Sink& sink,
                                                const std::function<void()>& connected) {
  auto client = Client::connect(options_.socket);
  if (!client) return std::unexpected(client.error());
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return {};
    slot = &*client;
  }
  if (connected) connected();
  auto done = client->get(target, sink);
  const std::lock_guard lock(mutex_);
  slot = nullptr;
  return done;
}

std::expected<std::string, ClientError> Feed::fetch(const std::string& target, Client*& slot) {
  std::string body;
  auto done = transfer(target, slot, [&](std::string_view piece) {
    body += piece;
    return true;
  });
  if (!done) return std::unexpected(std::move(done.error()));
  return body;
}

// --- events -------------------------------------------------------------------

void Feed::tell_link(bool up, std::string trouble) {
  change([&](Model& m) { m.set_link({up, std::move(trouble), up ? 0 : wall_now()}); });
}

void Feed::take(const std::vector<Happening>& batch) {
  change([&](Model& m) {
    for (const Happening& h : batch)
      m.add(h);
  });
  if (std::ranges::any_of(batch, [](const auto& h) { return h.kind == Kind::audit; }))
    audit_told_ = true; // the other thread looks at it when it asks for the status
}

void Feed::follow_once(protocol::WallNs since) {
  std::string rest; // the beginning of a line that has not arrived whole
  std::vector<Happening> batch;
  std::string unreadable;
  const auto line = [&](std::string_view text) {
    auto h = read_happening(text);
    if (h)
      batch.push_back(std::move(*h));
    else
      unreadable = h.error().text;
    return h.has_value();
  };
  const auto sink = [&](std::string_view piece) {
    batch.clear();
    size_t end = 0;
    bool more = true;
    while (more && (end = piece.find('\n')) != std::string_view::npos) {
      rest += piece.substr(0, end);
      more = line(rest);
      rest.clear();
      piece.remove_prefix(end + 1);
    }
    rest += piece;
    if (!batch.empty()) take(batch);
    return more;
  };
  const auto done = transfer(
      target("/v1/events",
             {{"since", protocol::to_rfc3339(since)}, {"limit", history_limit}, {"follow", "1"}}),
      following_, sink, [&] { tell_link(true, {}); });
  if (stopping()) return;
  if (!done && done.error().kind != ClientError::Kind::unreachable) unreadable = done.error().text;
  tell_link(false, unreadable);
}

void Feed::follow() {
  protocol::WallNs since = options_.history_from;
  do {
    follow_once(since);
    const std::lock_guard lock(shared_.mutex);
    since = std::max(since, shared_.model.newest_event() + 1);
  } while (pause_for(retry_after));
}

// --- what is asked for --------------------------------------------------------

void Feed::ask_status() {
  const auto body = fetch("/v1/status", asking_);
  if (!body) return; // the other thread tells why
  if (auto status = protocol::read_status(*body))
    change([&](Model& m) { m.set_status(std::move(*status)); });
}

void Feed::ask_findings() {
  const auto body = fetch(target("/v1/audit", {{"limit", findings_limit}}), asking_);
  if (!body) {
    if (body.error().kind == ClientError::Kind::refused)
      change([&](Model& m) { m.set_findings_trouble(body.error().text); });
    return;
  }
  auto findings = read_lines<protocol::FindingView>(*body, protocol::read_finding);
  change([&](Model& m) {
    if (findings)
      m.set_findings(std::move(*findings));
    else
      m.set_findings_trouble(findings.error().text);
  });
}

void Feed::ask_groups() {
  const auto body = fetch(target("/v1/reuseport", {}), asking_);
  if (!body) {
    const bool absent = body.error().status == http_not_found;
    if (body.error().kind == ClientError::Kind::refused)
      change([&](Model& m) {
        m.set_groups_trouble(absent ? "this daemon does not tell of them" : body.error().text);
      });
    return;
  }
  auto groups = read_lines<protocol::GroupView>(*body, protocol::read_group);
  change([&](Model& m) {
    if (groups)
      m.set_groups(std::move(*groups));
    else
      m.set_groups_trouble(groups.error().text);
  });
}

void Feed::ask() {
  auto status_due = Clock::now();
  auto groups_due = status_due;
  auto audit_due = status_due;
  auto audit_allowed = status_due; // earlier than due, when an event tells of findings
  while (!stopping()) {
    if (Clock::now() >= status_due)
      status_due = next_time([this] { ask_status(); }, status_every, status_share);
    if (Clock::now() >= groups_due)
      groups_due = next_time([this] { ask_groups(); }, groups_every, groups_share);
    if (Clock::now() >= audit_due ||
        (Clock::now() >= audit_allowed && audit_told_.exchange(false))) {
      audit_due = next_time([this] { ask_findings(); }, audit_every, audit_share);
      audit_allowed = audit_due - audit_every + audit_at_most_every;
    }
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, std::min({status_due, groups_due, audit_due}),
                     [this] { return stopping_; });
  }
}

} // namespace bindlens::cli::top
