#pragma once

#include <bindlens/util/clock.h>
#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace bindlens::kernel {

// Network namespaces: inode number to name and back. Names are those of
// /run/netns (ip-netns(8)); "host" is that of process 1.
class Namespaces {
 public:
  // "" when it has no name.
  [[nodiscard]] std::string name(uint32_t netns);
  // Inode number, name, or pid. The error says what there is.
  [[nodiscard]] Result<uint32_t> resolve(std::string_view text);
  // Of a process; fails when there is no such process or no permission.
  [[nodiscard]] static Result<uint32_t> of_process(uint32_t pid);
  // A descriptor of the namespace, by name or through any process in it. A
  // process that is likely in it spares a look at all of them.
  [[nodiscard]] Result<Fd> open(uint32_t netns, uint32_t likely_pid = 0);

 private:
  void refresh();

  [[nodiscard]] std::string path_of(uint32_t netns, uint32_t likely_pid);

  std::unordered_map<uint32_t, std::string> names_;
  std::unordered_map<uint32_t, std::string> paths_; // through a process, found lately
  MonoNs refreshed_at_ = 0;
};

// Interface name inside a namespace; "" when it cannot be found out.
[[nodiscard]] std::string interface_name(const Fd& netns, uint32_t index);

} // namespace bindlens::kernel
