// TIME_WAIT that gave way lately, where what took its place is still there.

#include "report.h"

#include <bindlens/model/timewait_groups.h>
#include <bindlens/rules/wording.h>

#include <map>
#include <set>
#include <tuple>

namespace bindlens::audit {

using model::Endpoint;
using model::FindingId;
using model::ReuseKind;
using model::Severity;
using model::Socket;
using model::TimeWaitReuse;

namespace {

// What one finding is about.
struct Told {
  std::set<const TimeWaitReuse*> reuses; // of one vector: the newest first
  Sockets sockets;                       // each once
};

// A port here, for what came to it; the destination, for connects: those mostly have a
// port that the kernel chose.
using Place = std::tuple<uint32_t, bool, Endpoint>; // namespace; of a connect

Place place_of(const TimeWaitReuse& r) {
  const bool connect = r.kind == ReuseKind::connect;
  const Endpoint port{model::Address::any(model::Family::inet), r.socket.local.port};
  return {r.socket.netns, connect, connect ? r.socket.peer : port};
}

// Which socket of the walk took the place. The number of a namespace and the address of
// a socket come again when it is gone: what was there before is told of no other one.
class Reuses {
 public:
  explicit Reuses(Report& report) : report_(report) {
    for (const TimeWaitReuse& r : report.input().reuses) {
      const Socket& s = r.socket;
      ports_.insert({s.netns, s.local.port});
      if (r.kind == ReuseKind::bind) binds_[s.id].push_back(&r);
      if (r.kind == ReuseKind::connect) connects_[{s.netns, s.local, s.peer}].push_back(&r);
      if (r.kind == ReuseKind::syn) syns_[{s.netns, s.local.port}].push_back(&r);
    }
  }

  void look_at(const model::Bucket& bucket) {
    if (!ports_.contains({bucket.netns, bucket.port})) return;
    for (const Socket& s : bucket.sockets) {
      if (const auto it = binds_.find(s.id); it != binds_.end())
        keep_if(s, it->second, [&](const TimeWaitReuse& r) {
          return s.local == r.socket.local && report_.owner(s).bound_at == r.time;
        });
      if (const auto it = connects_.find({s.netns, s.local, s.peer}); it != connects_.end())
        keep_if(s, it->second, [](const TimeWaitReuse&) { return true; });
      if (s.state != model::State::listen) continue;
      if (const auto it = syns_.find({s.netns, s.local.port}); it != syns_.end())
        keep_if(s, it->second, [&](const TimeWaitReuse& r) {
          return model::lies_below(s, r.socket) && report_.owner(s).bound_at <= r.time;
        });
    }
  }

  [[nodiscard]] const std::map<Place, Told>& found() const { return found_; }

 private:
  using List = std::vector<const TimeWaitReuse*>;
  template <typename Condition>
  void keep_if(const Socket& s, const List& reuses, Condition is_about) {
    for (const TimeWaitReuse* r : reuses) {
      if (!is_about(*r)) continue;
      Told& told = found_[place_of(*r)];
      told.reuses.insert(r);
      if (told.sockets.empty() || told.sockets.back() != &s) told.sockets.push_back(&s);
    }
  }

  Report& report_;
  std::set<std::pair<uint32_t, uint16_t>> ports_;
  std::unordered_map<model::SocketId, List> binds_;
  std::map<std::tuple<uint32_t, Endpoint, Endpoint>, List> connects_;
  std::map<std::pair<uint32_t, uint16_t>, List> syns_;
  std::map<Place, Told> found_;
};

// The reuses of one kind that a finding is about.
struct Kind {
  size_t count = 0, unsafe = 0;
  uint64_t sockets = 0;                // TIME_WAIT sockets, the most of one reuse
  bool all_told = true;                // false: there were more
  const TimeWaitReuse* last = nullptr; // the newest
  std::vector<std::string> processes, programs;
};

void keep(std::vector<std::string>& list, std::string text) {
  if (std::ranges::find(list, text) == list.end()) list.push_back(std::move(text));
}

Kind kind_of(const Told& told, ReuseKind wanted) {
  Kind k;
  for (const TimeWaitReuse* r : told.reuses) {
    if (r->kind != wanted) continue;
    if (k.last == nullptr) k.last = r;
    ++k.count;
    k.unsafe += !r->harmless;
    k.sockets = std::max(k.sockets, r->sockets);
    k.all_told = k.all_told && r->left_out == 0;
    if (!r->process) continue;
    keep(k.processes, rules::process_name(*r->process));
    keep(k.programs, r->process->comm);
  }
  std::ranges::sort(k.programs);
  return k;
}

// "3 connects", "at least 50 connects"
std::string count_of(const Kind& k, std::string_view what) {
  return (k.all_told ? "" : "at least ") + rules::count_of(k.count, what);
}

std::string safety_of(const Kind& k) {
  if (k.unsafe == 0)
    return "The old connections had TCP time stamps, by which their late segments are told from "
           "those of the new ones.";
  const bool all = k.unsafe == k.count;
  return (all ? std::string("The old connections")
              : std::to_string(k.unsafe) + " of the old ones") +
         " had no TCP time stamps: a segment of them that arrives late can be taken for data of "
         "the new connection.";
}

constexpr auto unsafe_advice = "leave net.ipv4.tcp_timestamps on at both ends, and let no firewall "
                               "take the option away";

void tell_connects(Report& report, const Told& told, const Endpoint& to) {
  const Kind k = kind_of(told, ReuseKind::connect);
  std::vector<std::string> advice = {
      "keep connections open and use them again: then no port has to be taken over"};
  if (k.unsafe != 0) advice.emplace(advice.begin(), unsafe_advice);
  report.add({.id = FindingId::time_wait_reuse,
              .severity = k.unsafe != 0 ? Severity::warning : Severity::info,
              .summary = count_of(k, "connect") + (k.processes.empty() ? "" : " of ") +
                         some_of(k.processes) + " to " + to_string(to) +
                         " took over TIME_WAIT sockets",
              .detail = "The addresses and ports of a connection that was closed less than a "
                        "minute before are in use again, as net.ipv4.tcp_tw_reuse allows. " +
                        safety_of(k),
              .advice = std::move(advice),
              .about = "tcp to " + to_string(to),
              .programs = k.programs},
             told.sockets);
}

std::string summary_of(Report& report, const Told& told, const Kind& bind, const Kind& syn) {
  const Socket& here = *told.sockets.front();
  const std::string given =
      " given " + count_of(syn, "new connection") + " in the place of TIME_WAIT sockets";
  if (bind.count == 0) return place(here) + " of " + report.who(told.sockets) + " was" + given;
  const std::string by = bind.processes.empty() ? report.who(here) : some_of(bind.processes);
  std::string text = place(here) + " was bound by " + by + " over " +
                     rules::count_of(bind.sockets, "TIME_WAIT socket");
  if (bind.count > 1) text += ", " + count_of(bind, "bind") + " in all";
  return syn.count == 0 ? text : text + ", and" + given;
}

void tell_service(Report& report, const Told& told) {
  const Kind bind = kind_of(told, ReuseKind::bind);
  const Kind syn = kind_of(told, ReuseKind::syn);
  std::string detail;
  if (bind.count != 0)
    detail = "The option that both sides have set lets any program bind the port before its "
             "TIME_WAIT is over; late segments still go to the TIME_WAIT sockets. ";
  if (syn.count != 0)
    detail += "The last SYN that ended one came from " + to_string(syn.last->socket.peer) + ". " +
              safety_of(syn);
  if (detail.back() == ' ') detail.pop_back();
  std::vector<std::string> advice = {
      "let the clients close first: then TIME_WAIT is on their side"};
  if (syn.unsafe != 0) advice.emplace(advice.begin(), unsafe_advice);
  report.add({.id = FindingId::time_wait_reuse,
              .severity = bind.unsafe + syn.unsafe != 0 ? Severity::warning : Severity::info,
              .summary = summary_of(report, told, bind, syn),
              .detail = std::move(detail),
              .advice = std::move(advice)},
             told.sockets);
}

} // namespace

void find_reuses(Report& report) {
  if (report.input().reuses.empty()) return;
  Reuses reuses(report);
  for (const model::Bucket& bucket : report.input().view->buckets)
    if (is_tcp(bucket) && bucket.l3mdev == 0) reuses.look_at(bucket);
  for (const auto& [where, told] : reuses.found()) {
    const auto& [netns, connect, endpoint] = where;
    if (connect)
      tell_connects(report, told, endpoint);
    else
      tell_service(report, told);
  }
}

} // namespace bindlens::audit
