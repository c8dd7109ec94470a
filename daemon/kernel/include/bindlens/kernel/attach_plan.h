#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::kernel {

// The ways to learn of an event, best first.
enum class Tier : uint8_t { trampoline, kprobe, tracepoint };
[[nodiscard]] std::string_view to_string(Tier t);

// What this kernel lets us do, found out by trying (kernel_facts.h). A plain
// value, so that tests can start from a host with everything and take one thing
// away at a time.
struct KernelFacts {
  bool btf = false;               // /sys/kernel/btf/vmlinux can be read
  bool read_kernel = false;       // bpf_probe_read_kernel() may be used, and BTF says where
  bool cgroup_v2 = false;         // a v2 hierarchy is mounted
  bool cgroup_programs = false;   // and takes programs for sockets
  bool owner_iterator = false;    // iter/task
  bool loop_helper = false;       // bpf_loop(), from 5.17
  bool direct_loads = false;      // bpf_rdonly_cast(), from 6.2
  std::string trampoline_refusal; // why none of them works, empty when some do
  std::string kprobe_refusal;
  std::set<std::string, std::less<>> trampolines;     // functions
  std::set<std::string, std::less<>> kprobes;         // functions
  std::set<std::string, std::less<>> tracepoints;     // "syscalls/sys_enter_bind"
  std::set<std::string, std::less<>> btf_tracepoints; // "inet_sock_set_state"
};

struct Attachment {
  enum class Kind : uint8_t { trampoline, kprobe, kretprobe, tracepoint, btf_tracepoint, cgroup };
  std::string program; // in the BPF object
  Kind kind = Kind::tracepoint;
  std::string target; // function, "category/name", or cgroup attach type
};

// One thing to be told of, and how it will be.
struct PlannedHook {
  std::string name; // as --disable-hook takes it
  bool attached = false;
  bool disabled = false; // by the user
  bool failed = false;   // a route of it was tried, and refused
  std::string route;     // "trampoline", "kprobe", "tracepoint", "cgroup"
  std::vector<Attachment> attachments;
  std::string reason; // why it is missing, or not by a better route; may be empty
  std::string effect; // what it means for the answers that it is missing; may be empty
};

struct AttachPlan {
  std::vector<PlannedHook> hooks;
  Tier tier = Tier::tracepoint; // the best in use
  std::string tier_reason;      // why no better one; empty for the best
  // Constants of the BPF object (maps.h).
  bool release_by_state = false;
  bool in_kernel_by_cgroup = false;
  bool children_unmarked = false;
  bool queued_is_counted = false;
  bool count_queued_ready = false;
  bool count_datagrams_ready = false;
  bool stop_by_state = false;
  bool linger_by_state = false;

  [[nodiscard]] const PlannedHook* find(std::string_view name) const;
};

struct AttachWishes {
  bool force_tier = false;
  Tier tier = Tier::trampoline; // with force_tier: this one, and cgroup programs
  // "bind" switches a hook off, "bind/trampoline" one of its routes.
  std::set<std::string, std::less<>> disabled;
  // Routes that were tried and did not load or attach, with what the kernel said.
  std::map<std::string, std::string, std::less<>> refused;
};

// Pure. Never fails: what cannot be had is listed as missing.
[[nodiscard]] AttachPlan make_attach_plan(const KernelFacts& facts, const AttachWishes& wishes);

// What --disable-hook takes: hooks, and "hook/route".
[[nodiscard]] std::vector<std::string> hook_names();
// And ways to read the kernel's memory: "walk", without which there is no hook
// either, and "direct-loads", without which it is slower.
[[nodiscard]] std::vector<std::string> reading_names();
// Every hook switched off: for what only reads.
[[nodiscard]] AttachWishes without_hooks();

// All that a plan could ask for: what kernel_facts.h probes.
[[nodiscard]] std::vector<Attachment> all_attachments();

} // namespace bindlens::kernel
