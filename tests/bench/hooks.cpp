#include "hooks.h"

#include "process.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <unistd.h>

namespace bindlens::bench {

size_t loaded_bind_hooks() {
  constexpr std::array<std::string_view, 3> entries{"tp_bind_enter", "kp_bind_enter",
                                                    "fe_bind_enter"};
  size_t count = 0;
  __u32 id = 0;
  while (::bpf_prog_get_next_id(id, &id) == 0) {
    const Fd program(::bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (!program || ::bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) continue;
    if (std::find(entries.begin(), entries.end(), std::string_view(info.name)) != entries.end())
      ++count;
  }
  return count;
}

bool wait_for_bind_hooks(size_t count, double seconds) {
  const double end = now_seconds() + seconds;
  while (loaded_bind_hooks() != count) {
    if (now_seconds() > end) return false;
    ::usleep(20'000);
  }
  return true;
}

} // namespace bindlens::bench
