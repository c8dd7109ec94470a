#include "follow.h"

#include <utility>

namespace bindlens::server {

FollowSource::FollowSource(std::shared_ptr<Context> context, model::Filter filter)
    : context_(std::move(context)), filter_(std::move(filter)) {
  ++context_->followers;
  subscription_ = context_->backend.subscribe([this](const model::Event& e) { take(e); });
}

FollowSource::~FollowSource() {
  subscription_.reset(); // before anything that take() uses
  --context_->followers;
}

void FollowSource::take(const model::Event& e) {
  if (!filter_.matches(e)) return;
  // Once something is lost all is, until the reader has caught up: the gap then
  // has one place in the stream.
  if (lost_ != 0 || pending_.size() >= context_->options.limits.follow_buffer) {
    if (lost_++ == 0)
      context_->warn("a client of /v1/events reads too slowly and misses events, ignoring");
    return;
  }
  protocol::append_event(pending_, e, context_->names);
  if (const auto ready = std::exchange(ready_, nullptr)) ready();
}

// Events may have come since fill() said that there are none: what it had
// appended took a while to be written.
void FollowSource::on_ready(std::function<void()> ready) {
  if (before_) return before_->on_ready(std::move(ready));
  if (!pending_.empty()) return ready();
  ready_ = std::move(ready);
}

void FollowSource::close_gap(std::string& out) {
  protocol::append_reader_gap(out, lost_);
  lost_ = 0;
}

Source::State FollowSource::fill(std::string& out, size_t slice) {
  const size_t enough = out.size() + slice;
  if (before_) {
    if (const State state = before_->fill(out, slice); state != State::done) return state;
    before_.reset();
  }
  if (out.size() >= enough) return State::more;
  if (pending_.empty()) return State::waiting;
  // Everything at once: it is in memory already, and copying slices off its
  // front would be quadratic.
  out += pending_;
  pending_.clear();
  if (lost_ != 0) close_gap(out);
  return State::more;
}

} // namespace bindlens::server
