#pragma once

#include <bindlens/rules/change.h>
#include <bindlens/rules/profile.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bindlens::rules {

// What `bindlens check` and POST /v1/check ask, with all names resolved.
struct CheckQuestion {
  Request request; // op bind; then_listen for --listen
  Profile profile = Profile::linux_now;
  // The v6only option as given; empty takes net.ipv6.bindv6only.
  std::optional<bool> v6only;
  // The interface given by name, for messages; request.dev holds its index.
  std::string dev;
};

// A combination that makes no sense, with the name of the option at fault.
struct CheckProblem {
  std::string field; // "dev", "v6only", "reuseport", "proto", "addr", "listen"
  std::string text;  // a sentence without a final dot
};
[[nodiscard]] std::optional<CheckProblem> find_problem(const CheckQuestion& q,
                                                       const HostFacts& facts);

// The members of protocol::CheckReply, name by name.
struct CheckAnswer {
  bool would_succeed = false;
  int error = 0;
  model::Rule rule = model::Rule::none;
  std::string explanation;
  std::vector<model::Blocker> holders;
  std::vector<std::string> advice;
  std::vector<std::string> minimal_change;
  std::vector<std::string> unknown;
};

// Adds to a blocker what the host knows of its processes.
using Resolve = std::function<void(model::Blocker&)>;

// Answers a question that find_problem() let pass. `view`: the walk of the port,
// or of the whole table for port 0.
[[nodiscard]] CheckAnswer answer(const CheckQuestion& q, const model::PortView& view,
                                 const HostFacts& facts, const Variants& variants,
                                 const Resolve& resolve, const Names& names);

} // namespace bindlens::rules
