// What the members of a SO_REUSEPORT group get, and whether they take it.

#include "report.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace bindlens::audit {

using model::FindingId;
using model::Severity;
using model::Socket;

namespace {

constexpr size_t most_shares = 4; // in words

bool is_datagram(const Socket& s) {
  return s.proto == model::Proto::udp || s.proto == model::Proto::udplite;
}

// sk_acceptq_is_full()
bool is_full(const Socket& s) {
  return !is_datagram(s) && s.backlog > s.max_backlog;
}

bool is_stalled(const Report& report, const Socket& s) {
  const Report::Fate fate = report.fate(s);
  return fate.member != nullptr ? fate.member->stalled : is_full(s);
}

struct Share {
  const Socket* socket = nullptr;
  double gets = 0, should = 0;
  // Of two members, both are off as much: then the one that gets more comes first.
  [[nodiscard]] auto rank() const {
    return std::pair(std::lround(std::abs(gets / should - 1) * 1000), gets);
  }
};

// Those that are compared; the one that is off most comes first.
std::vector<Share> shares_of(const Report& report, const Sockets& group) {
  std::vector<Share> shares;
  for (const Socket* s : group)
    if (const auto fate = report.fate(*s); fate.member != nullptr && fate.member->share)
      if (const double should = fate.member->expected.value_or(0); should > 0)
        shares.push_back({s, *fate.member->share, should});
  std::ranges::stable_sort(shares, std::greater{}, &Share::rank);
  return shares;
}

std::string percent(double share) {
  return std::to_string(std::lround(share * 100)) + " %";
}

// One process may have several members, told apart by their descriptors.
std::string name_of(Report& report, const Sockets& group, const Socket& s) {
  const std::string name = report.who(s);
  const auto& holders = report.owner(s).holders;
  const bool alone = std::ranges::none_of(
      group, [&](const Socket* other) { return other != &s && report.who(*other) == name; });
  return alone || holders.empty() ? name : name + " fd " + std::to_string(holders.front().fd);
}

// "nginx[7] 80 % instead of 50 %, nginx[8] 20 % instead of 50 %"
std::string text_of(Report& report, const Sockets& group, const std::vector<Share>& shares) {
  std::string text;
  for (size_t i = 0; i < std::min(shares.size(), most_shares); ++i)
    text += (i == 0 ? "" : ", ") + name_of(report, group, *shares[i].socket) + " " +
            percent(shares[i].gets) + " instead of " + percent(shares[i].should);
  if (shares.size() > most_shares)
    text += ", and " + std::to_string(shares.size() - most_shares) + " more";
  return text;
}

} // namespace

void find_stalled(Report& report, const Sockets& group) {
  Sockets stalled;
  std::ranges::copy_if(group, std::back_inserter(stalled),
                       [&](const Socket* s) { return is_stalled(report, *s); });
  if (stalled.empty() || stalled.size() == group.size()) return; // else all of it is overloaded
  const auto* judged = report.fate(*stalled.front()).group;
  const std::string count = std::to_string(stalled.size()) + " of " + std::to_string(group.size());
  const std::string where = count + " members of the reuseport group of " + place(*group.front());
  if (judged != nullptr)
    return report.add(
        {.id = FindingId::reuseport_stalled_member,
         .severity = Severity::warning,
         .summary = where + " leave their clients waiting: " + report.who(stalled),
         .detail = judged->distribution.explanation +
                   " The hash goes on sending them their share, whatever their queue.",
         .advice = judged->distribution.advice},
        stalled);
  report.add({.id = FindingId::reuseport_stalled_member,
              .severity = Severity::warning,
              .summary = where + " have a full accept queue: " + report.who(stalled),
              .detail = "The hash keeps sending them their share, " + count +
                        " of new clients; those wait and time out while the other members are "
                        "idle. The queue was full at the moment of this audit.",
              .advice = {"restart " + report.who(stalled),
                         "let every worker accept, or close its socket, before it does anything "
                         "long"}},
             stalled);
}

void find_skew(Report& report, const Sockets& group) {
  const auto* judged = report.fate(*group.front()).group;
  if (judged == nullptr || judged->distribution.verdict != model::Verdict::skewed) return;
  const std::vector<Share> shares = shares_of(report, group);
  if (shares.empty()) return; // they have left meanwhile
  const Share& worst = shares.front();
  const std::string what = is_datagram(*worst.socket) ? "datagrams" : "new connections";
  Sockets concerned;
  for (const Share& s : shares)
    concerned.push_back(s.socket);
  // A few busy clients are no fault, and cannot be told from one.
  const bool unsure = judged->distribution.cause == model::Cause::few_flows;
  report.add({.id = FindingId::reuseport_skew,
              .severity = unsure ? Severity::info : Severity::warning,
              .summary = name_of(report, group, *worst.socket) + " gets " + percent(worst.gets) +
                         " of the " + what + " of " + place(*worst.socket) + " instead of " +
                         percent(worst.should),
              .detail = judged->distribution.explanation +
                        " Shares: " + text_of(report, group, shares) + ".",
              .advice = judged->distribution.advice},
             concerned);
}

} // namespace bindlens::audit
