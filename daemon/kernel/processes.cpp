#include <bindlens/kernel/processes.h>

#include <bindlens/util/fd.h>

#include <fcntl.h>
#include <pwd.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

namespace bindlens::kernel {

namespace {

std::string proc_path(uint32_t pid, std::string_view file) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(file);
}

std::string read_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t n = 0; fd && (n = ::read(fd.get(), buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<size_t>(n));
  return text;
}

std::string read_link(const std::string& path) {
  std::array<char, 4096> target{};
  const ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
  return n > 0 ? std::string(target.data(), static_cast<size_t>(n)) : "";
}

std::string_view line_with(std::string_view text, std::string_view prefix) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.starts_with(prefix)) return line.substr(prefix.size());
    at = end + 1;
  }
  return {};
}

uint64_t number_in(std::string_view text, size_t field) {
  uint64_t value = 0;
  for (size_t at = 0; at < text.size();) {
    at = text.find_first_not_of(" \t", at);
    if (at == std::string_view::npos) return 0;
    const size_t end = std::min(text.find_first_of(" \t\n", at), text.size());
    if (field-- == 0) {
      std::from_chars(text.data() + at, text.data() + end, value);
      return value;
    }
    at = end;
  }
  return 0;
}

// Fields of /proc/PID/stat after the command name, which may contain anything.
struct Stat {
  std::string comm;
  uint32_t ppid = 0;
  uint64_t start_time = 0; // ns since boot, to the clock tick
};

std::optional<Stat> read_stat(uint32_t pid) {
  const std::string text = read_file(proc_path(pid, "stat"));
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  const std::string_view rest = std::string_view(text).substr(close + 1);
  static const auto ticks = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  Stat s;
  s.comm = text.substr(open + 1, close - open - 1);
  s.ppid = static_cast<uint32_t>(number_in(rest, 1));
  s.start_time = number_in(rest, 19) * (1'000'000'000 / ticks);
  return s;
}

// The v2 path, or systemd's own hierarchy where v2 carries no names.
std::string read_cgroup(uint32_t pid) {
  const std::string text = read_file(proc_path(pid, "cgroup"));
  std::string_view path = line_with(text, "0::");
  if (path.empty() || path == "/")
    for (size_t at = text.find(":name=systemd:"); at != std::string::npos; at = std::string::npos)
      path = std::string_view(text).substr(at + 14, text.find('\n', at) - at - 14);
  return std::string(path);
}

bool is_container_id(std::string_view s) {
  return s.size() == 64 && s.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// "docker-<id>.scope", "cri-containerd-<id>.scope", "….slice:cri-containerd:<id>",
// "<id>"; not the monitor beside a container, "libpod-conmon-<id>.scope".
std::string_view container_in(std::string_view component) {
  if (component.find("conmon-") != std::string_view::npos) return {};
  if (component.ends_with(".scope")) component.remove_suffix(6);
  const size_t mark = component.find_last_of("-:");
  if (mark != std::string_view::npos) component.remove_prefix(mark + 1);
  return is_container_id(component) ? component : std::string_view{};
}

bool is_unit(std::string_view component) {
  constexpr std::array<std::string_view, 4> suffixes = {".service", ".socket", ".scope", ".mount"};
  return std::any_of(suffixes.begin(), suffixes.end(),
                     [&](std::string_view s) { return component.ends_with(s); });
}

void fill_from_proc(model::Process& p) {
  p.exe = read_link(proc_path(p.pid, "exe"));
  p.cgroup = read_cgroup(p.pid);
  CgroupNames names = names_in_cgroup(p.cgroup);
  p.unit = std::move(names.unit);
  p.container = std::move(names.container);
}

} // namespace

CgroupNames names_in_cgroup(std::string_view path) {
  CgroupNames names;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view component = path.substr(at, end - at);
    if (const auto id = container_in(component); !id.empty()) names.container = id;
    if (is_unit(component)) names.unit = component;
    at = end + 1;
  }
  return names;
}

size_t ProcessCache::KeyHash::operator()(const Key& k) const {
  return std::hash<uint64_t>()(k.start_time * 31 + k.pid) ^ std::hash<std::string>()(k.comm);
}

model::ProcessRef ProcessCache::remember(Key key, model::ProcessRef process) {
  entries_.emplace_front(key, process);
  index_[std::move(key)] = entries_.begin();
  if (entries_.size() > capacity_) {
    index_.erase(entries_.back().first);
    entries_.pop_back();
  }
  return process;
}

model::ProcessRef ProcessCache::caller(const model::TaskInfo& task) {
  if (last_ && last_key_.pid == task.pid && last_key_.start_time == task.start_time &&
      last_key_.comm == task.comm && last_->uid == task.uid)
    return last_;
  Key key{task.pid, task.start_time, task.comm};
  last_key_ = key;
  if (const auto it = index_.find(key); it != index_.end() && it->second->second->uid == task.uid) {
    entries_.splice(entries_.begin(), entries_, it->second);
    return last_ = it->second->second;
  }
  auto p = std::make_shared<model::Process>();
  p->pid = task.pid;
  p->start_time = task.start_time;
  p->comm = task.comm;
  p->uid = task.uid;
  p->user = user_name(task.uid);
  // Only the process that made the call may lend its facts: a reused pid must not.
  if (const auto stat = read_stat(task.pid); stat && is_alive(*p)) {
    p->ppid = stat->ppid;
    fill_from_proc(*p);
  }
  return last_ = remember(std::move(key), std::move(p));
}

model::ProcessRef ProcessCache::current(uint32_t pid) {
  const auto stat = read_stat(pid);
  if (!stat) return nullptr;
  Key key{pid, stat->start_time, stat->comm};
  if (const auto it = index_.find(key); it != index_.end()) return it->second->second;
  auto p = std::make_shared<model::Process>();
  p->pid = pid;
  p->start_time = stat->start_time;
  p->comm = stat->comm;
  p->ppid = stat->ppid;
  const std::string status = read_file(proc_path(pid, "status"));
  p->uid = static_cast<uint32_t>(number_in(line_with(status, "Uid:"), 1)); // effective
  p->user = user_name(p->uid);
  fill_from_proc(*p);
  return remember(std::move(key), std::move(p));
}

bool ProcessCache::is_alive(const model::Process& p) {
  const auto stat = read_stat(p.pid);
  if (!stat) return false;
  // /proc rounds down to clock ticks; events carry nanoseconds.
  const uint64_t tick = 1'000'000'000 / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return p.start_time == 0 || stat->start_time / tick == p.start_time / tick;
}

std::string user_name(uint32_t uid) {
  struct Cached {
    std::string name;
    MonoNs at;
  };
  thread_local std::unordered_map<uint32_t, Cached> cache;
  constexpr MonoNs minute = 60'000'000'000;
  const MonoNs now = monotonic_now();
  if (const auto it = cache.find(uid); it != cache.end() && now - it->second.at < minute)
    return it->second.name;
  if (cache.size() > 4096) cache.clear();
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  std::string name = found != nullptr ? found->pw_name : "";
  cache[uid] = {name, now};
  return name;
}

} // namespace bindlens::kernel
