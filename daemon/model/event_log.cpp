#include <bindlens/model/event_log.h>

#include <algorithm>
#include <utility>

namespace bindlens::model {

namespace {

// Two sockets, as far as their cookies are known.
bool are_different(uint64_t cookie, uint64_t other) {
  return cookie != 0 && other != 0 && cookie != other;
}

size_t size_of(const ProcessRef& p) {
  return p ? sizeof *p : 0;
}

size_t size_of(const std::vector<std::string>& texts) {
  size_t n = 0;
  for (const std::string& text : texts)
    n += sizeof text + text.size();
  return n;
}

size_t size_of(const std::vector<Blocker>& blockers) {
  size_t n = 0;
  for (const Blocker& b : blockers)
    n += sizeof b + b.holders.size() * (sizeof(Holder) + sizeof(Process)) + size_of(b.binder);
  return n;
}

size_t size_of(const Failure& f) {
  return sizeof f + f.explanation.size() + size_of(f.process) + size_of(f.advice) +
         size_of(f.blockers);
}

size_t size_of(const std::shared_ptr<const Finding>& f) {
  if (!f) return 0;
  size_t n = sizeof *f + f->summary.size() + f->detail.size() + f->subject.size();
  for (const Delivery& d : f->deliveries)
    n += sizeof d + d.destination.size() + d.receiver.size();
  return n + size_of(f->advice) + size_of(f->sockets);
}

} // namespace

const Event& EventLog::add(Event&& e) {
  e.id = next_id_++;
  if (e.type == EventType::release) releases_.note(e.socket.id, e.time, e.socket.cookie);
  findings_bytes_ += size_of(e.finding);
  events_.push_back(std::move(e));
  while (events_.size() > 1 && bytes() > max_bytes_) {
    findings_bytes_ -= size_of(events_.front().finding);
    events_.pop_front();
  }
  return events_.back();
}

void RecentReleases::note(SocketId id, MonoNs time, uint64_t cookie) {
  if (newer_.size() >= generation) older_ = std::exchange(newer_, {});
  newer_[id] = {time, cookie};
}

MonoNs RecentReleases::find(SocketId id, MonoNs since, uint64_t cookie) const {
  for (const auto* releases : {&newer_, &older_})
    if (const auto it = releases->find(id); it != releases->end()) {
      const Release& r = it->second;
      return r.time >= since && !are_different(r.cookie, cookie) ? r.time : 0;
    }
  return 0;
}

std::vector<Event> EventLog::select(const Filter& f) const {
  std::vector<Event> selected;
  std::copy_if(events_.begin(), events_.end(), std::back_inserter(selected),
               [&](const Event& e) { return f.matches(e); });
  // A refusal takes its place only after it was diagnosed.
  std::stable_sort(selected.begin(), selected.end(),
                   [](const Event& a, const Event& b) { return a.time < b.time; });
  return selected;
}

namespace {

// A socket that changed hands is another culprit.
bool same_holders(const Blocker& a, const Blocker& b) {
  return a.binder_exited == b.binder_exited && a.released_at == b.released_at &&
         std::equal(a.holders.begin(), a.holders.end(), b.holders.begin(), b.holders.end(),
                    [](const Holder& x, const Holder& y) {
                      return x.fd == y.fd && x.process->pid == y.process->pid &&
                             x.process->start_time == y.process->start_time;
                    });
}

} // namespace

bool is_same_refusal(const Failure& a, const Failure& b) {
  const bool same_call = a.call == b.call && a.error == b.error && a.proto == b.proto &&
                         a.asked == b.asked && a.peer == b.peer && a.flags == b.flags &&
                         a.dev == b.dev && a.uid == b.uid && a.netns == b.netns;
  const bool same_process = a.process->pid == b.process->pid &&
                            a.process->start_time == b.process->start_time &&
                            a.process->comm == b.process->comm;
  return same_call && same_process &&
         std::equal(a.blockers.begin(), a.blockers.end(), b.blockers.begin(), b.blockers.end(),
                    [](const Blocker& x, const Blocker& y) {
                      return x.socket.id == y.socket.id && x.socket.inode == y.socket.inode &&
                             x.socket.state == y.socket.state && x.socket.flags == y.socket.flags &&
                             same_holders(x, y);
                    });
}

std::shared_ptr<const Failure> FailureLog::fold(const Failure& same, MonoNs time) {
  if (failures_.empty() || !is_same_refusal(*failures_.back(), same)) return nullptr;
  ++seen_;
  auto folded = std::make_shared<Failure>(*failures_.back());
  folded->time = time;
  ++folded->count;
  failures_.back() = folded;
  return folded;
}

std::shared_ptr<const Failure> FailureLog::add(Failure f) {
  seen_ += f.count;
  f.id = next_id_++;
  bytes_ += size_of(f);
  // Sockets that outlive the entries they stand in would stay here for ever.
  if (numbers_ > 8 * max_entries_) {
    by_socket_.clear();
    numbers_ = 0;
  }
  for (const Blocker& b : f.blockers) {
    if (b.released_at != 0) continue;
    by_socket_[b.socket.id].push_back(f.id);
    ++numbers_;
  }
  failures_.push_back(std::make_shared<const Failure>(std::move(f)));
  while (failures_.size() > 1 && (failures_.size() > max_entries_ || bytes_ > max_bytes_)) {
    bytes_ -= size_of(*failures_.front());
    failures_.pop_front();
  }
  return failures_.back();
}

void FailureLog::note_release(const Socket& s, MonoNs time) {
  const auto stands_in = by_socket_.find(s.id);
  if (stands_in == by_socket_.end()) return;
  const std::vector<uint64_t> numbers = std::move(stands_in->second);
  by_socket_.erase(stands_in);
  numbers_ -= numbers.size();
  const uint64_t oldest = failures_.empty() ? next_id_ : failures_.front()->id;
  for (const uint64_t number : numbers) {
    if (number < oldest) continue;
    auto& kept = failures_[number - oldest]; // numbers have no holes
    auto told = std::make_shared<Failure>(*kept);
    for (Blocker& b : told->blockers)
      if (b.socket.id == s.id && !are_different(b.socket.cookie, s.cookie) && b.released_at == 0 &&
          time >= told->time)
        b.released_at = time;
    kept = std::move(told);
  }
}

std::vector<std::shared_ptr<const Failure>> FailureLog::select(const Filter& f) const {
  std::vector<std::shared_ptr<const Failure>> selected;
  std::copy_if(failures_.rbegin(), failures_.rend(), std::back_inserter(selected),
               [&](const auto& failure) { return f.matches(*failure); });
  return selected;
}

} // namespace bindlens::model
