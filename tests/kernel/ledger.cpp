#include "ledger.h"

#include <bindlens/protocol/time_text.h>

#include <algorithm>
#include <cstring>

namespace bindlens::test {

namespace {

using Kind = Operation::Kind;

std::string type_of(const Operation& o) {
  if (o.is_refusal()) return "fail";
  return o.kind == Kind::bind ? "bind" : o.kind == Kind::listen ? "listen" : "release";
}

// What of the event is not as in the log; empty when nothing.
std::string difference(const Operation& o, const Json& e) {
  const auto same = [&](const char* key, const Json& expected) {
    return e.contains(key) && e[key] == expected
               ? std::string()
               : std::string(key) + " is to be " + expected.dump() + "; ";
  };
  std::string all = same("port", o.port) + same("proto", o.udp ? "udp" : "tcp");
  if (!o.is_refusal()) return all;
  all += same("errno", ::strerrorname_np(o.error));
  return all + same("call", o.kind == Kind::listen ? "listen" : "bind");
}

} // namespace

Ledger::Ledger(const Workload& workload, int64_t offset) : offset_(offset) {
  for (size_t w = 0; w < workload.workers(); ++w) {
    const size_t first = entries_.size();
    for (const Operation& o : workload.log(w))
      entries_.push_back({o, workload.pid(w), o.after});
    of_[workload.pid(w)] = {first, entries_.size()};
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Operation& o = entries_[i].op;
    if (o.is_refusal()) continue;
    Life& life = lives_[o.cookie];
    (o.kind == Kind::bind     ? life.bind
     : o.kind == Kind::listen ? life.listen
                              : life.close) = static_cast<ptrdiff_t>(i);
    if (o.kind == Kind::bind) bound_[{o.udp, o.port}].insert(o.after);
  }
}

uint64_t Ledger::monotonic(const Json& time) const {
  return static_cast<uint64_t>(*protocol::parse_time(time.get<std::string>(), 0) - offset_);
}

int64_t Ledger::wall(uint64_t monotonic) const {
  return static_cast<int64_t>(monotonic) + offset_;
}

uint64_t Ledger::cookie(const Json& socket) {
  return std::stoull(socket.value("cookie", "0"), nullptr, 16);
}

std::optional<size_t> Ledger::at(pid_t pid, uint64_t time) const {
  const auto of = of_.find(pid);
  if (of == of_.end()) return std::nullopt;
  const auto first = entries_.begin() + static_cast<ptrdiff_t>(of->second.first);
  const auto end = entries_.begin() + static_cast<ptrdiff_t>(of->second.second);
  const auto found =
      std::partition_point(first, end, [time](const Entry& e) { return e.op.after < time; });
  if (found == end || found->op.before > time) return std::nullopt;
  return static_cast<size_t>(found - entries_.begin());
}

// When its port was certainly free again.
uint64_t Ledger::bound_again(const Entry& closed) const {
  const auto& binds = bound_.at({closed.op.udp, closed.op.port});
  const auto next = binds.upper_bound(closed.op.after);
  return next == binds.end() ? UINT64_MAX : *next;
}

std::optional<size_t> Ledger::release_of(const Json& event, uint64_t time, std::string& problem) {
  const auto life = lives_.find(cookie(event));
  if (life == lives_.end() || life->second.close < 0) {
    problem = "the log has no such close";
    return std::nullopt;
  }
  const auto i = static_cast<size_t>(life->second.close);
  Entry& e = entries_[i];
  if (time < e.op.before || time > std::max(e.op.after, bound_again(e))) {
    problem = "not at the time of the close";
    return std::nullopt;
  }
  if (time > e.latest) ++released_late_, e.latest = time;
  return i;
}

std::optional<size_t> Ledger::entry_of(const Json& event, std::string& problem) {
  const uint64_t time = monotonic(event["time"]);
  const std::string type = event["type"];
  const pid_t pid = event.value(Json::json_pointer("/process/pid"), 0);
  const auto found = type == "release" ? release_of(event, time, problem) : at(pid, time);
  if (!found) {
    if (problem.empty()) problem = "the log has no call at this time";
    return std::nullopt;
  }
  const Entry& e = entries_[*found];
  problem = difference(e.op, event);
  if (type_of(e.op) != type) problem += "type is to be " + type_of(e.op) + "; ";
  if (e.pid != pid) problem += "pid is to be " + std::to_string(e.pid) + "; ";
  if (!e.op.is_refusal() && e.op.cookie != cookie(event)) problem += "it is another socket; ";
  return problem.empty() ? found : std::nullopt;
}

std::optional<size_t> Ledger::entry_of_failure(const Json& failure, std::string& problem) {
  const pid_t pid = failure.value(Json::json_pointer("/process/pid"), 0);
  const auto found = at(pid, monotonic(failure["first_time"]));
  problem = found ? difference(entries_[*found].op, failure) : "the log has no call at this time";
  return problem.empty() ? found : std::nullopt;
}

// It had the port at some moment of the refused call.
bool Ledger::may_hold(uint64_t cookie, const Entry& refused) const {
  const auto life = lives_.find(cookie);
  if (life == lives_.end() || life->second.bind < 0) return false;
  const Entry& bind = entries_[static_cast<size_t>(life->second.bind)];
  if (bind.op.port != refused.op.port || bind.op.before > refused.op.after) return false;
  if (life->second.close < 0) return true;
  return entries_[static_cast<size_t>(life->second.close)].latest >= refused.op.before;
}

// A socket that had the port was closed during the refused call.
bool Ledger::let_go_meanwhile(const Entry& refused) const {
  return std::ranges::any_of(entries_, [&](const Entry& e) {
    return e.op.kind == Kind::close && e.op.port == refused.op.port && e.op.udp == refused.op.udp &&
           e.op.before <= refused.op.after && e.latest >= refused.op.before;
  });
}

std::string Ledger::compare_holders(const Entry& refused, const Json& failure) const {
  std::set<uint64_t> told;
  std::string problem;
  for (const Json& holder : failure.value("holders", Json::array())) {
    const auto life = lives_.find(cookie(holder));
    told.insert(cookie(holder));
    if (!may_hold(cookie(holder), refused)) {
      problem += "did not hold the port: " + holder.dump() + "; ";
      continue;
    }
    const pid_t owner = entries_[static_cast<size_t>(life->second.bind)].pid;
    if (holder.value(Json::json_pointer("/binder/pid"), 0) != owner) problem += "another binder; ";
    for (const Json& h : holder.value("holders", Json::array()))
      if (h["pid"] != owner) problem += "another has it open: " + h.dump() + "; ";
  }
  std::set<uint64_t> expected;
  for (const uint64_t c : refused.op.in_the_way)
    if (c != 0) expected.insert(c);
  if (!expected.empty() && told != expected) problem += "other sockets were in the way; ";
  const bool in_use = refused.op.error == EADDRINUSE;
  if (!in_use && !told.empty()) problem += "nothing was in the way; ";
  if (in_use && told.empty() && !let_go_meanwhile(refused)) problem += "something was in the way; ";
  return problem;
}

} // namespace bindlens::test
