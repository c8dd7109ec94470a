// First of all: can this machine run the tests at all, and do the hooks that
// the others rely on work?

#include "daemon.h"

#include <bindlens/kernel/kernel_facts.h>

#include <gtest/gtest.h>

#include <algorithm>

#include <unistd.h>

namespace bindlens::test {
namespace {

TEST(Environment, CanRunTheTests) {
  ASSERT_EQ(::geteuid(), 0u) << "the kernel tests need root";
  ASSERT_EQ(::access(daemon_path().c_str(), X_OK), 0) << daemon_path();
  const kernel::KernelFacts facts = kernel::probe_kernel();
  ASSERT_TRUE(facts.btf);
  ASSERT_TRUE(facts.read_kernel);
  ASSERT_TRUE(facts.owner_iterator);
  ASSERT_TRUE(facts.cgroup_v2);
  ASSERT_TRUE(facts.cgroup_programs);
}

TEST(Environment, UsesTheTierAskedFor) {
  const Json status = shared_daemon().one("/v1/status");
  if (wanted_tier() != "auto") {
    EXPECT_EQ(status["tier"], wanted_tier()) << status.value("tier_reason", "");
    return;
  }
  const kernel::KernelFacts facts = kernel::probe_kernel();
  const bool best = facts.trampolines.contains("__sys_bind");
  const bool second = facts.kprobes.contains("__sys_bind");
  EXPECT_EQ(status["tier"], best ? "trampoline" : second ? "kprobe" : "tracepoint");
}

// What a hook may miss: io_uring cannot bind or listen before 6.11.
bool may_be_missing(const Json& hook, const kernel::KernelFacts& facts) {
  const std::string name = hook["name"];
  if (name == "listen-in-kernel")
    return hook.dump().find("__sys_listen_socket") != std::string::npos ||
           !facts.trampolines.contains("__sys_listen_socket") || wanted_tier() == "tracepoint";
  // No tracepoint tells of it.
  if (name == "timewait-syn")
    return !facts.trampolines.contains("tcp_timewait_state_process") ||
           wanted_tier() == "tracepoint";
  // Only its return value says which member it was; before 5.14 there is no migration.
  if (name == "reuseport-select")
    return !facts.trampolines.contains("reuseport_select_sock") || wanted_tier() == "tracepoint";
  if (name == "reuseport-migrate")
    return !facts.trampolines.contains("reuseport_migrate_sock") || wanted_tier() == "kprobe" ||
           wanted_tier() == "tracepoint";
  // The tracepoint is there from 6.3.
  if (name == "reuseport-queue" || name == "reuseport-datagrams")
    return !facts.btf_tracepoints.contains("sk_data_ready");
  return false;
}

// These have no kprobe, or a tracepoint that is as good as the tier's own.
bool may_be_by_tracepoint(const std::string& name, const std::string& tier) {
  if (name == "stop-listening" || name == "linger-zero") return tier != "trampoline";
  return name == "reuseport-accept" || name == "reuseport-datagrams";
}

TEST(Environment, HasEveryHookOfTheTier) {
  const kernel::KernelFacts facts = kernel::probe_kernel();
  const Json status = shared_daemon().one("/v1/status");
  const std::string tier = status["tier"];
  for (const Json& hook : status["hooks"]) {
    if (hook["state"] != "attached") {
      EXPECT_TRUE(may_be_missing(hook, facts)) << hook.dump();
      continue;
    }
    const std::string route = hook.value("tier", "");
    EXPECT_TRUE(route == tier || route == "cgroup" || may_be_by_tracepoint(hook["name"], tier))
        << hook.dump();
  }
  for (const char* name : {"bind", "listen", "connect", "tcp-release"}) {
    const auto is_it = [&](const Json& h) { return h["name"] == name; };
    const auto it = std::find_if(status["hooks"].begin(), status["hooks"].end(), is_it);
    ASSERT_NE(it, status["hooks"].end()) << name;
    EXPECT_EQ((*it)["tier"], tier) << it->dump();
  }
  EXPECT_EQ(status["table"]["complete"], true);
}

} // namespace
} // namespace bindlens::test
