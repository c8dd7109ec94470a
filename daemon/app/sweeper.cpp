#include "sweeper.h"

#include <boost/asio/post.hpp>

#include <chrono>

namespace bindlens::app {

void Sweeper::request(Done done) {
  urgent_ = true;
  waiting_.push_back(std::move(done));
  go_on();
}

void Sweeper::request_in_turn(Done done) {
  waiting_.push_back(std::move(done));
  go_on();
}

void Sweeper::go_on() {
  if (busy_ || waiting_.empty()) return;
  const MonoNs now = monotonic_now();
  if (urgent_ || now >= paused_until_) return start();
  pause_.expires_after(std::chrono::nanoseconds(paused_until_ - now));
  pause_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) go_on();
  });
}

void Sweeper::start() {
  busy_ = true;
  urgent_ = false;
  running_ = std::exchange(waiting_, {});
  if (!pool_) pool_.emplace(1);
  boost::asio::post(*pool_, [this] {
    const MonoNs before = read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    auto swept = kernel::sweep_owners(session_);
    const MonoNs cpu_ns = read_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
    Result result = swept ? Result(std::make_shared<kernel::OwnerMap>(*std::move(swept)))
                          : Result(std::unexpected(swept.error()));
    boost::asio::post(io_,
                      [this, result = std::move(result), cpu_ns] { finished(result, cpu_ns); });
  });
}

// What counts is the work: on a busy machine a sweep takes longer, and refusals wait.
void Sweeper::finished(Result result, MonoNs cpu_ns) {
  constexpr MonoNs pause_per_work = 4;
  paused_until_ = monotonic_now() + pause_per_work * cpu_ns;
  busy_ = false;
  if (result) last_ = *result;
  const std::vector<Done> asked = std::exchange(running_, {});
  go_on();
  for (const Done& done : asked)
    done(result);
}

} // namespace bindlens::app
