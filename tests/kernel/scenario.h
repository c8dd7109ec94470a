#pragma once

// What users suffer from, played with real processes: each scenario asks `why`
// and `check`, follows what they advise, and sees whether that was true.

#include "world.h"

#include <functional>

namespace bindlens::test {

using Strings = std::vector<std::string>;

class Scenario : public World {
 protected:
  // What `why` says about a call that the kernel has to refuse.
  [[nodiscard]] Json refusal(const Actor& by, uint16_t port, int error,
                             const std::function<Outcome()>& call);
  [[nodiscard]] Json refused_bind(Actor& by, int fd, const std::string& address, uint16_t port,
                                  int error = EADDRINUSE);
  // POST /v1/check about this namespace.
  [[nodiscard]] Json check(Json question);
  // `check` refuses it by that rule, and knows a change that helps.
  void expect_check_refuses(const Json& question, const std::string& rule);
  void expect_check_allows(const Json& question);
  // The failure is of this rule, in this namespace, and one socket is to blame:
  // bound by `binder`, held by exactly `holders`.
  void expect_blamed(const Json& failure, const std::string& rule, const std::string& relation,
                     const Actor& binder, const Strings& holders);
  void expect_rule(const Json& failure, const std::string& rule);

  int bound(Actor& by, int fd, const std::string& address, uint16_t port);
  int listening(Actor& by, int fd, const std::string& address, uint16_t port);

  // In the namespace: below /proc/sys/net, and one more address of its own.
  void set_sysctl(const std::string& name, const std::string& value);
  void add_address(const std::string& address);
  // Exit status of a program run in the namespace; 127 when there is none.
  int run(const Strings& arguments);
};

// One of the sentences of advice has this text.
[[nodiscard]] bool advises(const Json& answer, const std::string& text);
[[nodiscard]] bool explains(const Json& answer, const std::string& text);
// "kt-a[123]", as the texts name a process.
[[nodiscard]] std::string named(const std::string& comm, pid_t pid);
[[nodiscard]] Json question(const std::string& proto, const std::string& address, uint16_t port,
                            const Strings& flags = {});

} // namespace bindlens::test
