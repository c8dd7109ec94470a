#pragma once

// Hosts to plan for: one that has everything, less what a test takes away.

#include <bindlens/kernel/attach_plan.h>

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace bindlens::test {

using kernel::Attachment;
using kernel::AttachPlan;
using kernel::AttachWishes;
using kernel::KernelFacts;
using kernel::PlannedHook;
using kernel::Tier;

inline KernelFacts host_with_everything() {
  KernelFacts f;
  f.btf = f.read_kernel = f.cgroup_v2 = f.cgroup_programs = f.owner_iterator = true;
  f.loop_helper = f.direct_loads = true;
  for (const Attachment& a : kernel::all_attachments()) {
    if (a.kind == Attachment::Kind::trampoline) f.trampolines.insert(a.target);
    if (a.kind == Attachment::Kind::kprobe || a.kind == Attachment::Kind::kretprobe)
      f.kprobes.insert(a.target);
    if (a.kind == Attachment::Kind::tracepoint) f.tracepoints.insert(a.target);
    if (a.kind == Attachment::Kind::btf_tracepoint) f.btf_tracepoints.insert(a.target);
  }
  return f;
}

struct Host {
  KernelFacts facts = host_with_everything();

  Host& without_trampolines(std::string why = "trampolines need a newer kernel") {
    facts.trampolines.clear();
    facts.trampoline_refusal = std::move(why);
    return *this;
  }
  Host& without_kprobes(std::string why = "perf events are locked down") {
    facts.kprobes.clear();
    facts.kprobe_refusal = std::move(why);
    return *this;
  }
  Host& without_trampoline(const std::string& function) {
    facts.trampolines.erase(function);
    return *this;
  }
  Host& without_kprobe(const std::string& function) {
    facts.kprobes.erase(function);
    return *this;
  }
  Host& without_tracepoint(const std::string& name) {
    facts.tracepoints.erase(name);
    facts.btf_tracepoints.erase(name);
    return *this;
  }
  Host& without(bool KernelFacts::*fact) {
    facts.*fact = false;
    return *this;
  }
  [[nodiscard]] AttachPlan plan(const AttachWishes& wishes = {}) const {
    return kernel::make_attach_plan(facts, wishes);
  }
};

// By name, "" = missing.
using Routes = std::map<std::string, std::string>;

inline Routes routes(const AttachPlan& plan) {
  Routes all;
  for (const PlannedHook& h : plan.hooks) {
    EXPECT_EQ(h.attached, !h.route.empty()) << h.name;
    EXPECT_EQ(h.attached, !h.attachments.empty()) << h.name;
    all[h.name] = h.route;
  }
  return all;
}

// `all`, but for the ones named in `changes`.
inline Routes changed(Routes all, const Routes& changes) {
  for (const auto& [name, route] : changes)
    all.at(name) = route;
  return all;
}

inline const Routes best_routes = {{"bind", "trampoline"},
                                   {"listen", "trampoline"},
                                   {"connect", "trampoline"},
                                   {"bind-in-kernel", "trampoline"},
                                   {"listen-in-kernel", "trampoline"},
                                   {"tcp-release", "trampoline"},
                                   {"udp-release", "trampoline"},
                                   {"stop-listening", "trampoline"},
                                   {"timewait-connect", "trampoline"},
                                   {"timewait-syn", "trampoline"},
                                   {"linger-zero", "trampoline"},
                                   {"mark", "cgroup"},
                                   {"reuseport-select", "trampoline"},
                                   {"reuseport-accept", "trampoline"},
                                   {"reuseport-queue", "trampoline"},
                                   {"reuseport-datagrams", "tracepoint"},
                                   {"reuseport-migrate", "trampoline"}};

inline const Routes kprobe_routes = changed(best_routes, {{"bind", "kprobe"},
                                                          {"listen", "kprobe"},
                                                          {"connect", "kprobe"},
                                                          {"bind-in-kernel", "kprobe"},
                                                          {"listen-in-kernel", "kprobe"},
                                                          {"tcp-release", "kprobe"},
                                                          {"udp-release", "kprobe"},
                                                          {"stop-listening", "tracepoint"},
                                                          {"linger-zero", "tracepoint"},
                                                          {"reuseport-select", "kprobe"},
                                                          {"reuseport-accept", "tracepoint"},
                                                          {"reuseport-queue", "kprobe"},
                                                          {"reuseport-migrate", ""},
                                                          {"timewait-connect", "cgroup"},
                                                          {"timewait-syn", "kprobe"}});

inline const Routes tracepoint_routes = changed(best_routes, {{"bind", "tracepoint"},
                                                              {"listen", "tracepoint"},
                                                              {"connect", "tracepoint"},
                                                              {"bind-in-kernel", "cgroup"},
                                                              {"listen-in-kernel", ""},
                                                              {"tcp-release", "tracepoint"},
                                                              {"udp-release", "cgroup"},
                                                              {"stop-listening", "tracepoint"},
                                                              {"linger-zero", "tracepoint"},
                                                              {"reuseport-select", ""},
                                                              {"reuseport-accept", "tracepoint"},
                                                              {"reuseport-queue", "tracepoint"},
                                                              {"reuseport-migrate", ""},
                                                              {"timewait-connect", "cgroup"},
                                                              {"timewait-syn", ""}});

} // namespace bindlens::test
