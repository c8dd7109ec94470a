#include "programs.h"

#include <algorithm>

namespace bindlens::audit {

using model::Blocker;
using model::Process;
using model::ProcessRef;

namespace {

bool same_image(const Process& a, const Process& b) {
  return a.comm == b.comm && a.exe == b.exe;
}

bool in_one_place(const Process& a, const Process& b) {
  if (!a.container.empty() || !b.container.empty()) return a.container == b.container;
  return a.unit.ends_with(".service") && a.unit == b.unit;
}

bool are_family(const Process& a, const Process& b) {
  return (a.ppid != 0 && a.ppid == b.pid) || (b.ppid != 0 && b.ppid == a.pid);
}

bool same_program(const Process& a, const Process& b) {
  if (a.pid == b.pid) return true;
  return same_image(a, b) && (in_one_place(a, b) || are_family(a, b));
}

template <typename Same>
bool any_pair(const Blocker& a, const Blocker& b, Same same) {
  const auto of_a = processes_of(a);
  const auto of_b = processes_of(b);
  return std::ranges::any_of(of_a, [&](const ProcessRef& x) {
    return std::ranges::any_of(of_b, [&](const ProcessRef& y) { return same(*x, *y); });
  });
}

bool is_kernel(const Blocker& b) {
  return b.socket.is(model::SocketFlag::kernel);
}

template <typename Same>
bool differ(const Blocker& a, const Blocker& b, Same same) {
  if (is_kernel(a) || is_kernel(b))
    return is_kernel(a) != is_kernel(b) && !processes_of(is_kernel(a) ? b : a).empty();
  if (processes_of(a).empty() || processes_of(b).empty()) return false;
  return !any_pair(a, b, same);
}

} // namespace

std::vector<ProcessRef> processes_of(const Blocker& b) {
  std::vector<ProcessRef> all;
  for (const model::Holder& h : b.holders)
    all.push_back(h.process);
  const auto is_init = [](const ProcessRef& p) { return p->pid == 1; };
  if (!std::ranges::all_of(all, is_init)) std::erase_if(all, is_init);
  if (all.empty() && b.binder && !is_kernel(b)) all.push_back(b.binder);
  return all;
}

bool different_programs(const Blocker& a, const Blocker& b) {
  return differ(a, b, same_program);
}

bool unlike_programs(const Blocker& a, const Blocker& b) {
  return differ(
      a, b, [](const Process& x, const Process& y) { return x.pid == y.pid || x.comm == y.comm; });
}

bool is_login_user(uint32_t uid) {
  constexpr uint32_t first = 1000; // UID_MIN of login.defs(5)
  constexpr uint32_t last = 60000; // UID_MAX; beyond are dynamic users, nobody and user namespaces
  return uid >= first && uid <= last;
}

std::vector<std::string> program_names(const std::vector<Blocker>& sockets) {
  std::vector<std::string> names;
  for (const Blocker& b : sockets) {
    if (is_kernel(b)) names.emplace_back("kernel");
    for (const ProcessRef& p : processes_of(b))
      names.push_back(p->comm);
  }
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

} // namespace bindlens::audit
