#include <bindlens/rules/wording.h>

#include "kernel_view.h"
#include "unowned.h"

#include <algorithm>
#include <set>

namespace bindlens::rules {

using model::Blocker;
using model::SocketFlag;

std::string process_name(const model::Process& p) {
  const std::string pid = std::to_string(p.pid);
  return p.comm.empty() ? "process " + pid : p.comm + "[" + pid + "]";
}

std::string binder_name(const Blocker& b) {
  return process_name(*b.binder) + (b.binder_exited ? ", which has exited" : "");
}

std::string processes_of(const Blocker& b) {
  std::vector<const model::Process*> seen;
  for (const model::Holder& h : b.holders)
    if (std::ranges::find(seen, h.process->pid, &model::Process::pid) == seen.end())
      seen.push_back(h.process.get());
  const bool binder_has_it = b.binder && !b.binder_exited && takes_options(b.socket);
  if (seen.empty()) return binder_has_it ? process_name(*b.binder) : "";
  std::string out = process_name(*seen.front());
  if (seen.size() == 2) return out + " and " + process_name(*seen[1]);
  if (seen.size() > 2) out += " and " + std::to_string(seen.size() - 1) + " more processes";
  return out;
}

namespace {

std::string place_of(const Blocker& b) {
  const model::Process* p = !b.holders.empty() ? b.holders.front().process.get() : b.binder.get();
  if (p == nullptr) return "";
  if (!p->container.empty()) return " (container " + p->container.substr(0, 12) + ")";
  if (!p->unit.empty()) return " (" + p->unit + ")";
  return "";
}

} // namespace

std::string who(const Blocker& b, const Names& names) {
  if (std::string p = processes_of(b); !p.empty()) return p + place_of(b);
  const model::Socket& s = b.socket;
  if (in_time_wait(s)) return "a TIME_WAIT socket";
  switch (unowned(s)) {
  case Unowned::kernel:
    return "the kernel itself";
  case Unowned::closed:
    return closed_connection(b, names);
  case Unowned::queued:
    return "a connection that no process has accepted yet";
  case Unowned::no:
    break;
  }
  if (b.binder && b.binder_exited) return binder_name(b) + ",";
  return "a process of user " + user_name(s.uid, names);
}

std::string user_name(uint32_t uid, const Names& names) {
  std::string name = names.user ? names.user(uid) : "";
  return name.empty() ? "uid " + std::to_string(uid) : name;
}

std::string device_name(uint32_t dev, const Names& names) {
  std::string name = names.device ? names.device(dev) : "";
  return name.empty() ? "interface " + std::to_string(dev) : name;
}

std::string netns_suffix(uint32_t netns, const Names& names) {
  const std::string name = names.netns ? names.netns(netns) : "";
  return name.empty() ? "" : " in network namespace " + name;
}

std::string count_of(size_t n, std::string_view singular) {
  return std::to_string(n) + " " + std::string(singular) + (n == 1 ? "" : "s");
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) out += i + 1 == parts.size() ? " and " : ", ";
    out += parts[i];
  }
  return out;
}

std::string capitalized(std::string text) {
  // The name of a process, "node[3340]", stays as it is.
  if (text.substr(0, text.find(' ')).find('[') != std::string::npos) return text;
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z')
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string end_of(const model::Socket& s) {
  return to_string(s.local);
}

uint32_t seconds_left(const model::Socket& s) {
  constexpr uint32_t full_length = 60; // TCP_TIMEWAIT_LEN
  return s.tw_left_ms == 0 ? full_length : (s.tw_left_ms + 999) / 1000;
}

} // namespace bindlens::rules
