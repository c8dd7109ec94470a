#include "judge_text.h"

#include "members.h"

#include <bindlens/rules/wording.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace bindlens::analysis {

using model::Cause;
using model::Measure;
using model::ReuseportMember;
using model::Verdict;

namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr size_t most_named = 3;

std::string grouped(uint64_t n) {
  std::string text = std::to_string(n);
  for (size_t at = text.size(); at > 3; at -= 3)
    text.insert(at - 3, 1, ',');
  return text;
}

// "9 s", "4 min", "2 h 5 min", "3 d"
std::string lasting(MonoNs ns) {
  const uint64_t s = ns / second;
  if (s < 120) return std::to_string(s) + " s";
  if (s < 7200) return std::to_string(s / 60) + " min";
  if (s < 172800) return std::to_string(s / 3600) + " h " + std::to_string(s / 60 % 60) + " min";
  return std::to_string(s / 86400) + " d";
}

// Three digits at most: "0.41", "1.8", "3e-09".
std::string short_number(double value, int digits = 2) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 std::chars_format::general, digits);
  return {text.data(), end.ptr};
}

std::string chance(double p) {
  return p < 1e-12 ? "p < 1e-12" : "p = " + short_number(p);
}

std::string percent(double share) {
  const double value = share * 100;
  if (value != 0 && value < 10) return short_number(value) + " %";
  return std::to_string(std::lround(value)) + " %";
}

std::string unit(const Facts& f, uint64_t n) {
  const char* one = is_datagram(f.group)                    ? "datagram"
                    : f.result.measure == Measure::selected ? "connection request"
                                                            : "connection";
  return grouped(n) + " " + one + (n == 1 ? "" : "s");
}

std::string things(const Facts& f) {
  return is_datagram(f.group) ? "datagrams" : "connections";
}

const model::Process* owner_of(const ReuseportMember& m) {
  return !m.holders.empty() ? m.holders.front().process.get() : m.binder.get();
}

std::string name_of(const Facts& f, size_t i) {
  const ReuseportMember& m = f.group.members[i];
  const model::Process* owner = owner_of(m);
  if (owner == nullptr) return "member " + std::to_string(i + 1);
  std::string text = rules::process_name(*owner);
  // One process may have several members, told apart by their descriptors.
  const bool is_alone = std::ranges::none_of(f.group.members, [&](const ReuseportMember& other) {
    const model::Process* o = owner_of(other);
    return &other != &m && o != nullptr && o->pid == owner->pid;
  });
  if (!is_alone && !m.holders.empty() && m.holders.front().fd >= 0)
    text += " fd " + std::to_string(m.holders.front().fd);
  return text;
}

std::string names_of(const Facts& f, const std::vector<size_t>& members) {
  std::vector<std::string> names;
  for (size_t i = 0; i < members.size() && i < most_named; ++i)
    names.push_back(name_of(f, members[i]));
  if (members.size() > most_named)
    names.push_back(std::to_string(members.size() - most_named) + " more");
  return rules::join(names);
}

std::vector<size_t> stalled_of(const Facts& f) {
  std::vector<size_t> out;
  for (size_t i = 0; i < f.result.members.size(); ++i)
    if (f.result.members[i].stalled) out.push_back(i);
  return out;
}

// What the kernel goes on sending to those that stall.
std::string stalled_part(const Facts& f, const std::vector<size_t>& stalled) {
  double part = 0;
  for (const size_t i : stalled) {
    const auto& expected = f.result.members[i].expected;
    if (!expected) return "their part";
    part += *expected;
  }
  return percent(part);
}

std::string period(const Facts& f) {
  return f.now > f.result.since ? " in " + lasting(f.now - f.result.since) : "";
}

std::string hung_text(const Facts& f, const std::vector<size_t>& stalled) {
  const bool one = stalled.size() == 1;
  const std::string verb = is_datagram(f.group) ? "read" : "accepted";
  MonoNs since = ~MonoNs{0};
  for (const size_t i : stalled)
    since = std::min(since, f.result.members[i].stalled_since);
  const std::string how_long = since != 0 && since < f.now && f.now - since >= second
                                   ? " for " + lasting(f.now - since)
                                   : "";
  return names_of(f, stalled) + (one ? " has not " : " have not ") + verb +
         (how_long.empty() ? " lately" : how_long);
}

std::string stalled_text(const Facts& f) {
  const auto stalled = stalled_of(f);
  const bool one = stalled.size() == 1;
  if (f.result.cause == Cause::overload)
    return "All members have a full queue: the group as a whole is too slow for what comes, and "
           "new " +
           things(f) + " are dropped.";
  std::string text;
  const bool full =
      std::ranges::all_of(stalled, [&](size_t i) { return is_full(f.group.members[i]); });
  const std::string queue = is_datagram(f.group) ? "receive buffer" : "accept queue";
  if (f.result.cause == Cause::hung_process) {
    text = hung_text(f, stalled);
    if (full) text += one ? ", and its " + queue + " is full" : ", and their queues are full";
  } else {
    text = names_of(f, stalled) + (one ? " is too slow: its " : " are too slow: the ") + queue +
           (one ? " is full" : "s are full");
  }
  text += is_datagram(f.group)
              ? ": " + stalled_part(f, stalled) + " of clients get no answer."
              : ": " + stalled_part(f, stalled) + " of new clients wait and time out.";
  const bool rest = f.result.p_value && f.group.members.size() > stalled.size() + 1;
  if (rest && f.tested != 0)
    text += " Among the others: " + chance(*f.result.p_value) + ", " + unit(f, f.tested) + ".";
  return text;
}

size_t largest_of(const Facts& f) {
  const auto ratio = [&](size_t i) {
    const model::MemberShare& m = f.result.members[i];
    return m.share.value_or(0) / std::max(m.expected.value_or(1), 1e-9);
  };
  size_t largest = 0;
  for (size_t i = 1; i < f.result.members.size(); ++i)
    if (ratio(i) > ratio(largest)) largest = i;
  return largest;
}

std::string sample(const Facts& f) {
  std::string text = unit(f, f.result.total) + period(f);
  return f.result.p_value ? chance(*f.result.p_value) + ", " + text : text;
}

std::string skewed_text(const Facts& f) {
  const size_t largest = largest_of(f);
  std::string text = name_of(f, largest) + " gets " + short_number(f.result.skew.value_or(1)) +
                     " times its part (" + sample(f) + ").";
  if (f.result.cause == Cause::few_flows)
    return text + " All datagrams of one client address and port go to one member, and these are "
                  "not counted here: a few busy clients look the same as a skewed hash.";
  text += " Chance does not do this.";
  if (f.result.cause == Cause::slow_process) {
    const bool one = f.dropping.size() == 1;
    text += " " + names_of(f, f.dropping) + (one ? " was" : " were") +
            " too slow for a while: " + (one ? "its queue" : "their queues") +
            " overflowed, and clients asked again or gave up.";
  }
  return text;
}

std::string steered_text(const Facts& f) {
  if (f.result.cause == Cause::cpu_pinning)
    return "Members have SO_INCOMING_CPU: the kernel prefers the one whose processor a packet "
           "arrives at, so that shares follow the processors and not the hash (" +
           sample(f) + ").";
  std::string program =
      f.group.steering == model::Steering::cbpf ? "A classic BPF program" : "A BPF program";
  if (!f.group.program.empty()) program += ", " + f.group.program + ",";
  std::string text = program +
                     " chooses the member: shares are its decision, and what they should be is "
                     "not known (" +
                     sample(f) + ").";
  if (!f.never.empty()) text += " It has never selected " + names_of(f, f.never) + ".";
  return text;
}

std::string aside(const Facts& f) {
  if (f.result.cause == Cause::connected_member)
    return " A member with a peer gets that peer's datagrams alone; its part of all others goes "
           "to the member after it.";
  if (f.result.cause != Cause::joined_late) return "";
  if (!f.late.empty())
    return " " + names_of(f, f.late) + " joined later, and " + (f.late.size() == 1 ? "is" : "are") +
           " not compared yet.";
  return " Not all joined at the same time; what came before the last one is left out.";
}

// What makes the hash unfair is that the same addresses and ports come again and again.
std::vector<std::string> advise_about_skew(const Facts& f) {
  if (is_datagram(f.group))
    return {"let busy clients send from several ports",
            "choose the member by a program (SO_ATTACH_REUSEPORT_EBPF) that looks at less, or "
            "more, than addresses and ports"};
  return {"let clients, and load balancers before them, connect from many ports: what comes from "
          "the same address and port goes to the same member each time",
          "choose the member by a program (SO_ATTACH_REUSEPORT_CBPF), at random for instance"};
}

} // namespace

std::string explain(const Facts& f) {
  switch (f.result.verdict) {
  case Verdict::unknown:
    return "What each member gets is not counted with the hooks that this kernel allows.";
  case Verdict::idle:
    return "Nothing has come" + period(f) + ".";
  case Verdict::even:
    if (f.group.members.size() == 1) return "The only member gets all: " + sample(f) + ".";
    return "The kernel spreads evenly (" + sample(f) + ")." + aside(f);
  case Verdict::uneven_by_chance:
    return "Shares differ, but no more than chance makes them after so few (" + sample(f) + ")." +
           aside(f);
  case Verdict::steered:
    return steered_text(f);
  case Verdict::skewed:
    return skewed_text(f);
  case Verdict::stalled:
    return stalled_text(f);
  }
  return "";
}

std::vector<std::string> advise(const Facts& f) {
  if (f.result.verdict == Verdict::skewed && f.result.cause != Cause::slow_process)
    return advise_about_skew(f);
  switch (f.result.cause) {
  case Cause::hung_process:
    return {"restart " + names_of(f, stalled_of(f)),
            "let every worker accept, or close its socket, before it does anything long"};
  case Cause::slow_process:
    return {"give the group more members, or each less to do between two calls of accept()"};
  case Cause::overload:
    return {"give the group more members, or a longer backlog for bursts"};
  case Cause::program_never_selects:
    return {"look at the program: 'bpftool prog show" +
            (f.group.program_id != 0 ? " id " + std::to_string(f.group.program_id) : "") + "'"};
  default:
    return {};
  }
}

} // namespace bindlens::analysis
