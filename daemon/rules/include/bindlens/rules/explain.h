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

// Who has the ports that a search found taken (PortSearch::holders).
struct PortUsers {
  struct User {
    model::ProcessRef process; // never null
    uint32_t ports = 0;
    // Of these, bound to an address and no port number, without IP_BIND_ADDRESS_NO_PORT.
    uint32_t bound_to_address = 0;
  };
  std::vector<User> users; // the most ports first
  uint32_t time_wait = 0;  // ports of closed connections
  uint32_t unknown = 0;    // nobody saw who took them
};

struct ExplainInput {
  const Request* request = nullptr; // never null
  const Verdict* verdict = nullptr; // never null
  const HostFacts* facts = nullptr; // never null
  // The verdict's blockers with what is known about their processes, in the
  // same order.
  std::span<const model::Blocker> blockers;
  // minimal_changes() of the refusal: they open the advice.
  std::span<const Change> changes;
  const PortUsers* port_users = nullptr; // null = not looked up
  model::ProcessRef process;             // who asked; null = a question, nobody has called yet
  Names names;
};

// Why, in plain words, and what to do. Every advice is true for this case: it
// was derived from the flags, the users and the processes of these sockets.
[[nodiscard]] Explanation explain(const ExplainInput& in);

// A blocker with the socket's part filled in; processes are the caller's.
[[nodiscard]] model::Blocker to_blocker(const Conflict& c);

} // namespace bindlens::rules
