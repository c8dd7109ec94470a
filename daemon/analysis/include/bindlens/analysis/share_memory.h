#pragma once

#include <bindlens/model/distribution.h>

#include <optional>
#include <unordered_map>
#include <vector>

namespace bindlens::analysis {

// What may be compared of a group. The vectors are in the order of its members.
struct ShareWindow {
  MonoNs since = 0;
  bool from_start = false; // counts are the counters as they are
  model::Measure measure = model::Measure::none;
  std::vector<std::optional<uint64_t>> counts; // absent: not there for all of the time
  std::vector<uint64_t> drops;                 // in that time; 0 when not counted
  // Something has been waiting and nothing was taken since then, as far as was looked;
  // 0 = not so.
  std::vector<MonoNs> waiting_since;
};

// Counters of members that came at different times cannot be compared as they are. This
// remembers what they were when the group last changed, so that what came since then can.
// A member that leaves changes nothing: what it would have got goes to the others alike.
class ShareMemory {
 public:
  // What to compare now. To be called from time to time, so that changes are noticed soon.
  ShareWindow observe(const model::ReuseportGroup& group, MonoNs now);
  // Groups that were not observed since `time` are gone.
  void forget_before(MonoNs time);
  [[nodiscard]] size_t size() const { return groups_.size(); }

 private:
  struct Member {
    MonoNs counted_since = 0; // another one: another socket at the same address
    uint64_t count = 0, drops = 0;
    uint64_t taken = 0;
    MonoNs waiting_since = 0;
  };
  // Besides the members, what decides who gets how much.
  struct Rules {
    model::Steering steering = model::Steering::hash;
    uint32_t program = 0;
    std::vector<std::pair<model::SocketId, int>> exceptions; // CPU; -2 = has a peer
    bool operator==(const Rules&) const = default;
  };
  struct Group {
    MonoNs since = 0;
    bool from_start = false;
    MonoNs seen = 0;
    model::Measure measure = model::Measure::none;
    Rules rules;
    bool rules_changed = false;
    std::unordered_map<model::SocketId, Member> members;
  };

  [[nodiscard]] static Rules rules_of(const model::ReuseportGroup& group);
  [[nodiscard]] static bool has_newcomer(const Group& known, const model::ReuseportGroup& group);
  static void restart(Group& known, const model::ReuseportGroup& group, MonoNs now);
  static void note_waiting(Member& known, const model::ReuseportMember& member, MonoNs now);
  [[nodiscard]] static ShareWindow window_of(const Group& known,
                                             const model::ReuseportGroup& group);

  std::unordered_map<uint64_t, Group> groups_;
};

} // namespace bindlens::analysis
