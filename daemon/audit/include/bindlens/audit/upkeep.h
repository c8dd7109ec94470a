#pragma once

#include <bindlens/model/finding.h>
#include <bindlens/util/clock.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

// One audit after another: when, and what is new in each. Pure.
namespace bindlens::audit {

// When to audit again. While sockets come and go, once in `interval`; what no
// event tells of - TIME_WAIT, a process that is gone, a changed sysctl - is
// looked for in between, seldom. Whatever happens, audits take one hundredth of
// the time of one processor at most.
class Turns {
 public:
  static constexpr MonoNs unchanged_interval = 60'000'000'000;
  static constexpr MonoNs most_share = 100; // one part of so many

  Turns(MonoNs interval, MonoNs now) : interval_(interval), ended_(now), changed_(now) {}

  // A socket got or lost a port. True if that moves due() forward.
  bool note_change(MonoNs now);
  // From now on changes are for the next audit.
  void begin() { changed_.reset(); }
  struct Outcome {
    MonoNs cost = 0;                   // time of a processor
    bool unsettled = false;            // another one has to confirm it, whatever changes
    std::optional<MonoNs> by_age = {}; // when something will be a finding by its age alone
  };
  void end(MonoNs now, const Outcome& outcome);
  [[nodiscard]] MonoNs due() const;

 private:
  MonoNs interval_;
  MonoNs ended_;
  std::optional<MonoNs> changed_; // the first time since the last audit began
  Outcome last_;
};

// The findings that have been told of.
class Known {
 public:
  struct Change {
    std::shared_ptr<const model::Finding> finding;
    bool resolved = false; // it is not there any more
  };
  static constexpr size_t most_told = 256; // at once; the others have their turn later

  // What is new since the audit before, or has become more severe, and what is
  // gone. Gone is what two audits in a row did not find: what comes and goes by
  // the second is one finding.
  [[nodiscard]] std::vector<Change> take(std::vector<model::Finding> found);
  // There is something that has not been told, or may be gone.
  [[nodiscard]] bool unsettled() const { return unsettled_; }
  [[nodiscard]] size_t size() const { return findings_.size(); }

 private:
  // What it is, where, and about what: without process ids, as model::Finding says.
  using Key = std::tuple<model::FindingId, uint32_t, std::string>;
  struct Entry {
    std::shared_ptr<const model::Finding> finding; // as it was told
    bool seen = true;
  };
  void take_gone(std::vector<Change>& changes, const std::set<Key>& present);

  std::map<Key, Entry> findings_;
  bool unsettled_ = false;
};

} // namespace bindlens::audit
