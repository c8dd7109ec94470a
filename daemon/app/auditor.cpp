#include "auditor.h"

#include <bindlens/audit/audit.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace bindlens::app {

namespace {

// What the checks ask about processes, each looked up once.
class Owners {
 public:
  Owners(Core& core, std::shared_ptr<const kernel::OwnerMap> owners)
      : core_(core), owners_(std::move(owners)) {}

  void resolve(model::Blocker& b) {
    add_history(b, core_.table().find(b.socket.id));
    const auto add = [&](const kernel::Descriptor& o) {
      if (auto p = process(o.pid)) b.holders.push_back({std::move(p), static_cast<int>(o.fd)});
    };
    b.holders_known = owners_ && owners_->for_each_of(b.socket, add);
    b.binder_exited = b.binder && !is_alive(b.binder);
  }

 private:
  // One process may have bound thousands of sockets.
  bool is_alive(const model::ProcessRef& p) {
    auto [it, fresh] = alive_.try_emplace(p);
    if (fresh) it->second = kernel::ProcessCache::is_alive(*p);
    return it->second;
  }
  model::ProcessRef process(uint32_t pid) {
    auto [it, fresh] = processes_.try_emplace(pid);
    if (fresh) it->second = core_.processes().current(pid);
    return it->second;
  }

  Core& core_;
  std::shared_ptr<const kernel::OwnerMap> owners_;
  std::unordered_map<uint32_t, model::ProcessRef> processes_;
  std::unordered_map<model::ProcessRef, bool> alive_;
};

// A group may have hundreds of members.
constexpr size_t most_sockets = 32;

void shorten(model::Finding& f) {
  if (f.sockets.size() <= most_sockets) return;
  f.sockets_left_out = f.sockets.size() - most_sockets;
  f.sockets.resize(most_sockets);
}

// Facts of `namespaces` that the daemon's own audits may go on with.
constexpr MonoNs facts_max_age = 60'000'000'000;

std::vector<uint32_t> namespaces_of(const model::PortView& view) {
  std::unordered_set<uint32_t> seen;
  for (const model::Bucket& b : view.buckets)
    seen.insert(b.netns);
  return {seen.begin(), seen.end()};
}

} // namespace

// One audit under way.
struct Auditor::Run {
  server::Backend::AuditQuery query;
  bool in_turn = false;
  Done done;
  std::optional<model::PortView> view;
  std::shared_ptr<const kernel::OwnerMap> owners;
  std::shared_ptr<const FactsReader::Facts> facts;

  void fail(const Error& e) {
    // Once; what else comes is too late.
    if (const Done tell = std::exchange(done, {})) tell(std::unexpected(e));
  }
};

Result<void> Auditor::possible() const {
  if (core_.source().name() == "walk") return {};
  return fail("an audit needs the reuse flags of sockets, which sock_diag does not tell; "
              "'bindlens status' says why the kernel's tables cannot be read");
}

void Auditor::audit(server::Backend::AuditQuery query,
                    server::Backend::Done<std::vector<model::Finding>> done) {
  auto run = std::make_shared<Run>();
  run->query = std::move(query);
  run->done = [done = std::move(done)](Result<Answer> answer) {
    if (!answer) return done(std::unexpected(answer.error()));
    done(std::move(answer->findings));
  };
  start(std::move(run));
}

void Auditor::audit_in_turn(Done done) {
  auto run = std::make_shared<Run>();
  run->in_turn = true;
  run->done = std::move(done);
  start(std::move(run));
}

void Auditor::start(std::shared_ptr<Run> run) {
  if (const auto possible_now = possible(); !possible_now) return run->fail(possible_now.error());
  const auto swept = [this, run](const Sweeper::Result& owners) {
    if (!owners) return run->fail(owners.error());
    run->owners = *owners;
    finish(*run);
  };
  if (run->in_turn)
    core_.sweeper().request_in_turn(swept);
  else
    core_.sweeper().request(swept);
  auto walked = core_.snapshot();
  if (!walked) return run->fail(walked.error());
  run->view = std::move(walked->view);
  facts_.read(namespaces_of(*run->view), run->in_turn ? facts_max_age : 0,
              [this, run](std::shared_ptr<const FactsReader::Facts> facts) {
                run->facts = std::move(facts);
                finish(*run);
              });
}

void Auditor::finish(Run& run) {
  if (!run.done || !run.owners || !run.facts) return;
  Owners owners(core_, run.owners);
  audit::Input in;
  in.view = &*run.view;
  in.facts = [&](uint32_t netns) -> const rules::HostFacts& { return run.facts->at(netns); };
  in.variants = core_.host().variants;
  in.resolve = [&](model::Blocker& b) { owners.resolve(b); };
  in.user = core_.host().names(0).user;
  in.groups = judged_(*run.owners);
  in.now = monotonic_now();
  in.reuses = core_.reuses().since(in.now - std::min(in.now, audit::reuse_lately));
  in.watched_since = watched_since_;
  if (run.query.idle_s) in.idle = MonoNs{*run.query.idle_s} * 1'000'000'000;
  Answer answer;
  answer.findings = audit::audit(in, &answer.by_age);
  std::erase_if(answer.findings,
                [&](const model::Finding& f) { return !run.query.filter.matches(f); });
  std::ranges::for_each(answer.findings, shorten);
  std::exchange(run.done, {})(std::move(answer));
}

} // namespace bindlens::app
