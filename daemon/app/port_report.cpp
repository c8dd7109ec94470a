#include "port_report.h"

#include <bindlens/analysis/port_use.h>

#include <unordered_map>
#include <utility>

namespace bindlens::app {

namespace {

// The processes of one answer, each looked up once.
class Owners {
 public:
  Owners(Core& core, std::shared_ptr<const kernel::OwnerMap> owners)
      : core_(core), owners_(std::move(owners)) {}

  std::vector<model::ProcessRef> of(const model::Socket& s) {
    std::vector<model::ProcessRef> out;
    uint32_t last = 0; // descriptors of one process stand side by side
    const auto add = [&](const kernel::Descriptor& o) {
      if (std::exchange(last, o.pid) == o.pid) return;
      if (auto p = process(o.pid)) out.push_back(std::move(p));
    };
    (void)owners_->for_each_of(s, add); // unknown: as one that nobody has
    return out;
  }

 private:
  model::ProcessRef process(uint32_t pid) {
    auto [it, fresh] = processes_.try_emplace(pid);
    if (fresh) it->second = core_.processes().current(pid);
    return it->second;
  }

  Core& core_;
  std::shared_ptr<const kernel::OwnerMap> owners_;
  std::unordered_map<uint32_t, model::ProcessRef> processes_;
};

struct Walked {
  model::PortView view;
  MonoNs at = 0;
};

model::PortReport count(Core& core, const server::Backend::PortsQuery& query, const Walked& walked,
                        const Sweeper::Result& swept) {
  std::unordered_map<uint32_t, rules::HostFacts> facts; // references stay valid
  analysis::PortQuestion q;
  q.view = &walked.view;
  q.now = walked.at;
  q.facts = [&](uint32_t netns) -> const rules::HostFacts& {
    auto [it, fresh] = facts.try_emplace(netns);
    if (fresh) it->second = core.host().facts(netns, std::make_shared<model::Process>());
    return it->second;
  };
  q.meter = &core.connects();
  std::optional<Owners> owners;
  if (swept) {
    owners.emplace(core, *swept);
    q.owners = [&](const model::Socket& s) { return owners->of(s); };
  }
  q.netns = query.netns;
  q.from = query.from;
  q.to = query.to;
  q.to_port = query.to_port;
  q.destinations = query.destinations;
  model::PortReport report = analysis::report_ports(q);
  report.complete = core.health().complete && !walked.view.torn && !walked.view.truncated;
  return report;
}

} // namespace

void report_ports(Core& core, const server::Backend::PortsQuery& query,
                  server::Backend::Done<model::PortReport> done) {
  if (core.source().name() != "walk")
    return done(fail("the use of ports is counted by the kernel's bind buckets, which sock_diag "
                     "does not tell; 'bindlens status' says why they cannot be read"));
  auto walked = std::make_shared<Walked>();
  auto failed = std::make_shared<bool>(false);
  core.sweeper().request([=, &core](const Sweeper::Result& swept) {
    if (*failed) return; // answered already
    done(count(core, query, *walked, swept));
  });
  auto snapshot = core.snapshot();
  *failed = !snapshot;
  if (!snapshot) return done(std::unexpected(snapshot.error()));
  walked->view = std::move(snapshot->view);
  walked->at = monotonic_now();
}

} // namespace bindlens::app
