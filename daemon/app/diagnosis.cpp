#include "diagnosis.h"

#include <bindlens/rules/bucket_state.h>

#include <bindlens/rules/change.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace bindlens::app {

namespace {

rules::Operation operation_of(const model::CallRecord& c) {
  switch (c.call) {
  case model::Call::listen:
    return rules::Operation::listen;
  case model::Call::connect: {
    const bool udp = c.socket.proto == model::Proto::udp || c.socket.proto == model::Proto::udplite;
    const bool autobind = udp && c.ret == -EAGAIN;
    return autobind ? rules::Operation::autobind : rules::Operation::connect;
  }
  default:
    return rules::Operation::bind;
  }
}

// The call as it was made: everything that is known without deciding anything.
model::Failure describe(const model::RefusedCall& r, const rules::Request& request) {
  const model::CallRecord& c = r.call;
  model::Failure f;
  f.time = f.first_time = c.time;
  f.call = c.call;
  f.error = -c.ret;
  f.proto = c.socket.proto;
  f.asked = request.local;
  f.peer = request.peer;
  f.flags = c.socket.flags;
  f.dev = c.socket.dev;
  f.uid = c.socket.uid;
  f.netns = c.socket.netns;
  f.process = r.process;
  f.tid = c.task.tid;
  f.evidence = r.walked ? model::Evidence::observed : model::Evidence::reconstructed;
  f.complete = r.whole;
  return f;
}

// IP_BIND_ADDRESS_NO_PORT would have kept it from taking a port before connect().
bool bound_to_address(const model::Socket& s) {
  return s.is(model::SocketFlag::addr_locked) && !s.is(model::SocketFlag::port_locked);
}

rules::PortUsers users_of(const rules::PortSearch& search, const model::BindTable& table) {
  rules::PortUsers all;
  std::unordered_map<model::ProcessRef, rules::PortUsers::User> users;
  for (const rules::PortSearch::Holder& h : search.holders) {
    if (h.socket->is(model::SocketFlag::timewait)) {
      ++all.time_wait;
      continue;
    }
    const model::Binding* known = table.find(h.socket->id);
    if (known == nullptr || !known->binder) {
      ++all.unknown;
      continue;
    }
    rules::PortUsers::User& user = users[known->binder];
    user.process = known->binder;
    ++user.ports;
    user.bound_to_address += h.by_bind && bound_to_address(*h.socket);
  }
  for (auto& [process, user] : users)
    all.users.push_back(std::move(user));
  std::ranges::sort(all.users, [](const auto& a, const auto& b) {
    return std::tuple(b.ports, a.process->pid) < std::tuple(a.ports, b.process->pid);
  });
  return all;
}

} // namespace

rules::Request to_request(const model::CallRecord& c) {
  rules::Request q;
  q.op = operation_of(c);
  q.proto = c.socket.proto;
  q.family = c.socket.local.addr.family;
  q.flags = c.socket.flags;
  q.uid = c.socket.uid;
  q.dev = c.socket.dev;
  q.netns = c.socket.netns;
  q.self = c.socket.id;
  q.scope_id = c.scope;
  q.has_port = c.call == model::Call::bind && (c.flags & BL_CF_WAS_BOUND) != 0;
  q.local = c.socket.local;
  if (c.call == model::Call::bind) q.local = c.asked.value_or(model::Endpoint{q.local.addr, 0});
  if (c.call == model::Call::connect && c.asked) q.peer = *c.asked;
  return q;
}

void add_history(model::Blocker& blocker, const model::Binding* known) {
  // The address of a socket comes again after its end; the cookie does not.
  const model::Socket& s = blocker.socket;
  if (known == nullptr || known->socket.local.port != s.local.port) return;
  if (known->socket.cookie != 0 && known->socket.cookie != s.cookie) return;
  blocker.bound_by = known->bound_by;
  blocker.bound_at = known->bound_at;
  blocker.binder = known->binder;
}

model::Failure undiagnosed(const model::RefusedCall& refused) {
  model::Failure f = describe(refused, to_request(refused.call));
  f.complete = false;
  f.explanation = "Too many calls were refused at once to work out the reason of this one.";
  return f;
}

Diagnosis::Diagnosis(model::RefusedCall refused, const model::BindTable& table,
                     const HostView& host)
    : host_(host), refused_(std::move(refused)), request_(to_request(refused_.call)),
      facts_(host.facts(request_.netns, refused_.process)),
      verdict_(rules::explain_failure(request_, -refused_.call.ret, refused_.view, facts_,
                                      host.variants)),
      failure_(describe(refused_, request_)) {
  failure_.rule = verdict_.rule;
  if (verdict_.rule == model::Rule::ephemeral_exhausted)
    port_users_ = users_of(verdict_.search, table);
  if (refused_.whole)
    failure_.bucket =
        rules::held_bucket_state(refused_.view, request_.netns, request_.local.port, host.variants);
  for (const rules::Conflict& conflict : verdict_.blockers) {
    failure_.blockers.push_back(rules::to_blocker(conflict));
    const model::SocketId id = conflict.socket->id;
    const auto then = std::find_if(refused_.known.begin(), refused_.known.end(),
                                   [&](const model::Binding& b) { return b.socket.id == id; });
    add_history(failure_.blockers.back(), then != refused_.known.end() ? &*then : table.find(id));
  }
}

model::Failure Diagnosis::finish() {
  const rules::Names names = host_.names(request_.netns);
  const auto changes = rules::minimal_changes(request_, verdict_, refused_.view, facts_,
                                              host_.variants, failure_.blockers, names);
  rules::ExplainInput in;
  in.request = &request_;
  in.verdict = &verdict_;
  in.facts = &facts_;
  in.blockers = failure_.blockers;
  in.changes = changes;
  in.port_users = &port_users_;
  in.process = refused_.process;
  in.names = names;
  rules::Explanation words = rules::explain(in);
  failure_.explanation = std::move(words.sentence);
  failure_.advice = std::move(words.advice);
  return failure_;
}

} // namespace bindlens::app
