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
constexpr milliseconds audit_every{15'000};
constexpr milliseconds audit_at_most_every{2000};
constexpr int audit_share = 100;
constexpr const char* history_limit = "20000"; // what graphs and rates are worth at the start
constexpr const char* findings_limit = "500";

protocol::WallNs wall_now() {
  return static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
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
  if (std::ranges::none_of(batch, [](const auto& h) { return h.kind == Kind::audit; })) return;
  const std::lock_guard lock(mutex_);
  audit_told_ = true;
  wake_.notify_all();
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
  std::vector<protocol::FindingView> findings;
  std::string_view rest = *body;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    auto finding = protocol::read_finding(rest.substr(0, end));
    if (!finding) return change([&](Model& m) { m.set_findings_trouble(finding.error().text); });
    findings.push_back(std::move(*finding));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  change([&](Model& m) { m.set_findings(std::move(findings)); });
}

void Feed::ask() {
  auto audit_due = Clock::now();
  auto audit_allowed = audit_due;
  auto status_due = audit_due;
  while (true) {
    if (Clock::now() >= status_due) {
      ask_status();
      status_due = Clock::now() + status_every;
    }
    {
      const std::lock_guard lock(mutex_);
      if (audit_told_) audit_due = std::min(audit_due, audit_allowed);
      audit_told_ = audit_told_ && Clock::now() < audit_due;
    }
    if (Clock::now() >= audit_due) {
      const auto begin = Clock::now();
      ask_findings();
      const auto end = Clock::now();
      const auto rest = (end - begin) * audit_share;
      audit_due = end + std::max<Clock::duration>(audit_every, rest);
      audit_allowed = end + std::max<Clock::duration>(audit_at_most_every, rest);
    }
    std::unique_lock lock(mutex_);
    if (wake_.wait_until(lock, std::min(status_due, audit_due), [this] { return stopping_; }))
      return;
  }
}

} // namespace bindlens::cli::top
