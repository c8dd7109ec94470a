#include "checker.h"

#include <bindlens/rules/bucket_state.h>
#include <bindlens/rules/check.h>

#include <algorithm>

namespace bindlens::app {

namespace {

std::unexpected<Error> wrong(std::string field, std::string text) {
  return std::unexpected(Error{std::move(text), EINVAL, std::move(field)});
}

Result<uint32_t> netns_of(const CheckContext& c, const protocol::CheckRequest& r,
                          const server::Peer& peer) {
  if (r.netns.empty()) return kernel::Namespaces::of_process(peer.pid);
  auto netns = c.namespaces.resolve(r.netns);
  if (!netns) return wrong("netns", netns.error().text);
  return netns;
}

Result<uint32_t> dev_index(const std::string& dev, const rules::HostFacts& facts) {
  if (dev.empty()) return 0;
  if (!facts.interfaces) return fail("the interfaces of the namespace could not be read");
  for (const rules::Interface& i : *facts.interfaces)
    if (i.name == dev) return i.index;
  return wrong("dev", "no interface is named \"" + dev + "\" in that network namespace");
}

// The caller as the rules see it: the peer itself, or only a user when another
// one was asked about.
model::ProcessRef caller_of(const CheckContext& c, const protocol::CheckRequest& r,
                            const server::Peer& peer) {
  if (!r.uid || *r.uid == peer.uid)
    if (auto p = c.core.processes().current(peer.pid)) return p;
  auto p = std::make_shared<model::Process>();
  p->uid = r.uid.value_or(peer.uid);
  return p;
}

rules::Request to_request(const protocol::CheckRequest& r, const model::Process& caller,
                          uint32_t netns, uint32_t dev) {
  rules::Request q;
  q.proto = r.proto;
  q.local = r.at;
  q.family = r.at.addr.family;
  q.then_listen = r.listen;
  q.uid = caller.uid;
  q.netns = netns;
  q.dev = dev;
  q.flags.set(model::SocketFlag::reuseaddr, r.reuseaddr);
  q.flags.set(model::SocketFlag::reuseport, r.reuseport);
  q.flags.set(model::SocketFlag::freebind, r.freebind);
  q.flags.set(model::SocketFlag::transparent, r.transparent);
  q.flags.set(model::SocketFlag::v6only, r.v6only.value_or(false));
  return q;
}

protocol::CheckReply to_reply(rules::CheckAnswer a) {
  return {a.would_succeed,
          a.error,
          a.rule,
          std::move(a.explanation),
          std::move(a.holders),
          std::move(a.advice),
          std::move(a.minimal_change),
          std::move(a.unknown),
          std::nullopt};
}

// Another user is thought of in the cgroup, and under the security modules, of
// the process that asks.
rules::HostFacts facts_of(const CheckContext& c, const model::ProcessRef& caller, uint32_t netns,
                          const server::Peer& peer) {
  const HostView& host = c.core.host();
  rules::HostFacts facts = host.facts(netns, caller);
  if (caller->pid == 0)
    if (const auto asking = c.core.processes().current(peer.pid))
      facts.policies = host.facts(netns, asking).policies;
  return facts;
}

struct Question {
  rules::CheckQuestion asked;
  rules::HostFacts facts;
};

Result<Question> understand(const CheckContext& c, const protocol::CheckRequest& r,
                            const server::Peer& peer) {
  const auto netns = netns_of(c, r, peer);
  if (!netns) return std::unexpected(netns.error());
  const model::ProcessRef caller = caller_of(c, r, peer);
  Question q;
  q.facts = facts_of(c, caller, *netns, peer);
  const auto dev = dev_index(r.dev, q.facts);
  if (!dev) return std::unexpected(dev.error());
  const auto profile = rules::parse_profile(r.os.empty() ? "linux" : r.os);
  if (!profile)
    return wrong("os", "no rules are known for \"" + r.os + "\"; there are " +
                           std::string(rules::profile_names()));
  q.asked.request = to_request(r, *caller, *netns, *dev);
  q.asked.profile = *profile;
  q.asked.v6only = r.v6only;
  q.asked.dev = r.dev;
  if (const auto problem = rules::find_problem(q.asked, q.facts))
    return wrong(problem->field, problem->text);
  return q;
}

Result<model::PortView> read_bucket(const CheckContext& c, const rules::Request& request) {
  kernel::WalkRequest walk;
  walk.protos = {request.proto == model::Proto::mptcp ? model::Proto::tcp : request.proto};
  walk.port = request.local.port;
  walk.netns = request.netns;
  return c.core.source().walk(walk);
}

} // namespace

void check_bind(const CheckContext& c, const protocol::CheckRequest& r, server::Peer peer,
                server::Backend::Done<protocol::CheckReply> done) {
  const auto question = understand(c, r, peer);
  if (!question) return done(std::unexpected(question.error()));
  const auto view = read_bucket(c, question->asked.request);
  if (!view) return done(std::unexpected(view.error()));
  const rules::Names names = c.core.host().names(question->asked.request.netns);
  // Processes are looked up twice when a sweep is needed: the first answer says
  // for which sockets.
  const auto ask = [&c, names](const Question& q, const model::PortView& v,
                               const rules::Resolve& resolve) {
    return rules::answer(q.asked, v, q.facts, c.core.host().variants, resolve, names);
  };
  auto blockers = std::make_shared<std::vector<model::Blocker>>(
      ask(*question, *view, [](model::Blocker&) {}).holders);
  for (model::Blocker& b : *blockers)
    add_history(b, c.core.table().find(b.socket.id));
  c.core.find_owners(*blockers, [=, q = *question, v = *view, context = c] {
    const auto resolve = [&](model::Blocker& b) {
      const auto known = std::find_if(blockers->begin(), blockers->end(),
                                      [&](const auto& k) { return k.socket.id == b.socket.id; });
      if (known == blockers->end()) return;
      const auto rule = b.rule;
      const auto relation = b.relation;
      b = *known;
      b.rule = rule;
      b.relation = relation;
    };
    auto reply =
        to_reply(rules::answer(q.asked, v, q.facts, context.core.host().variants, resolve, names));
    if (context.core.source().name() == "walk")
      reply.bucket = rules::held_bucket_state(v, q.asked.request.netns, q.asked.request.local.port,
                                              context.core.host().variants);
    else
      reply.unknown.emplace_back("the reuse flags of the sockets on the port, which sock_diag does "
                                 "not tell; taken as not set");
    done(std::move(reply));
  });
}

} // namespace bindlens::app
