#pragma once

// The well-known account of SO_REUSEADDR and SO_REUSEPORT as cases that the
// engine answers, and docs/bind-rules.md made from them.

#include <bindlens/rules/profile.h>

#include <string>
#include <vector>

namespace bindlens::rules {

enum class Belief : uint8_t { allowed, refused, none };

// A holds the port, B asks for it.
struct FolkloreCase {
  std::string row; // "5", "5b": number of the row in the account, and its variant
  std::string first;
  std::string second;
  std::string options;
  model::PortView view;
  Request request;
  HostFacts facts;
  // What the account says of Linux since 3.9.
  Belief believed = Belief::none;
  // Why today's Linux does otherwise; empty where it does as believed.
  std::string correction;
};

[[nodiscard]] std::vector<FolkloreCase> folklore_cases();

// "allowed", "EADDRINUSE", or "-" where the system lacks the option.
[[nodiscard]] std::string answer_text(Profile p, const FolkloreCase& c);

// Does today's Linux do other than believed?
[[nodiscard]] bool differs(const FolkloreCase& c);

// The whole of docs/bind-rules.md.
[[nodiscard]] std::string bind_rules_document();

} // namespace bindlens::rules
