#pragma once

#include <bindlens/model/failure.h>
#include <bindlens/model/table.h>
#include <bindlens/model/tracker.h>
#include <bindlens/rules/engine.h>
#include <bindlens/rules/explain.h>

#include <functional>

namespace bindlens::app {

// What a diagnosis needs to know of the host.
struct HostView {
  std::function<rules::HostFacts(uint32_t netns, const model::ProcessRef& caller)> facts;
  std::function<rules::Names(uint32_t netns)> names;
  rules::Variants variants;
};

// A refused call on its way to becoming a Failure: the decision is made first,
// then the processes behind the blockers are looked up, then words are found.
class Diagnosis {
 public:
  // The kernel's decision, worked out again over the bucket as it was.
  Diagnosis(model::RefusedCall refused, const model::BindTable& table, const HostView& host);
  Diagnosis(Diagnosis&&) = delete;

  // What is known before the processes are: enough to tell whether it is the
  // same refusal as the one before.
  [[nodiscard]] model::Failure& failure() { return failure_; }
  // The bucket, as it was given, shows why the call was refused.
  [[nodiscard]] bool reproduced() const { return verdict_.reproduced; }
  // Gives the call back; of no use afterwards.
  [[nodiscard]] model::RefusedCall take_back() { return std::move(refused_); }
  // The failure with its words, from what failure().blockers says of processes.
  [[nodiscard]] model::Failure finish();

 private:
  const HostView& host_;
  model::RefusedCall refused_;
  rules::Request request_;
  rules::HostFacts facts_;
  rules::Verdict verdict_; // points into refused_.view
  rules::PortUsers port_users_;
  model::Failure failure_;
};

// What the caller asked for, as the rules take it.
[[nodiscard]] rules::Request to_request(const model::CallRecord& call);

// Adds to a blocker what the table knows, or knew, of its socket.
void add_history(model::Blocker& blocker, const model::Binding* known);

// The call alone, for when there is no time to work out the reason.
[[nodiscard]] model::Failure undiagnosed(const model::RefusedCall& refused);

} // namespace bindlens::app
