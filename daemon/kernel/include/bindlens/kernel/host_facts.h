#pragma once

#include <bindlens/rules/host_facts.h>
#include <bindlens/util/clock.h>
#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bindlens::kernel {

// Who binds. With both empty nothing is known about the caller.
struct CallerFacts {
  std::optional<uint32_t> pid; // as the daemon's /proc numbers it; a thread id will do
  std::optional<uint32_t> uid; // effective, in the daemon's user namespace; used without pid
};

// Reads one network namespace as one caller sees it. A fact that cannot be read
// stays empty; the call fails only when the namespace cannot be entered (EPERM
// without CAP_SYS_ADMIN).
//
// Capabilities are those that ns_capable() (kernel/capability.c) would find in
// the user namespace that owns the network namespace. For a caller known by uid
// alone they are assumed: all for root, none for others, unknown for others when
// the owner is a nested user namespace, in which they may be root.
//
// Routes stay empty when a table has more than about 10,000 of them: reading
// those would take longer than a failed bind is worth.
//
// Policies are cgroup BPF programs that run at a bind, except `own_programs`
// (ids of BPF programs), and the caller's confinement by SELinux or AppArmor.
// What Landlock, seccomp and BPF LSM programs refuse cannot be asked for. The
// programs are those of the caller's cgroup; the kernel takes the socket's, the
// cgroup in which it was made.
[[nodiscard]] Result<rules::HostFacts> read_host_facts(const Fd& netns, const CallerFacts& caller,
                                                       std::span<const uint32_t> own_programs = {});

// read_host_facts() for a storm of failures: what belongs to the namespace is
// read again only when it is older than `max_age`; what belongs to the caller is
// read each time. Not for use by two threads.
class HostFactsCache {
 public:
  explicit HostFactsCache(std::vector<uint32_t> own_programs = {}, MonoNs max_age = 1'000'000'000)
      : own_programs_(std::move(own_programs)), max_age_(max_age) {}

  [[nodiscard]] Result<rules::HostFacts> get(const Fd& netns, const CallerFacts& caller);

 private:
  struct Entry {
    rules::HostFacts facts; // without the caller's
    MonoNs read_at = 0;
  };

  std::vector<uint32_t> own_programs_;
  MonoNs max_age_;
  std::unordered_map<uint64_t, Entry> entries_; // by inode number of the namespace
};

// What the security modules say about a process.
struct SecurityLabels {
  bool selinux_enforcing = false; // /sys/fs/selinux/enforce
  std::string selinux;            // "system_u:system_r:httpd_t:s0"
  std::string apparmor;           // "/usr/sbin/nginx (enforce)", "unconfined"
};

// One clause per module that may refuse a bind of that process. Pure.
[[nodiscard]] std::vector<std::string> security_policies(const SecurityLabels& labels);

} // namespace bindlens::kernel
