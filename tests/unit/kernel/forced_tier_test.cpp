// --tier T: that tier and cgroup programs, on any host.

#include "hosts.h"

namespace bindlens::kernel {
namespace {

using test::best_routes;
using test::changed;
using test::Host;
using test::routes;

AttachWishes forced(Tier tier, std::set<std::string, std::less<>> disabled = {}) {
  AttachWishes w;
  w.force_tier = true;
  w.tier = tier;
  w.disabled = std::move(disabled);
  return w;
}

TEST(ForcedTier, UsesThatTierAlone) {
  EXPECT_EQ(routes(Host().plan(forced(Tier::trampoline))), best_routes);
  EXPECT_EQ(routes(Host().plan(forced(Tier::kprobe))), test::kprobe_routes);
  EXPECT_EQ(routes(Host().plan(forced(Tier::tracepoint))), test::tracepoint_routes);
}

TEST(ForcedTier, IsTheTierOfThePlanAndItsReason) {
  for (const Tier tier : {Tier::trampoline, Tier::kprobe, Tier::tracepoint}) {
    const AttachPlan plan = Host().plan(forced(tier));
    EXPECT_EQ(plan.tier, tier);
    EXPECT_EQ(plan.tier_reason, "asked for");
  }
}

// The status would otherwise repeat the wish at every hook.
TEST(ForcedTier, NamesItselfOnlyWhereAHookIsMissing) {
  const AttachPlan plan = Host().plan(forced(Tier::tracepoint));
  for (const PlannedHook& h : plan.hooks) {
    const bool missing = h.name == "listen-in-kernel" || h.name == "reuseport-select" ||
                         h.name == "reuseport-migrate" ||
                         h.name == "timewait-syn"; // have no tracepoint
    EXPECT_EQ(h.attached, !missing) << h.name;
    EXPECT_EQ(h.reason, missing ? "not in the tier asked for" : "") << h.name;
    EXPECT_EQ(h.effect.empty(), !missing) << h.name;
  }
}

// The only way to learn of it without trampolines, and as good as they are.
TEST(ForcedTier, KeepsTheTracepointsThatHaveNoTwin) {
  EXPECT_EQ(Host().plan(forced(Tier::kprobe)).find("stop-listening")->route, "tracepoint");
  const Host host = Host().without_trampoline("inet_csk_listen_stop");
  EXPECT_EQ(host.plan(forced(Tier::trampoline)).find("stop-listening")->route, "tracepoint");
}

TEST(ForcedTier, DoesNotFallBackToAnother) {
  const AttachPlan plan = Host()
                              .without_trampoline("__sys_bind")
                              .without_trampoline("inet_put_port")
                              .plan(forced(Tier::trampoline));
  EXPECT_EQ(routes(plan), changed(best_routes, {{"bind", ""}, {"tcp-release", ""}}));
  EXPECT_EQ(plan.find("bind")->reason, "trampoline: no trampoline on __sys_bind");
  EXPECT_FALSE(plan.find("bind")->effect.empty());
}

TEST(ForcedTier, StillUsesCgroupPrograms) {
  const AttachPlan plan = Host()
                              .without_trampoline("udp_lib_unhash")
                              .without_trampoline("__sys_bind_socket")
                              .plan(forced(Tier::trampoline));
  EXPECT_EQ(routes(plan),
            changed(best_routes, {{"udp-release", "cgroup"}, {"bind-in-kernel", "cgroup"}}));
  EXPECT_TRUE(plan.in_kernel_by_cgroup);
}

TEST(ForcedTier, GoesTogetherWithDisabledHooks) {
  const AttachPlan plan =
      Host().plan(forced(Tier::tracepoint, {"bind", "listen/tracepoint", "udp-release/cgroup"}));
  EXPECT_EQ(routes(plan),
            changed(test::tracepoint_routes, {{"bind", ""}, {"listen", ""}, {"udp-release", ""}}));
  EXPECT_TRUE(plan.find("bind")->disabled);
}

TEST(ForcedTier, TellsThePrograms) {
  const AttachPlan plan = Host().plan(forced(Tier::tracepoint));
  EXPECT_TRUE(plan.release_by_state);
  EXPECT_TRUE(plan.in_kernel_by_cgroup);
  EXPECT_FALSE(plan.children_unmarked);
  const AttachPlan kprobe = Host().plan(forced(Tier::kprobe));
  EXPECT_FALSE(kprobe.release_by_state);
  EXPECT_FALSE(kprobe.in_kernel_by_cgroup);
}

} // namespace
} // namespace bindlens::kernel
