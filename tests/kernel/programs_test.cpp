// Every program of each object passes this kernel's verifier.

#include <bindlens/kernel/kernel_facts.h>

#include "bindlens.skel.h"
#include "bindlens_direct.skel.h"
#include "bindlens_flat.skel.h"
#include "place.h"

#include <gtest/gtest.h>

#include <bpf/libbpf.h>

#include <cstdarg>
#include <map>
#include <memory>
#include <string>

namespace bindlens::test {
namespace {

using kernel::Attachment;
using kernel::KernelFacts;

std::string log_text;

int keep_log(libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  std::string text(1 << 20, '\0');
  const int n = std::vsnprintf(text.data(), text.size(), format, args);
  text.resize(std::min(text.size() - 1, static_cast<size_t>(std::max(n, 0))));
  log_text += text;
  return 0;
}

// Why this program cannot be had here; empty when it must load.
std::string why_not_here(const KernelFacts& f, const std::string& program) {
  if (program == "owners") return f.owner_iterator ? "" : "no iterator over tasks";
  std::string why;
  // One target that exists is enough: kp_call_exit has several.
  for (const Attachment& a : kernel::all_attachments()) {
    if (a.program != program) continue;
    switch (a.kind) {
    case Attachment::Kind::trampoline:
      if (f.trampolines.contains(a.target)) return "";
      why = f.trampoline_refusal.empty() ? "no function " + a.target : f.trampoline_refusal;
      break;
    case Attachment::Kind::kprobe:
    case Attachment::Kind::kretprobe:
      if (f.kprobes.contains(a.target)) return "";
      // A kprobe program loads without its function, unless there are no kprobes.
      if (f.kprobe_refusal.empty()) return "";
      why = "kprobes: " + f.kprobe_refusal;
      break;
    case Attachment::Kind::tracepoint:
      return "";
    case Attachment::Kind::btf_tracepoint:
      if (f.btf_tracepoints.contains(a.target)) return "";
      why = "no tracepoint " + a.target;
      break;
    case Attachment::Kind::cgroup:
      return f.cgroup_programs ? "" : "no cgroup programs";
    }
  }
  return why;
}

struct CloseObject {
  void operator()(bpf_object* o) const { ::bpf_object__close(o); }
};

// Loads them all, less those in `without`; the name of the program refused, or "".
std::string load(const void* bytes, size_t size,
                 const std::map<std::string, std::string>& without) {
  log_text.clear();
  const std::unique_ptr<bpf_object, CloseObject> object(
      ::bpf_object__open_mem(bytes, size, nullptr));
  if (!object) return "(the object)";
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) {
    ::bpf_program__set_autoload(program, !without.contains(::bpf_program__name(program)));
  }
  if (::bpf_object__load(object.get()) == 0) return "";
  const size_t end = log_text.find("': failed to load");
  const size_t start = log_text.rfind("prog '", end);
  if (end == std::string::npos || start == std::string::npos) return "(the object)";
  return log_text.substr(start + 6, end - start - 6);
}

void expect_all_load(const void* bytes, size_t size) {
  const KernelFacts facts = kernel::probe_kernel();
  ::libbpf_set_print(keep_log);
  std::map<std::string, std::string> without;
  size_t programs = 0;
  {
    const std::unique_ptr<bpf_object, CloseObject> object(
        ::bpf_object__open_mem(bytes, size, nullptr));
    ASSERT_TRUE(object);
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object.get()) {
      ++programs;
      const std::string name = ::bpf_program__name(program);
      if (std::string why = why_not_here(facts, name); !why.empty()) without[name] = why;
    }
  }
  for (const auto& [name, why] : without)
    std::printf("  not loaded: %s (%s)\n", name.c_str(), why.c_str());
  ASSERT_LT(without.size(), programs);
  for (;;) {
    const std::string refused = load(bytes, size, without);
    if (refused.empty()) return;
    const size_t tail = log_text.size() > 3000 ? log_text.size() - 3000 : 0;
    ADD_FAILURE() << refused << " was refused:\n" << log_text.substr(tail);
    if (!without.emplace(refused, "refused").second || refused == "(the object)") return;
  }
}

TEST(Programs, LoadWithLoopHelper) {
  if (!kernel::probe_kernel().loop_helper)
    GTEST_SKIP() << "not run here: this kernel has no bpf_loop()";
  size_t size = 0;
  const void* bytes = bindlens_bpf__elf_bytes(&size);
  expect_all_load(bytes, size);
}

TEST(Programs, LoadWithDirectLoads) {
  if (!kernel::probe_kernel().direct_loads)
    GTEST_SKIP() << "not run here: this kernel has no bpf_rdonly_cast()";
  size_t size = 0;
  const void* bytes = bindlens_direct_bpf__elf_bytes(&size);
  expect_all_load(bytes, size);
}

// The daemon takes this one where there is no other. Its loops are long work for a verifier.
TEST(Programs, LoadWithoutLoopHelper) {
  if (in_vm() && kernel::probe_kernel().loop_helper)
    GTEST_SKIP() << "not run here: takes minutes in emulation, and the daemon takes another object "
                    "on this kernel";
  size_t size = 0;
  const void* bytes = bindlens_flat_bpf__elf_bytes(&size);
  expect_all_load(bytes, size);
}

} // namespace
} // namespace bindlens::test
