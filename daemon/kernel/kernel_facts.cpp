#include <bindlens/kernel/kernel_facts.h>

#include <bindlens/util/fd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <mntent.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>
#include <span>

namespace bindlens::kernel {

namespace {

using Kind = Attachment::Kind;
using BtfPtr = std::unique_ptr<btf, decltype(&btf__free)>;

constexpr bpf_insn insn(uint8_t code, uint8_t dst, uint8_t src, int32_t imm) {
  bpf_insn i{};
  i.code = code;
  i.dst_reg = dst & 0xf;
  i.src_reg = src & 0xf;
  i.imm = imm;
  return i;
}

constexpr bpf_insn set(uint8_t reg, int value) {
  return insn(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, value);
}

constexpr bpf_insn leave = insn(BPF_JMP | BPF_EXIT, 0, 0, 0);

// 0, or the errno with which the kernel refused.
int try_load(bpf_prog_type type, bpf_attach_type attach, int btf_id, int ret_value = 0) {
  const std::array insns = {set(0, ret_value), leave};
  LIBBPF_OPTS(bpf_prog_load_opts, opts);
  opts.expected_attach_type = attach;
  opts.attach_btf_id = static_cast<__u32>(btf_id);
  const int fd = ::bpf_prog_load(type, "probe", "Dual BSD/GPL", insns.data(), insns.size(), &opts);
  if (fd < 0) return -fd;
  ::close(fd);
  return 0;
}

bool loads(std::span<const bpf_insn> program) {
  const Fd fd(::bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "probe", "Dual BSD/GPL", program.data(),
                              program.size(), nullptr));
  return static_cast<bool>(fd);
}

// probe_read_kernel(fp - 8, 8, 0): refused under lockdown.
bool may_read_kernel() {
  const std::array program = {insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 10, 0),
                              insn(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, -8),
                              set(2, 8),
                              set(3, 0),
                              insn(BPF_JMP | BPF_CALL, 0, 0, BPF_FUNC_probe_read_kernel),
                              set(0, 0),
                              leave};
  return loads(program);
}

// bpf_rdonly_cast(0, type of struct sock)
bool may_load_directly(const btf* kernel_btf) {
  const int cast = btf__find_by_name_kind(kernel_btf, "bpf_rdonly_cast", BTF_KIND_FUNC);
  const int type = btf__find_by_name_kind(kernel_btf, "sock", BTF_KIND_STRUCT);
  if (cast <= 0 || type <= 0) return false;
  const std::array program = {set(1, 0), set(2, type),
                              insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, cast), set(0, 0),
                              leave};
  return loads(program);
}

Fd private_tracefs() {
  Fd context(static_cast<int>(::syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC)));
  if (!context) return {};
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return {};
  return Fd(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
}

long read_number(int dir, const std::string& path) {
  Fd file(::openat(dir, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return -1;
  std::array<char, 32> text{};
  const ssize_t n = ::read(file.get(), text.data(), text.size());
  long value = -1;
  if (n > 0) std::from_chars(text.data(), text.data() + n, value);
  return value;
}

long kprobe_pmu() {
  return read_number(AT_FDCWD, "/sys/bus/event_source/devices/kprobe/type");
}

bool try_kprobe(long pmu, const std::string& function) {
  perf_event_attr attr{};
  attr.size = sizeof attr;
  attr.type = static_cast<__u32>(pmu);
  attr.kprobe_func = reinterpret_cast<uintptr_t>(function.c_str());
  const Fd fd(
      static_cast<int>(::syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
  return static_cast<bool>(fd);
}

std::string refusal_of(int code) {
  if (code == EPERM) return "refused by the kernel";
  return std::string("the kernel says: ") + std::strerror(code);
}

void probe_trampoline(KernelFacts& facts, const btf* kernel_btf, const std::string& function) {
  const int id = btf__find_by_name_kind(kernel_btf, function.c_str(), BTF_KIND_FUNC);
  if (id <= 0) return;
  const int code = try_load(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, id);
  if (code == 0) facts.trampolines.insert(function);
  if (code != 0 && facts.trampoline_refusal.empty()) facts.trampoline_refusal = refusal_of(code);
}

void probe_btf_tracepoint(KernelFacts& facts, const btf* kernel_btf, const std::string& name) {
  const int id =
      btf__find_by_name_kind(kernel_btf, ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF);
  if (id > 0 && try_load(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, id) == 0)
    facts.btf_tracepoints.insert(name);
}

void probe_attachment(KernelFacts& facts, const btf* kernel_btf, long pmu, const Attachment& a) {
  switch (a.kind) {
  case Kind::trampoline:
    return probe_trampoline(facts, kernel_btf, a.target);
  case Kind::kprobe:
  case Kind::kretprobe:
    if (pmu >= 0 && try_kprobe(pmu, a.target)) facts.kprobes.insert(a.target);
    return;
  case Kind::tracepoint:
    if (tracepoint_id(a.target) >= 0) facts.tracepoints.insert(a.target);
    return;
  case Kind::btf_tracepoint:
    return probe_btf_tracepoint(facts, kernel_btf, a.target);
  case Kind::cgroup:
    return;
  }
}

} // namespace

std::string cgroup2_mount() {
  std::unique_ptr<FILE, int (*)(FILE*)> mounts(::setmntent("/proc/self/mounts", "r"), &::endmntent);
  if (!mounts) return {};
  while (const mntent* m = ::getmntent(mounts.get()))
    if (std::strcmp(m->mnt_type, "cgroup2") == 0) return m->mnt_dir;
  return {};
}

long tracepoint_id(const std::string& name) {
  static const Fd tracefs = private_tracefs();
  if (tracefs) return read_number(tracefs.get(), "events/" + name + "/id");
  return read_number(AT_FDCWD, "/sys/kernel/tracing/events/" + name + "/id");
}

KernelFacts probe_kernel() {
  KernelFacts facts;
  const BtfPtr kernel_btf(btf__load_vmlinux_btf(), &btf__free);
  facts.btf = kernel_btf != nullptr;
  facts.read_kernel = facts.btf && may_read_kernel();
  facts.cgroup_v2 = !cgroup2_mount().empty();
  facts.cgroup_programs =
      try_load(BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE, 0, 1) == 0 &&
      try_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, 0, 1) == 0;
  facts.loop_helper =
      ::libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_loop, nullptr) == 1;
  if (!facts.btf) return facts;
  facts.direct_loads = may_load_directly(kernel_btf.get());
  const long pmu = kprobe_pmu();
  if (pmu < 0) facts.kprobe_refusal = "not built into the kernel";
  for (const Attachment& a : all_attachments())
    probe_attachment(facts, kernel_btf.get(), pmu, a);
  if (facts.trampolines.empty() && facts.trampoline_refusal.empty())
    facts.trampoline_refusal = "none of the functions can be traced";
  if (!facts.trampolines.empty()) facts.trampoline_refusal.clear();
  facts.owner_iterator =
      btf__find_by_name_kind(kernel_btf.get(), "bpf_iter_task", BTF_KIND_FUNC) > 0;
  return facts;
}

} // namespace bindlens::kernel
