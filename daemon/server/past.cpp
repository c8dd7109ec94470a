#include "past.h"

#include <utility>

namespace bindlens::server {

using model::Missing;
using model::PastSocket;

PastSource::PastSource(std::shared_ptr<Context> context, std::unique_ptr<PastCursor> cursor,
                       model::PastPiece first, uint64_t limit)
    : context_(std::move(context)), piece_(std::move(first)), left_(limit),
      cursor_(std::move(cursor)) {}

void PastSource::ask() {
  asked_ = true;
  cursor_->next([this](Result<model::PastPiece> piece) {
    asked_ = false;
    told_ = 0;
    if (piece) {
      piece_ = *std::move(piece);
    } else {
      Missing rest;
      rest.why = Missing::Why::unavailable;
      rest.until = static_cast<int64_t>(read_clock_ns(CLOCK_REALTIME));
      rest.reason = "the history cannot be read any further: " + piece.error().text;
      piece_ = {{{std::move(rest), {}}}, true};
    }
    if (const auto ready = std::exchange(ready_, nullptr)) ready();
  });
}

void PastSource::append(std::string& out, const model::PastItem& item) {
  const PastNames names(context_->names, item);
  if (const auto* e = std::get_if<model::Event>(&item.what)) {
    protocol::append_event(out, *e, names, 0);
  } else if (const auto* f = std::get_if<std::shared_ptr<const model::Failure>>(&item.what)) {
    protocol::append_failure(out, **f, names, 0);
  } else if (const auto* m = std::get_if<Missing>(&item.what)) {
    protocol::append_missing(out, *m);
  } else if (const auto* s = std::get_if<PastSocket>(&item.what); left_ != 0) {
    --left_;
    const std::string user = names.user(s->socket.uid);
    const std::string netns = names.netns(s->socket.netns);
    const std::string dev = s->socket.dev == 0 ? "" : names.dev(s->socket.netns, s->socket.dev);
    protocol::SocketRow row;
    row.socket = s->socket;
    row.bound_by = s->bound_by;
    row.bound_at = static_cast<MonoNs>(s->bound_at);
    row.binder = s->binder;
    row.holders_known = false;
    row.user = user;
    row.netns_name = netns;
    row.dev = dev;
    row.uncertain = s->uncertain;
    writer_.append(out, row);
  }
}

Source::State PastSource::fill(std::string& out, size_t slice) {
  const size_t enough = out.size() + slice;
  while (told_ < piece_.items.size() && out.size() < enough)
    append(out, piece_.items[told_++]);
  if (told_ < piece_.items.size()) return State::more;
  if (piece_.last) return State::done;
  if (!asked_) ask();
  // What asked for it may have been answered at once.
  return asked_ ? State::waiting : State::more;
}

void PastSource::on_ready(std::function<void()> ready) {
  if (!asked_) return ready();
  ready_ = std::move(ready);
}

} // namespace bindlens::server
