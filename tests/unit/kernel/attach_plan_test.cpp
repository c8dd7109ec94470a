// What to do about what a kernel offers: everything, minus one thing at a time.

#include "hosts.h"

namespace bindlens::kernel {
namespace {

using test::best_routes;
using test::changed;
using test::Host;
using test::kprobe_routes;
using test::Routes;
using test::routes;
using test::tracepoint_routes;
using Kind = Attachment::Kind;

TEST(AttachPlan, TakesTheBestRouteWhereThereIsEverything) {
  const AttachPlan plan = Host().plan();
  EXPECT_EQ(routes(plan), best_routes);
  EXPECT_EQ(plan.tier, Tier::trampoline);
  EXPECT_EQ(plan.tier_reason, "");
  for (const PlannedHook& h : plan.hooks) {
    EXPECT_EQ(h.reason, "") << h.name;
    EXPECT_EQ(h.effect, "") << h.name;
    EXPECT_FALSE(h.disabled) << h.name;
  }
  EXPECT_FALSE(plan.release_by_state);
  EXPECT_FALSE(plan.stop_by_state);
  EXPECT_FALSE(plan.linger_by_state);
  EXPECT_FALSE(plan.in_kernel_by_cgroup);
  EXPECT_FALSE(plan.children_unmarked);
}

TEST(AttachPlan, FindsHooksByName) {
  const AttachPlan plan = Host().plan();
  ASSERT_NE(plan.find("connect"), nullptr);
  EXPECT_EQ(plan.find("connect")->name, "connect");
  EXPECT_EQ(plan.find("connec"), nullptr);
  EXPECT_EQ(plan.find("bind/trampoline"), nullptr);
}

struct MinusOne {
  Host host;
  std::string hook;
  std::string route; // that is left, "" = none
  std::string reason;
};

std::vector<MinusOne> one_function_less() {
  return {
      {Host().without_trampoline("__sys_bind"), "bind", "kprobe",
       "trampoline: no trampoline on __sys_bind"},
      {Host().without_trampoline("__sys_listen"), "listen", "kprobe",
       "trampoline: no trampoline on __sys_listen"},
      {Host().without_trampoline("__sys_connect"), "connect", "kprobe",
       "trampoline: no trampoline on __sys_connect"},
      {Host().without_trampoline("__sys_bind_socket"), "bind-in-kernel", "kprobe",
       "trampoline: no trampoline on __sys_bind_socket"},
      {Host().without_trampoline("__sys_listen_socket"), "listen-in-kernel", "kprobe",
       "trampoline: no trampoline on __sys_listen_socket"},
      {Host().without_trampoline("inet_put_port"), "tcp-release", "kprobe",
       "trampoline: no trampoline on inet_put_port"},
      {Host().without_trampoline("udp_lib_unhash"), "udp-release", "kprobe",
       "trampoline: no trampoline on udp_lib_unhash"},
      {Host().without_trampoline("__sys_bind").without_kprobe("__sys_bind"), "bind", "tracepoint",
       "trampoline: no trampoline on __sys_bind; kprobe: no kprobe on __sys_bind"},
      {Host().without_trampoline("__sys_bind_socket").without_kprobe("__sys_bind_socket"),
       "bind-in-kernel", "cgroup",
       "trampoline: no trampoline on __sys_bind_socket; kprobe: no kprobe on __sys_bind_socket"},
      {Host().without_trampoline("__sys_listen_socket").without_kprobe("__sys_listen_socket"),
       "listen-in-kernel", "",
       "trampoline: no trampoline on __sys_listen_socket; kprobe: no kprobe on "
       "__sys_listen_socket"},
      {Host().without_trampoline("inet_put_port").without_kprobe("inet_put_port"), "tcp-release",
       "tracepoint",
       "trampoline: no trampoline on inet_put_port; kprobe: no kprobe on inet_put_port"},
      {Host().without_trampoline("udp_lib_unhash").without_kprobe("udp_lib_unhash"), "udp-release",
       "cgroup",
       "trampoline: no trampoline on udp_lib_unhash; kprobe: no kprobe on udp_lib_unhash"},
      {Host().without(&KernelFacts::cgroup_v2), "mark", "",
       "cgroup: no cgroup v2 hierarchy is mounted"},
      {Host().without(&KernelFacts::cgroup_programs), "mark", "",
       "cgroup: the kernel refuses cgroup programs"},
  };
}

// Two hooks have one program on it.
TEST(AttachPlan, MissesAllThatOneTracepointTells) {
  const AttachPlan plan =
      Host().without_trampolines("no trampolines").without_tracepoint("inet_sock_set_state").plan();
  EXPECT_EQ(routes(plan), changed(kprobe_routes, {{"stop-listening", ""}, {"linger-zero", ""}}));
  for (const char* hook : {"stop-listening", "linger-zero"}) {
    EXPECT_EQ(plan.find(hook)->reason,
              "trampoline: no trampolines; tracepoint: no tracepoint inet_sock_set_state");
    EXPECT_FALSE(plan.find(hook)->effect.empty());
  }
}

TEST(AttachPlan, GoesToTheNextRouteOfThatHookAlone) {
  for (const MinusOne& m : one_function_less()) {
    const AttachPlan plan = m.host.plan();
    EXPECT_EQ(routes(plan), changed(best_routes, {{m.hook, m.route}})) << m.hook;
    EXPECT_EQ(plan.find(m.hook)->reason, m.reason);
    EXPECT_EQ(plan.find(m.hook)->effect.empty(), !m.route.empty()) << m.hook;
    EXPECT_EQ(plan.tier, Tier::trampoline) << "the others still have the best";
  }
}

TEST(AttachPlan, DoesNotMissWhatIsNotUsed) {
  for (const Host& host :
       {Host().without_kprobes(), Host().without_kprobe("__sys_bind"),
        Host().without_tracepoint("syscalls/sys_enter_bind"),
        Host().without_tracepoint("tcp_destroy_sock"), Host().without(&KernelFacts::owner_iterator),
        Host().without(&KernelFacts::loop_helper), Host().without(&KernelFacts::direct_loads)})
    EXPECT_EQ(routes(host.plan()), best_routes);
}

// The tier is that of the calls; where only a release is better, it is not.
TEST(AttachPlan, HasTheTierOfTheCalls) {
  Host host = Host().without_trampolines();
  host.facts.trampolines.insert("inet_put_port");
  EXPECT_EQ(host.plan().find("tcp-release")->route, "trampoline");
  EXPECT_EQ(host.plan().tier, Tier::kprobe);
  host.facts.trampolines.insert("__sys_connect");
  EXPECT_EQ(host.plan().tier, Tier::trampoline);
}

// Probes can say yes, and the program itself be refused all the same.
TEST(AttachPlan, GoesOnAfterARouteThatWasRefused) {
  AttachWishes wishes;
  wishes.refused["bind/trampoline"] = "fe_bind_enter: too large";
  const AttachPlan plan = Host().plan(wishes);
  EXPECT_EQ(routes(plan), changed(best_routes, {{"bind", "kprobe"}}));
  EXPECT_EQ(plan.find("bind")->reason, "trampoline: fe_bind_enter: too large");
  for (const PlannedHook& h : plan.hooks)
    EXPECT_EQ(h.failed, h.name == "bind") << h.name;
  wishes.refused["bind/kprobe"] = "kp_bind_enter: busy";
  wishes.refused["bind/tracepoint"] = "tp_bind_enter: busy";
  const AttachPlan none = Host().plan(wishes);
  EXPECT_EQ(routes(none), changed(best_routes, {{"bind", ""}}));
  EXPECT_TRUE(none.find("bind")->failed);
  EXPECT_FALSE(none.find("bind")->disabled);
  EXPECT_FALSE(none.find("bind")->effect.empty());
  EXPECT_EQ(none.find("bind")->reason,
            "trampoline: fe_bind_enter: too large; kprobe: kp_bind_enter: busy; "
            "tracepoint: tp_bind_enter: busy");
}

// Half of a route would tell of entries without results.
TEST(AttachPlan, NeedsAllOfARoute) {
  for (const char* half : {"syscalls/sys_enter_bind", "syscalls/sys_exit_bind"}) {
    const AttachPlan plan =
        Host().without_trampolines().without_kprobes().without_tracepoint(half).plan();
    EXPECT_EQ(routes(plan), changed(tracepoint_routes, {{"bind", ""}})) << half;
    EXPECT_FALSE(plan.find("bind")->effect.empty());
  }
  const AttachPlan plan =
      Host().without_trampolines().without_kprobes().without_tracepoint("tcp_destroy_sock").plan();
  EXPECT_EQ(routes(plan), changed(tracepoint_routes, {{"tcp-release", ""}}));
}

TEST(AttachPlan, UsesKprobesWhereTrampolinesDoNotWork) {
  const AttachPlan plan = Host().without_trampolines("no ftrace with direct calls").plan();
  EXPECT_EQ(routes(plan), kprobe_routes);
  EXPECT_EQ(plan.tier, Tier::kprobe);
  EXPECT_EQ(plan.tier_reason, "trampolines: no ftrace with direct calls");
  EXPECT_EQ(plan.find("bind")->reason, "trampoline: no ftrace with direct calls");
  EXPECT_EQ(plan.find("bind")->effect, "");
}

// A cloud host that is locked down: the whole mission but listens by io_uring.
TEST(AttachPlan, UsesTracepointsWhereThereIsNothingElse) {
  const AttachPlan plan =
      Host().without_trampolines("refused (EBUSY)").without_kprobes("not built in").plan();
  EXPECT_EQ(routes(plan), tracepoint_routes);
  EXPECT_EQ(plan.tier, Tier::tracepoint);
  EXPECT_EQ(plan.tier_reason, "trampolines: refused (EBUSY); kprobes: not built in");
  EXPECT_FALSE(plan.find("listen-in-kernel")->effect.empty());
}

TEST(AttachPlan, AttachesNothingWithoutBtfOrKernelMemory) {
  const std::pair<bool KernelFacts::*, std::string> needs[] = {
      {&KernelFacts::btf, "BTF"}, {&KernelFacts::read_kernel, "memory"}};
  for (const auto& [fact, word] : needs) {
    const AttachPlan plan = Host().without(fact).plan();
    for (const PlannedHook& h : plan.hooks) {
      EXPECT_FALSE(h.attached) << h.name;
      EXPECT_TRUE(h.attachments.empty()) << h.name;
      EXPECT_NE(h.reason.find(word), std::string::npos) << h.name << ": " << h.reason;
      EXPECT_FALSE(h.effect.empty()) << h.name;
    }
    EXPECT_FALSE(plan.release_by_state);
    EXPECT_FALSE(plan.in_kernel_by_cgroup);
    EXPECT_TRUE(plan.children_unmarked);
  }
}

TEST(AttachPlan, AHostWithNothingStillHasAPlan) {
  const AttachPlan plan = make_attach_plan({}, {});
  EXPECT_EQ(plan.hooks.size(), best_routes.size());
  for (const PlannedHook& h : plan.hooks)
    EXPECT_FALSE(h.attached) << h.name;
}

// The constants of the BPF object follow the routes, and nothing else.
TEST(AttachPlan, TellsTheProgramsHowTheOthersAreAttached) {
  const auto state =
      Host().without_trampoline("inet_put_port").without_kprobe("inet_put_port").plan();
  EXPECT_TRUE(state.release_by_state);
  EXPECT_FALSE(state.in_kernel_by_cgroup);
  EXPECT_FALSE(state.children_unmarked);
  const auto in_kernel =
      Host().without_trampoline("__sys_bind_socket").without_kprobe("__sys_bind_socket").plan();
  EXPECT_FALSE(in_kernel.release_by_state);
  EXPECT_TRUE(in_kernel.in_kernel_by_cgroup);
  EXPECT_FALSE(in_kernel.children_unmarked);
  const auto unmarked = Host().without(&KernelFacts::cgroup_programs).plan();
  EXPECT_FALSE(unmarked.release_by_state);
  EXPECT_FALSE(unmarked.in_kernel_by_cgroup);
  EXPECT_TRUE(unmarked.children_unmarked);
  const auto kprobes = Host().without_trampolines().plan();
  EXPECT_FALSE(kprobes.release_by_state);
  EXPECT_TRUE(kprobes.stop_by_state);
  EXPECT_TRUE(kprobes.linger_by_state);
  EXPECT_FALSE(kprobes.in_kernel_by_cgroup);
}

TEST(AttachPlan, WhatItAttachesWasProbed) {
  const std::vector<Attachment> probed = all_attachments();
  const auto is_probed = [&](const Attachment& a) {
    return std::any_of(probed.begin(), probed.end(), [&](const Attachment& p) {
      return p.program == a.program && p.kind == a.kind && p.target == a.target;
    });
  };
  for (const Host& host :
       {Host(), Host().without_trampolines(), Host().without_trampolines().without_kprobes()})
    for (const PlannedHook& h : host.plan().hooks)
      for (const Attachment& a : h.attachments)
        EXPECT_TRUE(is_probed(a)) << a.program;
}

// A trampoline or tracepoint program is compiled for one place.
TEST(AttachPlan, EveryProgramHasOneKindAndTrampolinesOneFunction) {
  std::map<std::string, Attachment> seen;
  for (const Attachment& a : all_attachments()) {
    const auto [it, first] = seen.emplace(a.program, a);
    EXPECT_EQ(it->second.kind, a.kind) << a.program;
    const bool one_place =
        a.kind == Kind::trampoline || a.kind == Kind::btf_tracepoint || a.kind == Kind::cgroup;
    EXPECT_TRUE(!one_place || it->second.target == a.target) << a.program;
  }
}

TEST(AttachPlan, AKprobeTellsOfTheResultToo) {
  const AttachPlan plan = Host().without_trampolines().plan();
  for (const char* name : {"bind", "listen", "connect", "bind-in-kernel", "listen-in-kernel"}) {
    const auto& a = plan.find(name)->attachments;
    ASSERT_EQ(a.size(), 2u) << name;
    EXPECT_EQ(a[0].kind, Kind::kprobe) << name;
    EXPECT_EQ(a[1].kind, Kind::kretprobe) << name;
    EXPECT_EQ(a[0].target, a[1].target) << name;
  }
}

TEST(Tier, HasAName) {
  EXPECT_EQ(to_string(Tier::trampoline), "trampoline");
  EXPECT_EQ(to_string(Tier::kprobe), "kprobe");
  EXPECT_EQ(to_string(Tier::tracepoint), "tracepoint");
}

} // namespace
} // namespace bindlens::kernel
