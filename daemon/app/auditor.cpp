#include "auditor.h"

#include <bindlens/audit/audit.h>

#include <algorithm>
#include <unordered_map>

namespace bindlens::app {

namespace {

// One audit: what the checks ask of the host, each looked up once.
class Host {
 public:
  Host(Core& core, std::shared_ptr<const kernel::OwnerMap> owners)
      : core_(core), owners_(std::move(owners)) {}

  const rules::HostFacts& facts(uint32_t netns) {
    auto [it, fresh] = facts_.try_emplace(netns);
    if (fresh) it->second = core_.host().facts(netns, std::make_shared<model::Process>());
    return it->second;
  }

  void resolve(model::Blocker& b) {
    add_history(b, core_.table().find(b.socket.id));
    b.holders_known = owners_ != nullptr;
    if (owners_)
      for (const bl_owner& o : owners_->of(b.socket))
        if (auto p = process(o.pid)) b.holders.push_back({std::move(p), static_cast<int>(o.fd)});
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
  std::unordered_map<uint32_t, rules::HostFacts> facts_; // references stay valid
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

bool matches(const model::Filter& filter, const model::Finding& f) {
  return std::ranges::any_of(f.sockets, [&](const model::Blocker& b) {
    return filter.matches(b.socket) && filter.matches(b.binder, b.holders);
  });
}

std::vector<model::Finding> audit_view(Core& core, const model::PortView& view,
                                       std::shared_ptr<const kernel::OwnerMap> owners,
                                       MonoNs watched_since,
                                       const server::Backend::AuditQuery& query) {
  Host host(core, std::move(owners));
  audit::Input in;
  in.view = &view;
  in.facts = [&](uint32_t netns) -> const rules::HostFacts& { return host.facts(netns); };
  in.variants = core.host().variants;
  in.resolve = [&](model::Blocker& b) { host.resolve(b); };
  in.user = core.host().names(0).user;
  in.now = monotonic_now();
  in.watched_since = watched_since;
  if (query.idle_s) in.idle = MonoNs{*query.idle_s} * 1'000'000'000;
  auto findings = audit::audit(in);
  std::erase_if(findings, [&](const auto& f) { return !matches(query.filter, f); });
  std::ranges::for_each(findings, shorten);
  return findings;
}

} // namespace

void audit_host(Core& core, MonoNs watched_since, server::Backend::AuditQuery query,
                server::Backend::Done<std::vector<model::Finding>> done) {
  if (core.source().name() != "walk")
    return done(fail("an audit needs the reuse flags of sockets, which sock_diag does not tell; "
                     "'bindlens status' says why the kernel's tables cannot be read"));
  auto view = std::make_shared<model::PortView>();
  auto failed = std::make_shared<bool>(false);
  core.sweeper().request([=, &core](const Sweeper::Result& swept) {
    if (*failed) return; // answered already
    if (!swept) return done(std::unexpected(swept.error()));
    done(audit_view(core, *view, *swept, watched_since, query));
  });
  auto walked = core.snapshot();
  *failed = !walked;
  if (!walked) return done(std::unexpected(walked.error()));
  *view = std::move(walked->view);
}

} // namespace bindlens::app
