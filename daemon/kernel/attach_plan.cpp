#include <bindlens/kernel/attach_plan.h>

#include <algorithm>
#include <array>

namespace bindlens::kernel {

namespace {

using Kind = Attachment::Kind;

constexpr std::string_view other_tier = "not in the tier asked for";

struct Route {
  std::string_view name; // "trampoline", "kprobe", "tracepoint", "cgroup"
  std::vector<Attachment> attachments;
};

struct HookSpec {
  std::string_view name;
  std::vector<Route> routes; // best first
  std::string_view effect;   // of its absence
  bool any_tier = false;     // also where its route is of another tier than the one forced
};

Attachment fentry(std::string program, std::string function) {
  return {std::move(program), Kind::trampoline, std::move(function)};
}

Route trampoline(std::string enter, std::string exit, const std::string& function) {
  return {"trampoline", {fentry(std::move(enter), function), fentry(std::move(exit), function)}};
}

Route kprobe(std::string enter, const std::string& function) {
  return {
      "kprobe",
      {{std::move(enter), Kind::kprobe, function}, {"kp_call_exit", Kind::kretprobe, function}}};
}

Route syscall(std::string enter, const std::string& call) {
  return {"tracepoint",
          {{std::move(enter), Kind::tracepoint, "syscalls/sys_enter_" + call},
           {"tp_call_exit", Kind::tracepoint, "syscalls/sys_exit_" + call}}};
}

Attachment btf_tracepoint(std::string program, std::string name) {
  return {std::move(program), Kind::btf_tracepoint, std::move(name)};
}

Route cgroup(std::vector<std::pair<std::string, std::string>> programs) {
  Route r{"cgroup", {}};
  for (auto& [program, type] : programs)
    r.attachments.push_back({std::move(program), Kind::cgroup, std::move(type)});
  return r;
}

const std::vector<HookSpec>& specs() {
  static const std::vector<HookSpec> all = {
      {"bind",
       {trampoline("fe_bind_enter", "fx_bind_exit", "__sys_bind"),
        kprobe("kp_bind_enter", "__sys_bind"), syscall("tp_bind_enter", "bind")},
       "binds and their failures are not seen; the table follows by walks"},
      {"listen",
       {trampoline("fe_listen_enter", "fx_listen_exit", "__sys_listen"),
        kprobe("kp_listen_enter", "__sys_listen"), syscall("tp_listen_enter", "listen")},
       "listens and their failures are not seen; the table follows by walks"},
      {"connect",
       {trampoline("fe_connect_enter", "fx_connect_exit", "__sys_connect"),
        kprobe("kp_connect_enter", "__sys_connect"), syscall("tp_connect_enter", "connect")},
       "ports taken by connect() are found by walks alone"},
      {"bind-in-kernel",
       {trampoline("fe_bind_socket_enter", "fx_bind_socket_exit", "__sys_bind_socket"),
        kprobe("kp_bind_socket_enter", "__sys_bind_socket"),
        cgroup({{"cg_post_bind4", "post_bind4"}, {"cg_post_bind6", "post_bind6"}})},
       "binds by io_uring are found by walks alone; refused ones are not seen"},
      {"listen-in-kernel",
       {trampoline("fe_listen_socket_enter", "fx_listen_socket_exit", "__sys_listen_socket"),
        kprobe("kp_listen_socket_enter", "__sys_listen_socket")},
       "listens by io_uring are found by walks alone; refused ones are not seen"},
      {"tcp-release",
       {{"trampoline", {fentry("fe_put_port", "inet_put_port")}},
        {"kprobe", {{"kp_put_port", Kind::kprobe, "inet_put_port"}}},
        {"tracepoint",
         {btf_tracepoint("tp_state", "inet_sock_set_state"),
          btf_tracepoint("tp_destroy", "tcp_destroy_sock")}}},
       "released TCP ports leave the table at the next walk"},
      {"udp-release",
       {{"trampoline", {fentry("fe_udp_unhash", "udp_lib_unhash")}},
        {"kprobe", {{"kp_udp_unhash", Kind::kprobe, "udp_lib_unhash"}}},
        cgroup({{"cg_sock_release", "sock_release"}})},
       "released UDP ports leave the table at the next walk"},
      {"stop-listening",
       {{"trampoline", {fentry("fe_listen_stop", "inet_csk_listen_stop")}},
        {"tracepoint", {btf_tracepoint("tp_state", "inet_sock_set_state")}}},
       "a listener that shuts down is shown as listening until the next walk",
       true},
      {"timewait-connect",
       {{"trampoline", {fentry("fx_twsk_unique", "tcp_twsk_unique")}},
        cgroup({{"cg_connecting", "sock_ops"}})},
       "connects that take over a TIME_WAIT socket are not told of"},
      {"timewait-syn",
       {{"trampoline",
         {fentry("fx_timewait_segment", "tcp_timewait_state_process"),
          fentry("fe_timewait_end", "inet_twsk_deschedule_put")}},
        {"kprobe",
         {{"kp_timewait_segment", Kind::kprobe, "tcp_timewait_state_process"},
          {"kp_timewait_answer", Kind::kretprobe, "tcp_timewait_state_process"},
          {"kp_timewait_end", Kind::kprobe, "inet_twsk_deschedule_put"}}}},
       "connections of a peer that take over a TIME_WAIT socket here are not told of"},
      {"linger-zero",
       {{"trampoline", {fentry("fe_tcp_close", "tcp_close")}},
        {"tracepoint", {btf_tracepoint("tp_state", "inet_sock_set_state")}}},
       "closes with SO_LINGER of 0 s are not counted",
       true},
      {"mark",
       {cgroup({{"cg_connect4", "connect4"},
                {"cg_connect6", "connect6"},
                {"cg_post_bind4", "post_bind4"},
                {"cg_post_bind6", "post_bind6"}})},
       "the end of every accepted connection costs a record"},
      {"reuseport-select",
       {{"trampoline", {fentry("fx_select", "reuseport_select_sock")}},
        {"kprobe", {{"kp_select_exit", Kind::kretprobe, "reuseport_select_sock"}}}},
       "how often the kernel chose a member of a reuseport group is not counted"},
      {"reuseport-accept",
       {{"trampoline", {fentry("fx_accept", "inet_csk_accept")}},
        {"tracepoint",
         {{"tp_accept_exit", Kind::tracepoint, "syscalls/sys_exit_accept"},
          {"tp_accept_exit", Kind::tracepoint, "syscalls/sys_exit_accept4"}}}},
       "connections that a member of a reuseport group accepts are not counted",
       true},
      {"reuseport-queue",
       {{"trampoline", {fentry("fx_hashdance", "inet_csk_complete_hashdance")}},
        {"kprobe", {{"kp_hashdance", Kind::kprobe, "inet_csk_complete_hashdance"}}},
        {"tracepoint", {btf_tracepoint("tp_data_ready", "sk_data_ready")}}},
       "connections queued for a member of a reuseport group and the peak of its queue are not "
       "counted"},
      // From 6.18 a datagram that __udp_enqueue_schedule_skb() took may be dropped by
      // another processor; what is there to be read is told by sk_data_ready alone.
      {"reuseport-datagrams",
       {{"tracepoint", {btf_tracepoint("tp_data_ready", "sk_data_ready")}},
        {"trampoline", {fentry("fx_udp_enqueue", "__udp_enqueue_schedule_skb")}},
        {"kprobe",
         {{"kp_udp_enqueue", Kind::kprobe, "__udp_enqueue_schedule_skb"},
          {"kp_udp_enqueue_exit", Kind::kretprobe, "__udp_enqueue_schedule_skb"}}}},
       "datagrams that a member of a reuseport group receives are not counted",
       true},
      {"reuseport-migrate",
       {{"trampoline", {fentry("fx_migrate", "reuseport_migrate_sock")}}},
       "connections that move to another member when one closes are not counted"},
  };
  return all;
}

// Trampolines and kprobes are tiers of their own; the tracepoint tier includes
// cgroup programs, which the others use as well where nothing else does the job.
bool in_tier(const Route& r, Tier tier) {
  if (r.name == "cgroup") return true;
  return r.name == to_string(tier);
}

std::string missing_target(const KernelFacts& f, const Attachment& a) {
  switch (a.kind) {
  case Kind::trampoline:
    if (f.trampolines.contains(a.target)) return {};
    return f.trampoline_refusal.empty() ? "no trampoline on " + a.target : f.trampoline_refusal;
  case Kind::kprobe:
  case Kind::kretprobe:
    if (f.kprobes.contains(a.target)) return {};
    return f.kprobe_refusal.empty() ? "no kprobe on " + a.target : f.kprobe_refusal;
  case Kind::tracepoint:
    return f.tracepoints.contains(a.target) ? "" : "no tracepoint " + a.target;
  case Kind::btf_tracepoint:
    return f.btf_tracepoints.contains(a.target) ? "" : "no tracepoint " + a.target;
  case Kind::cgroup:
    if (!f.cgroup_v2) return "no cgroup v2 hierarchy is mounted";
    return f.cgroup_programs ? "" : "the kernel refuses cgroup programs";
  }
  return "unknown attachment";
}

std::string why_not(const KernelFacts& f, const AttachWishes& w, const HookSpec& spec,
                    const Route& r) {
  const bool of_tracepoints = spec.any_tier && r.name == "tracepoint";
  if (w.force_tier && !in_tier(r, w.tier) && !of_tracepoints) return std::string(other_tier);
  const std::string name = std::string(spec.name) + "/" + std::string(r.name);
  if (w.disabled.contains(name)) return "switched off";
  if (const auto it = w.refused.find(name); it != w.refused.end()) return it->second;
  for (const Attachment& a : r.attachments)
    if (std::string why = missing_target(f, a); !why.empty()) return why;
  return {};
}

// What rules out every hook.
std::string_view nothing_works(const KernelFacts& f) {
  if (!f.btf) return "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)";
  return f.read_kernel ? "" : "the kernel does not let programs read its memory";
}

PlannedHook plan_hook(const KernelFacts& facts, const AttachWishes& wishes, const HookSpec& spec) {
  PlannedHook hook;
  hook.name = spec.name;
  if (wishes.disabled.contains(spec.name)) {
    hook.disabled = true;
    hook.reason = "switched off";
    hook.effect = spec.effect;
    return hook;
  }
  if (const std::string_view why = nothing_works(facts); !why.empty()) {
    hook.reason = why;
    hook.effect = spec.effect;
    return hook;
  }
  for (const Route& r : spec.routes) {
    const std::string why = why_not(facts, wishes, spec, r);
    if (why.empty()) {
      hook.attached = true;
      hook.route = r.name;
      hook.attachments = r.attachments;
      return hook;
    }
    hook.failed = hook.failed || wishes.refused.contains(hook.name + "/" + std::string(r.name));
    if (why == other_tier) continue;
    hook.reason += (hook.reason.empty() ? "" : "; ") + std::string(r.name) + ": " + why;
  }
  if (hook.reason.empty()) hook.reason = other_tier;
  hook.effect = spec.effect;
  return hook;
}

// What the calls themselves are observed by; the other hooks follow.
Tier best_tier(const AttachPlan& plan) {
  for (Tier t : {Tier::trampoline, Tier::kprobe})
    if (std::any_of(plan.hooks.begin(), plan.hooks.end(), [&](const PlannedHook& h) {
          const bool call = h.name == "bind" || h.name == "listen" || h.name == "connect";
          return call && h.route == to_string(t);
        }))
      return t;
  return Tier::tracepoint;
}

std::string tier_reason(const KernelFacts& f, const AttachWishes& w, Tier tier) {
  if (const std::string_view why = nothing_works(f); !why.empty()) return std::string(why);
  if (w.force_tier && tier == w.tier) return "asked for";
  if (w.force_tier) return std::string(to_string(w.tier)) + " was asked for and cannot be had";
  if (tier == Tier::trampoline) return {};
  const auto reason = [](const std::string& refusal) {
    return refusal.empty() ? std::string("switched off or refused, see the hooks") : refusal;
  };
  std::string why = "trampolines: " + reason(f.trampoline_refusal);
  if (tier == Tier::tracepoint) why += "; kprobes: " + reason(f.kprobe_refusal);
  return why;
}

} // namespace

std::string_view to_string(Tier t) {
  constexpr std::array<std::string_view, 3> names = {"trampoline", "kprobe", "tracepoint"};
  return names.at(static_cast<size_t>(t));
}

const PlannedHook* AttachPlan::find(std::string_view name) const {
  const auto it = std::find_if(hooks.begin(), hooks.end(),
                               [&](const PlannedHook& h) { return h.name == name; });
  return it == hooks.end() ? nullptr : &*it;
}

AttachPlan make_attach_plan(const KernelFacts& facts, const AttachWishes& wishes) {
  AttachPlan plan;
  for (const HookSpec& spec : specs())
    plan.hooks.push_back(plan_hook(facts, wishes, spec));
  plan.tier = best_tier(plan);
  plan.tier_reason = tier_reason(facts, wishes, plan.tier);
  plan.release_by_state = plan.find("tcp-release")->route == "tracepoint";
  plan.in_kernel_by_cgroup = plan.find("bind-in-kernel")->route == "cgroup";
  plan.stop_by_state = plan.find("stop-listening")->route == "tracepoint";
  plan.linger_by_state = plan.find("linger-zero")->route == "tracepoint";
  plan.children_unmarked = !plan.find("mark")->attached;
  plan.queued_is_counted = plan.find("reuseport-queue")->attached;
  plan.count_queued_ready = plan.find("reuseport-queue")->route == "tracepoint";
  plan.count_datagrams_ready = plan.find("reuseport-datagrams")->route == "tracepoint";
  return plan;
}

std::vector<std::string> hook_names() {
  std::vector<std::string> names;
  for (const HookSpec& spec : specs()) {
    names.emplace_back(spec.name);
    for (const Route& r : spec.routes)
      names.push_back(std::string(spec.name) + "/" + std::string(r.name));
  }
  return names;
}

std::vector<std::string> reading_names() {
  return {"walk", "direct-loads"};
}

AttachWishes without_hooks() {
  AttachWishes wishes;
  for (std::string& name : hook_names())
    wishes.disabled.insert(std::move(name));
  return wishes;
}

std::vector<Attachment> all_attachments() {
  std::vector<Attachment> all;
  for (const HookSpec& spec : specs())
    for (const Route& r : spec.routes)
      all.insert(all.end(), r.attachments.begin(), r.attachments.end());
  return all;
}

} // namespace bindlens::kernel
