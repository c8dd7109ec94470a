// --disable-hook NAME: each name does what it says, and no more.

#include "hosts.h"

#include <algorithm>

namespace bindlens::kernel {
namespace {

using test::best_routes;
using test::changed;
using test::Host;
using test::Routes;
using test::routes;

AttachWishes disabling(std::initializer_list<std::string> names) {
  AttachWishes w;
  w.disabled.insert(names.begin(), names.end());
  return w;
}

const std::vector<std::pair<std::string, std::vector<std::string>>> all_routes = {
    {"bind", {"trampoline", "kprobe", "tracepoint"}},
    {"listen", {"trampoline", "kprobe", "tracepoint"}},
    {"connect", {"trampoline", "kprobe", "tracepoint"}},
    {"bind-in-kernel", {"trampoline", "kprobe", "cgroup"}},
    {"listen-in-kernel", {"trampoline", "kprobe"}},
    {"tcp-release", {"trampoline", "kprobe", "tracepoint"}},
    {"udp-release", {"trampoline", "kprobe", "cgroup"}},
    {"stop-listening", {"trampoline", "tracepoint"}},
    {"timewait-connect", {"trampoline", "cgroup"}},
    {"timewait-syn", {"trampoline", "kprobe"}},
    {"linger-zero", {"trampoline", "tracepoint"}},
    {"mark", {"cgroup"}},
    {"reuseport-select", {"trampoline", "kprobe"}},
    {"reuseport-accept", {"trampoline", "tracepoint"}},
    {"reuseport-queue", {"trampoline", "kprobe", "tracepoint"}},
    {"reuseport-datagrams", {"tracepoint", "trampoline", "kprobe"}},
    {"reuseport-migrate", {"trampoline"}},
};

TEST(DisableHook, TakesEveryHookAndEveryRoute) {
  std::vector<std::string> expected;
  for (const auto& [hook, of_hook] : all_routes) {
    expected.push_back(hook);
    for (const std::string& route : of_hook)
      expected.push_back(hook + "/" + route);
  }
  EXPECT_EQ(hook_names(), expected);
}

TEST(DisableHook, SwitchesOffTheHookAlone) {
  for (const auto& [hook, of_hook] : all_routes) {
    const AttachPlan plan = Host().plan(disabling({hook}));
    EXPECT_EQ(routes(plan), changed(best_routes, {{hook, ""}})) << hook;
    for (const PlannedHook& h : plan.hooks)
      EXPECT_EQ(h.disabled, h.name == hook) << h.name;
    EXPECT_EQ(plan.find(hook)->reason, "switched off");
    EXPECT_FALSE(plan.find(hook)->effect.empty()) << hook;
  }
}

TEST(DisableHook, SwitchesOffOneRouteAndTheNextTakesItsPlace) {
  for (const auto& [hook, of_hook] : all_routes) {
    AttachWishes wishes;
    std::string reason;
    for (size_t i = 0; i < of_hook.size(); ++i) {
      wishes.disabled.insert(hook + "/" + of_hook[i]);
      reason += (reason.empty() ? "" : "; ") + of_hook[i] + ": switched off";
      const std::string next = i + 1 < of_hook.size() ? of_hook[i + 1] : "";
      const AttachPlan plan = Host().plan(wishes);
      EXPECT_EQ(routes(plan), changed(best_routes, {{hook, next}})) << hook << "/" << of_hook[i];
      EXPECT_FALSE(plan.find(hook)->disabled) << "the hook itself was not";
      EXPECT_EQ(plan.find(hook)->reason, reason);
      EXPECT_EQ(plan.find(hook)->effect.empty(), !next.empty()) << hook;
    }
  }
}

TEST(DisableHook, OfARouteThatIsNotUsedChangesNothing) {
  for (const auto& [hook, of_hook] : all_routes)
    for (size_t i = 1; i < of_hook.size(); ++i) {
      const AttachPlan plan = Host().plan(disabling({hook + "/" + of_hook[i]}));
      EXPECT_EQ(routes(plan), best_routes) << hook << "/" << of_hook[i];
      EXPECT_EQ(plan.find(hook)->reason, "");
    }
}

TEST(DisableHook, OfAllLeavesNothing) {
  AttachWishes wishes;
  for (const std::string& name : hook_names())
    wishes.disabled.insert(name);
  for (const PlannedHook& h : Host().plan(wishes).hooks) {
    EXPECT_FALSE(h.attached) << h.name;
    EXPECT_TRUE(h.disabled) << h.name;
  }
}

TEST(DisableHook, TellsThePrograms) {
  const auto release = Host().plan(disabling({"tcp-release/trampoline", "tcp-release/kprobe"}));
  EXPECT_TRUE(release.release_by_state);
  EXPECT_FALSE(Host().plan(disabling({"tcp-release"})).release_by_state);
  const auto in_kernel =
      Host().plan(disabling({"bind-in-kernel/trampoline", "bind-in-kernel/kprobe"}));
  EXPECT_TRUE(in_kernel.in_kernel_by_cgroup);
  EXPECT_FALSE(Host().plan(disabling({"bind-in-kernel"})).in_kernel_by_cgroup);
  EXPECT_TRUE(Host().plan(disabling({"mark"})).children_unmarked);
  EXPECT_TRUE(Host().plan(disabling({"mark/cgroup"})).children_unmarked);
}

TEST(DisableHook, OfEveryTrampolineLeadsToTheKprobeTier) {
  AttachWishes wishes;
  for (const std::string& name : hook_names())
    if (name.ends_with("/trampoline")) wishes.disabled.insert(name);
  const AttachPlan plan = Host().plan(wishes);
  EXPECT_EQ(routes(plan), test::kprobe_routes);
  EXPECT_EQ(plan.tier, Tier::kprobe);
}

} // namespace
} // namespace bindlens::kernel
