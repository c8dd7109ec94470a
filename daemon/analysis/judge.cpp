#include "judge_text.h"
#include "members.h"

#include <bindlens/analysis/fit.h>
#include <bindlens/analysis/judge.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>

namespace bindlens::analysis {

using model::Cause;
using model::Distribution;
using model::Measure;
using model::MemberShare;
using model::ReuseportGroup;
using model::ReuseportMember;
using model::Verdict;

namespace {

// So many for each member, and a program that left one out meant it.
constexpr uint64_t enough_for_never = 20;

bool has_peer(const ReuseportMember& m) {
  return m.socket.is(model::SocketFlag::connected);
}

bool is_pinned(const ReuseportMember& m) {
  return m.incoming_cpu >= 0;
}

class Judge {
 public:
  Judge(const ReuseportGroup& group, const ShareWindow& window, const Look& look)
      : group_(group), window_(window),
        look_(look), facts_{group, result_, look.now, 0, {}, {}, {}} {}

  Distribution judge() {
    find_out();
    result_.explanation = explain(facts_);
    result_.advice = advise(facts_);
    return std::move(result_);
  }

  Distribution weigh() {
    find_out();
    return std::move(result_);
  }

 private:
  void find_out() {
    result_.measure = window_.measure;
    result_.since = window_.since;
    result_.members.resize(group_.members.size());
    take_counts();
    take_expected();
    find_stalled();
    compare();
    decide();
  }

  void take_counts() {
    if (window_.measure == Measure::none) return;
    for (size_t i = 0; i < result_.members.size(); ++i) {
      const bool compared = window_.counts[i].has_value() && !has_peer(group_.members[i]);
      if (compared) result_.members[i].counted = window_.counts[i];
      if (!window_.counts[i]) facts_.late.push_back(i);
      if (compared) result_.total += *window_.counts[i];
    }
    if (result_.total == 0) return;
    for (MemberShare& m : result_.members)
      if (m.counted) m.share = static_cast<double>(*m.counted) / static_cast<double>(result_.total);
  }

  // Of those that are compared.
  void take_expected() {
    const auto shares = expected_shares(group_);
    if (shares.empty()) return;
    double all = 0;
    for (size_t i = 0; i < shares.size(); ++i)
      if (result_.members[i].counted || window_.measure == Measure::none) all += shares[i];
    if (all <= 0) return;
    known_ = true;
    for (size_t i = 0; i < shares.size(); ++i)
      if (result_.members[i].counted || window_.measure == Measure::none)
        result_.members[i].expected = shares[i] / all;
  }

  void find_stalled() {
    for (size_t i = 0; i < result_.members.size(); ++i) {
      const ReuseportMember& m = group_.members[i];
      MemberShare& out = result_.members[i];
      const MonoNs full_since = m.counters.queue_full_since.value_or(0);
      const bool waited = window_.waiting_since[i] != 0 &&
                          look_.now - window_.waiting_since[i] >= patience && !is_datagram(group_);
      const bool full = is_full(m) && (full_since == 0 || look_.now - full_since >= burst) &&
                        (!is_datagram(group_) || window_.drops[i] != 0);
      out.stalled = full || waited;
      if (!out.stalled) continue;
      out.stalled_since = std::max(full_since, m.counters.last_accept.value_or(0));
      if (out.stalled_since == 0) out.stalled_since = window_.waiting_since[i];
      hung_ = hung_ && is_hung(i);
      ++stalled_;
    }
  }

  // It takes nothing, as far as is known.
  [[nodiscard]] bool is_hung(size_t i) const {
    const MonoNs waiting = window_.waiting_since[i];
    if (waiting != 0 && look_.now - waiting >= burst) return true;
    const auto& last = group_.members[i].counters.last_accept;
    return last && look_.now - *last >= 2 * burst;
  }

  // Those that do not stall, with each other: a queue that is full also makes clients
  // ask again.
  void compare() {
    if (!known_ || result_.total == 0) return find_skew();
    std::vector<uint64_t> counts;
    std::vector<double> weights;
    for (const MemberShare& m : result_.members) {
      if (m.stalled || !m.counted || m.expected.value_or(0) <= 0) continue;
      counts.push_back(*m.counted);
      weights.push_back(*m.expected);
    }
    find_skew();
    const Fit f = fit(counts, weights);
    facts_.tested = f.total;
    if (counts.size() < 2 || f.total == 0) return;
    result_.p_value = f.p_value;
    const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (size_t i = 0; i < counts.size(); ++i) {
      const double should = static_cast<double>(f.total) * weights[i] / all;
      uneven_ = uneven_ || std::abs(static_cast<double>(counts[i]) / should - 1) >= tolerated;
    }
    sure_ = f.log_evidence >= std::log(static_cast<double>(look_.groups) / false_alarms);
  }

  // Largest to mean, or to what it should be where that is known.
  void find_skew() {
    const auto compared = static_cast<double>(std::ranges::count_if(
        result_.members, [](const MemberShare& m) { return m.counted.has_value(); }));
    for (const MemberShare& m : result_.members) {
      if (!m.share) continue;
      const double should = m.expected.value_or(1 / compared);
      if (should > 0) result_.skew = std::max(result_.skew.value_or(0), *m.share / should);
    }
  }

  void decide() {
    if (stalled_ != 0) {
      result_.verdict = Verdict::stalled;
      const bool all = stalled_ == result_.members.size() && stalled_ > 1;
      result_.cause = hung_ ? Cause::hung_process : all ? Cause::overload : Cause::slow_process;
    } else if (window_.measure == Measure::none) {
      result_.verdict = Verdict::unknown;
    } else if (result_.total == 0) {
      result_.verdict = Verdict::idle;
    } else if (!known_) {
      decide_steered();
    } else {
      decide_hashed();
    }
  }

  void decide_steered() {
    result_.verdict = Verdict::steered;
    if (group_.steering == model::Steering::hash) {
      result_.cause = Cause::cpu_pinning;
      return;
    }
    result_.cause = Cause::program;
    if (result_.total < enough_for_never * result_.members.size()) return;
    for (size_t i = 0; i < result_.members.size(); ++i)
      if (result_.members[i].counted == uint64_t{0}) facts_.never.push_back(i);
    if (!facts_.never.empty()) result_.cause = Cause::program_never_selects;
  }

  void decide_hashed() {
    result_.verdict = !uneven_ ? Verdict::even
                      : sure_  ? Verdict::skewed
                               : Verdict::uneven_by_chance;
    if (result_.verdict == Verdict::skewed) {
      find_dropping();
      if (is_datagram(group_))
        result_.cause = Cause::few_flows;
      else if (!facts_.dropping.empty())
        result_.cause = Cause::slow_process;
    } else if (std::ranges::any_of(group_.members, has_peer)) {
      result_.cause = Cause::connected_member;
    } else if (some_joined_late()) {
      result_.cause = Cause::joined_late;
    }
  }

  // Counters as they are would not be comparable.
  [[nodiscard]] bool some_joined_late() const {
    if (window_.from_start) return !facts_.late.empty();
    const auto since = [](const ReuseportMember& m) { return m.counters.since; };
    const auto [first, last] = std::ranges::minmax(group_.members, {}, since);
    return since(first) != since(last);
  }

  void find_dropping() {
    for (size_t i = 0; i < result_.members.size(); ++i) {
      const MemberShare& m = result_.members[i];
      if (!m.share || m.expected.value_or(0) <= 0 || window_.drops[i] == 0) continue;
      if (std::abs(*m.share / *m.expected - 1) >= tolerated) facts_.dropping.push_back(i);
    }
  }

  const ReuseportGroup& group_;
  const ShareWindow& window_;
  const Look& look_;
  Distribution result_;
  Facts facts_;
  bool known_ = false; // what the shares should be
  bool uneven_ = false, sure_ = false;
  bool hung_ = true; // all that stall
  size_t stalled_ = 0;
};

} // namespace

std::vector<double> expected_shares(const ReuseportGroup& g) {
  if (g.steering != model::Steering::hash || std::ranges::any_of(g.members, is_pinned)) return {};
  const size_t n = g.members.size();
  const auto first = std::ranges::find_if_not(g.members, has_peer);
  if (first == g.members.end()) return {};
  std::vector<double> shares(n, 0);
  // Once around, starting behind a member that keeps what it gets.
  const auto start = static_cast<size_t>(first - g.members.begin()) + 1;
  double passed_on = 0;
  for (size_t step = 0; step < n; ++step) {
    const size_t i = (start + step) % n;
    passed_on += 1 / static_cast<double>(n);
    if (has_peer(g.members[i])) continue;
    shares[i] = std::exchange(passed_on, 0);
  }
  return shares;
}

Distribution judge(const ReuseportGroup& group, const ShareWindow& window, const Look& look) {
  return Judge(group, window, look).judge();
}

Distribution weigh(const ReuseportGroup& group, const ShareWindow& window, const Look& look) {
  return Judge(group, window, look).weigh();
}

void put_worst_first(std::vector<model::JudgedGroup>& groups) {
  std::ranges::stable_sort(groups, [](const model::JudgedGroup& a, const model::JudgedGroup& b) {
    if (a.distribution.verdict != b.distribution.verdict)
      return a.distribution.verdict > b.distribution.verdict;
    return std::tie(a.group.local.port, a.group.proto, a.group.netns, a.group.local) <
           std::tie(b.group.local.port, b.group.proto, b.group.netns, b.group.local);
  });
}

} // namespace bindlens::analysis
