#pragma once

#include <bindlens/model/failure.h>
#include <bindlens/rules/engine.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace bindlens::rules {

// Names that only the host knows. An empty function, or an empty answer, makes
// the number appear instead.
struct Names {
  std::function<std::string(uint32_t uid)> user;
  std::function<std::string(uint32_t index)> device;
  std::function<std::string(uint32_t netns)> netns;
};

struct Explanation {
  std::string sentence;            // one sentence, with its final dot
  std::vector<std::string> advice; // each without a final dot; the best first
};

struct Change; // change.h

struct ExplainInput {
  const Request* request = nullptr; // never null
  const Verdict* verdict = nullptr; // never null
  const HostFacts* facts = nullptr; // never null
  // The verdict's blockers with what is known about their processes, in the
  // same order.
  std::span<const model::Blocker> blockers;
  // minimal_changes() of the refusal: they open the advice.
  std::span<const Change> changes;
  model::ProcessRef process; // who asked; null = a question, nobody has called yet
  Names names;
};

// Why, in plain words, and what to do. Every advice is true for this case: it
// was derived from the flags, the users and the processes of these sockets.
[[nodiscard]] Explanation explain(const ExplainInput& in);

// A blocker with the socket's part filled in; processes are the caller's.
[[nodiscard]] model::Blocker to_blocker(const Conflict& c);

} // namespace bindlens::rules
