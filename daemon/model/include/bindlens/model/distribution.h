#pragma once

#include <bindlens/model/reuseport.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::model {

// How a reuseport group fares; the worst is the greatest.
enum class Verdict : uint8_t {
  unknown, // nothing is counted of it
  idle,
  even,
  uneven_by_chance, // as uneven as fair dice would be after so few throws
  steered,          // a program or SO_INCOMING_CPU decides, not the hash
  skewed,
  stalled, // clients of a member wait for nothing
};

enum class Cause : uint8_t {
  none,
  joined_late,           // counted for a shorter time than the others
  connected_member,      // UDP: its part goes to the member after it
  few_flows,             // UDP: cannot be told from a few busy clients
  cpu_pinning,           // SO_INCOMING_CPU
  program,               // a BPF program selects
  program_never_selects, // and leaves a member out
  slow_process,          // accepts or reads, but not fast enough
  hung_process,          // does not accept or read at all
  overload,              // no member is fast enough
};

// Which counters are compared.
enum class Measure : uint8_t { none, selected, queued, accepted, datagrams };

struct MemberShare {
  std::optional<uint64_t> counted; // absent: not compared
  std::optional<double> share;     // of what is compared
  std::optional<double> expected;  // absent: not known
  bool stalled = false;
  MonoNs stalled_since = 0; // 0 = not known
};

// How the kernel distributes among the members of a group.
struct Distribution {
  Verdict verdict = Verdict::unknown;
  Cause cause = Cause::none;
  Measure measure = Measure::none;
  uint64_t total = 0;
  MonoNs since = 0;                 // counts are of the time from then on
  std::optional<double> skew;       // largest share to the mean, or to what it should be
  std::optional<double> p_value;    // of chi-square, members that stall left out
  std::vector<MemberShare> members; // in the group's order
  std::string explanation;          // sentences
  std::vector<std::string> advice;  // without final dots; the best first
};

struct JudgedGroup {
  ReuseportGroup group;
  Distribution distribution;
};

[[nodiscard]] std::string_view to_string(Verdict v); // "uneven by chance"; "" for unknown
[[nodiscard]] std::string_view to_string(Cause c);   // "hung-process"; "" for none
[[nodiscard]] std::string_view to_string(Measure m); // "selected"; "" for none

} // namespace bindlens::model
