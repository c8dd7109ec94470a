#include "../commands.h"
#include "../fetch.h"
#include "../phrases.h"

#include "feed.h"
#include "signals.h"
#include "terminal.h"
#include "view.h"

#include <bindlens/util/clock.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace bindlens::cli {
namespace top {
namespace {

constexpr protocol::WallNs second = 1'000'000'000;
constexpr protocol::WallNs between_draws = second / 10;

protocol::WallNs wall_now() {
  return static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
}

// The program while it has the screen: waits, and does what has come.
class Session {
 public:
  Session(Shared& shared, Signals& signals, Terminal& terminal)
      : shared_(shared), signals_(signals), terminal_(terminal), view_({own_netns()}) {}

  // The signal that ended it; 0 for a key, or a terminal that is gone.
  int run();

 private:
  void wait();
  void take_signals();
  void take_keys();
  void draw();

  Shared& shared_;
  Signals& signals_;
  Terminal& terminal_;
  View view_;
  Screen shown_;
  bool keys_ = false, signaled_ = false, changed_ = true, asked_ = true;
  bool anew_ = false; // what the terminal shows is not what was drawn
  bool done_ = false;
  int killer_ = 0;
  protocol::WallNs drawn_at_ = 0;
};

// A key and a signal are answered at once; news wait for the next drawing, and
// without any, the second does: ages and rates go on.
void Session::wait() {
  const protocol::WallNs now = wall_now();
  const protocol::WallNs since = std::max<protocol::WallNs>(now - drawn_at_, 0);
  protocol::WallNs time = second - now % second;
  const bool too_soon = since < between_draws;
  if (changed_) time = too_soon ? between_draws - since : 0;
  std::array<pollfd, 3> fds = {{{STDIN_FILENO, POLLIN, 0},
                                {signals_.fd(), POLLIN, 0},
                                {changed_ ? -1 : shared_.changed.get(), POLLIN, 0}}};
  const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(time / 1'000'000) + 1);
  if (ready == 0) asked_ = true;
  keys_ = ready > 0 && (fds[0].revents & POLLIN) != 0;
  signaled_ = ready > 0 && fds[1].revents != 0;
  // The terminal is gone, and nothing will ever come from it again.
  if (ready > 0 && (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) done_ = true;
  if (ready > 0 && fds[2].revents != 0) {
    uint64_t count = 0;
    changed_ = ::read(shared_.changed.get(), &count, sizeof count) > 0;
  }
}

void Session::take_signals() {
  while (const auto signal = signals_.next()) {
    switch (*signal) {
    case SIGWINCH:
      terminal_.resize();
      break;
    case SIGCONT:
      terminal_.resume();
      break;
    case SIGTSTP:
      terminal_.leave();
      suffer(SIGTSTP);
      terminal_.resume();
      break;
    default:
      killer_ = *signal;
      done_ = true;
      return;
    }
    anew_ = asked_ = true;
  }
}

void Session::take_keys() {
  while (const auto key = terminal_.next_key()) {
    if (!view_.press(*key)) done_ = true;
    if (key->special == Special::redraw) {
      terminal_.resume();
      anew_ = true;
    }
    asked_ = true;
  }
}

void Session::draw() {
  asked_ = changed_ = false;
  drawn_at_ = wall_now();
  Snapshot now;
  {
    const std::lock_guard lock(shared_.mutex);
    now = shared_.model.snapshot(drawn_at_);
  }
  Screen next = view_.render(now, terminal_.size());
  if (next == shown_ && !anew_) return;
  terminal_.draw(next);
  shown_ = std::move(next);
  anew_ = false;
}

int Session::run() {
  while (!done_) {
    const bool due = changed_ && wall_now() - drawn_at_ >= between_draws;
    if (asked_ || due) draw();
    wait();
    if (signaled_) take_signals();
    if (keys_) take_keys();
  }
  return killer_;
}

// What was refused before, so that the first screen is not empty.
Fetched read_past(const Common& common, const std::vector<protocol::Parameter>& filter,
                  Shared& shared) {
  constexpr const char* most = "1000";
  const protocol::WallNs now = wall_now();
  auto parameters = filter;
  parameters.emplace_back("since", protocol::to_rfc3339(now - 3600 * second));
  parameters.emplace_back("until", protocol::to_rfc3339(now));
  parameters.emplace_back("limit", most);
  std::vector<protocol::FailureView> failures;
  Result<void> readable;
  const auto fetched = for_each_line(common, protocol::make_target("/v1/failures", parameters),
                                     [&](std::string_view line) {
                                       if (protocol::read_missing(line))
                                         return true; // a time when no daemon saw anything
                                       auto failure = protocol::read_failure(line);
                                       if (failure)
                                         failures.push_back(std::move(*failure));
                                       else
                                         readable = std::unexpected(failure.error());
                                       return readable.has_value();
                                     });
  if (!fetched) return fetched;
  if (!readable) return std::unexpected(complain(exit_error, readable.error().text));
  shared.model.set_past_failures(failures, now);
  return {};
}

} // namespace
} // namespace top

int run_top(const Common& common, const std::vector<protocol::Parameter>& filter,
            uint32_t sample_s) {
  if (common.json)
    return complain(exit_usage, "top has no JSON; use 'bindlens events --follow --json'");
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1)
    return complain(exit_usage, "top needs a terminal; for a pipe or a file use 'bindlens events "
                                "--follow', with --json for a program");
  const protocol::WallNs sample_ns = sample_s * top::second;
  const protocol::WallNs now = top::wall_now();
  top::Shared shared(sample_ns, now);
  shared.changed.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!shared.changed)
    return complain(exit_error, fail_errno("cannot make an eventfd").error().text);
  if (const auto past = top::read_past(common, filter, shared); !past) return past.error();

  int killer = 0;
  {
    auto signals = top::Signals::take();
    if (!signals) return complain(exit_error, signals.error().text);
    auto terminal = top::Terminal::open(common.style.color);
    if (!terminal) return complain(exit_usage, terminal.error().text);
    const protocol::WallNs graphs = static_cast<protocol::WallNs>(top::Model::most_samples);
    top::Feed feed({common.socket, filter, now - graphs * sample_ns}, shared);
    killer = top::Session(shared, *signals, **terminal).run();
    (*terminal)->leave(); // before the threads are waited for
    if (killer != 0) top::suffer(killer);
  }
  return exit_done;
}

} // namespace bindlens::cli
