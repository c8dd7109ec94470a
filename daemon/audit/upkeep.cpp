#include <bindlens/audit/upkeep.h>

#include <algorithm>

namespace bindlens::audit {

bool Turns::note_change(MonoNs now) {
  if (changed_) return false;
  changed_ = now;
  return true;
}

void Turns::end(MonoNs now, const Outcome& outcome) {
  ended_ = now;
  last_ = outcome;
}

MonoNs Turns::due() const {
  MonoNs due = ended_ + unchanged_interval;
  if (changed_) due = std::min(due, *changed_ + interval_);
  if (last_.unsettled) due = std::min(due, ended_ + interval_);
  if (last_.by_age) due = std::min(due, std::max(*last_.by_age, ended_ + interval_));
  return std::max(due, ended_ + last_.cost * (most_share - 1));
}

std::vector<Known::Change> Known::take(std::vector<model::Finding> found) {
  std::vector<Change> changes;
  std::set<Key> present;
  unsettled_ = false;
  // The most severe first: of one key, that one is told.
  for (model::Finding& f : found) {
    Key key{f.id, f.netns, f.subject};
    if (!present.insert(key).second) continue;
    const auto known = findings_.find(key);
    if (known != findings_.end()) known->second.seen = true;
    if (known != findings_.end() && f.severity <= known->second.finding->severity) continue;
    if (changes.size() == most_told) {
      unsettled_ = true;
      continue;
    }
    auto finding = std::make_shared<const model::Finding>(std::move(f));
    changes.push_back({finding, false});
    findings_.insert_or_assign(std::move(key), Entry{std::move(finding), true});
  }
  take_gone(changes, present);
  return changes;
}

void Known::take_gone(std::vector<Change>& changes, const std::set<Key>& present) {
  for (auto at = findings_.begin(); at != findings_.end();) {
    Entry& entry = at->second;
    if (present.contains(at->first)) {
      ++at;
    } else if (entry.seen) {
      entry.seen = false;
      unsettled_ = true;
      ++at;
    } else {
      changes.push_back({std::move(entry.finding), true});
      at = findings_.erase(at);
    }
  }
}

} // namespace bindlens::audit
