#pragma once

#include <bindlens/model/decoder.h>
#include <bindlens/model/process.h>
#include <bindlens/util/clock.h>

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

namespace bindlens::kernel {

// "unit" and "container" as a cgroup path tells them: the innermost .service,
// .socket, .scope or .mount; the 64-digit id that docker, containerd, podman
// and CRI-O put into the path. Pure.
struct CgroupNames {
  std::string unit;
  std::string container;
};
[[nodiscard]] CgroupNames names_in_cgroup(std::string_view path);

// Facts about processes from /proc, each asked for once per process lifetime
// and program: the cache is keyed by pid, start time and command name, and
// bounded. Not for use by two threads.
class ProcessCache {
 public:
  explicit ProcessCache(size_t capacity = 16384) : capacity_(capacity) {}

  // Who made a call. Never null; members that could not be found out any more
  // (the process is gone) stay empty.
  [[nodiscard]] model::ProcessRef caller(const model::TaskInfo& task);
  // The process with this pid now; null when there is none.
  [[nodiscard]] model::ProcessRef current(uint32_t pid);
  // Still the same process?
  [[nodiscard]] static bool is_alive(const model::Process& p);

 private:
  struct Key {
    uint32_t pid;
    uint64_t start_time;
    std::string comm;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const;
  };
  using Entries = std::list<std::pair<Key, model::ProcessRef>>;

  model::ProcessRef remember(Key key, model::ProcessRef process);

  size_t capacity_;
  Entries entries_; // most recently used first
  std::unordered_map<Key, Entries::iterator, KeyHash> index_;
  // One process usually makes many calls in a row.
  Key last_key_{};
  model::ProcessRef last_;
};

// Name of a user, "" when it has none. Cached for a minute.
[[nodiscard]] std::string user_name(uint32_t uid);

} // namespace bindlens::kernel
