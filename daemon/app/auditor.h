#pragma once

#include "core.h"
#include "facts_reader.h"

#include <bindlens/server/backend.h>

#include <functional>
#include <utility>

namespace bindlens::app {

// Audits the host: a walk of all tables, a sweep over all descriptors and what
// namespaces are like, side by side; then the checks.
class Auditor {
 public:
  struct Answer {
    std::vector<model::Finding> findings;
    std::optional<MonoNs> by_age; // as audit() says
  };
  using Done = std::function<void(Result<Answer>)>;

  // The reuseport groups that are counted, as they fare now.
  using Judged = std::function<std::vector<model::JudgedGroup>(const kernel::OwnerMap&)>;

  // `watched_since`: when the daemon began to see binds.
  Auditor(boost::asio::io_context& io, Core& core, Judged judged, MonoNs watched_since)
      : core_(core), facts_(io), judged_(std::move(judged)), watched_since_(watched_since) {}

  // What the kernel allows to be audited; the error says why nothing.
  [[nodiscard]] Result<void> possible() const;
  // For a client: the whole of it as it is now.
  void audit(server::Backend::AuditQuery query,
             server::Backend::Done<std::vector<model::Finding>> done);
  // For the daemon itself: its sweep waits for its turn, and a changed sysctl is
  // seen a minute late.
  void audit_in_turn(Done done);

 private:
  struct Run;
  void start(std::shared_ptr<Run> run);
  void finish(Run& run);

  Core& core_;
  FactsReader facts_;
  Judged judged_;
  MonoNs watched_since_;
};

} // namespace bindlens::app
