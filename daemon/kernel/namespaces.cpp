#include <bindlens/kernel/namespaces.h>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/stat.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <thread>

namespace bindlens::kernel {

namespace {

namespace fs = std::filesystem;
constexpr MonoNs refresh_after = 1'000'000'000;
constexpr const char* named_dir = "/run/netns";

uint32_t inode_of(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? static_cast<uint32_t>(st.st_ino) : 0;
}

std::string ns_path(uint32_t pid) {
  return "/proc/" + std::to_string(pid) + "/ns/net";
}

std::optional<uint32_t> to_number(std::string_view text) {
  uint32_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return n;
}

// The first process in that namespace, as /proc lists them.
std::string path_through_process(uint32_t netns) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator("/proc", ec)) {
    const auto pid = to_number(entry.path().filename().string());
    if (pid && inode_of(ns_path(*pid)) == netns) return ns_path(*pid);
  }
  return {};
}

} // namespace

void Namespaces::refresh() {
  const MonoNs now = monotonic_now();
  if (refreshed_at_ != 0 && now - refreshed_at_ < refresh_after) return;
  refreshed_at_ = now;
  names_.clear();
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(named_dir, ec))
    names_[inode_of(entry.path().string())] = entry.path().filename().string();
  // Inside a container process 1 can be hidden; then our own is as near as it gets.
  const uint32_t first = inode_of(ns_path(1));
  names_[first != 0 ? first : inode_of("/proc/self/ns/net")] = "host";
}

std::string Namespaces::name(uint32_t netns) {
  refresh();
  const auto it = names_.find(netns);
  return it == names_.end() ? "" : it->second;
}

Result<uint32_t> Namespaces::of_process(uint32_t pid) {
  const uint32_t inode = inode_of(ns_path(pid));
  if (inode == 0) return fail_errno("namespace of process " + std::to_string(pid));
  return inode;
}

Result<uint32_t> Namespaces::resolve(std::string_view text) {
  refresh();
  for (const auto& [inode, name] : names_)
    if (name == text) return inode;
  if (const auto number = to_number(text)) {
    // Inode numbers of namespaces start at 0xF0000000 (PROC_DYNAMIC_FIRST), pids end far below.
    if (*number >= 0xF0000000u) return *number;
    if (const auto inode = of_process(*number)) return *inode;
    return fail("no process " + std::string(text) + ", so no network namespace of it");
  }
  std::string known;
  for (const auto& [inode, name] : names_)
    known += (known.empty() ? "" : ", ") + name;
  return fail("no network namespace is named \"" + std::string(text) + "\" (there are: " + known +
              "); an inode number or a pid will do as well");
}

std::string Namespaces::path_of(uint32_t netns, uint32_t likely_pid) {
  if (const auto it = names_.find(netns); it != names_.end() && it->second != "host")
    return std::string(named_dir) + "/" + it->second;
  if (inode_of("/proc/self/ns/net") == netns) return "/proc/self/ns/net";
  if (likely_pid != 0 && inode_of(ns_path(likely_pid)) == netns) return ns_path(likely_pid);
  if (const auto it = paths_.find(netns); it != paths_.end() && inode_of(it->second) == netns)
    return it->second;
  if (paths_.size() > 4096) paths_.clear();
  return paths_[netns] = path_through_process(netns);
}

Result<Fd> Namespaces::open(uint32_t netns, uint32_t likely_pid) {
  refresh();
  const std::string path = path_of(netns, likely_pid);
  if (path.empty()) return fail("no process is in network namespace " + std::to_string(netns));
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(path);
  return fd;
}

std::string interface_name(const Fd& netns, uint32_t index) {
  std::string name;
  // setns() changes the calling thread alone, so a thread is spent on it.
  std::thread([&] {
    std::array<char, IF_NAMESIZE> buffer{};
    if (::setns(netns.get(), CLONE_NEWNET) == 0 &&
        ::if_indextoname(index, buffer.data()) != nullptr)
      name = buffer.data();
  }).join();
  return name;
}

} // namespace bindlens::kernel
