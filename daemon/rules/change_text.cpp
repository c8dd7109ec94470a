#include "change_text.h"

#include <bindlens/rules/wording.h>

#include "kernel_view.h"
#include "unowned.h"

#include <algorithm>

namespace bindlens::rules {

using model::Blocker;
using model::SocketFlag;

namespace {

void add_once(std::vector<std::string>& list, std::string text) {
  if (std::ranges::find(list, text) == list.end()) list.push_back(std::move(text));
}

std::string shortened(std::vector<std::string> list) {
  constexpr size_t most = 3;
  if (list.size() > most) {
    const size_t more = list.size() - most;
    list.resize(most);
    list.push_back(std::to_string(more) + " more");
  }
  return join(list);
}

std::string owner_of(const Blocker& b, const Names& names) {
  if (const std::string processes = processes_of(b); !processes.empty()) return processes;
  return b.binder_exited ? process_name(*b.binder) + " (exited)" : who(b, names);
}

// The owners of the sockets whose options could be changed.
std::string owners_of(std::span<const Blocker> blockers, const Names& names) {
  std::vector<std::string> owners;
  for (const Blocker& b : blockers)
    if (takes_options(b.socket)) add_once(owners, owner_of(b, names));
  return shortened(std::move(owners));
}

std::string stop_one(const model::Process& p) {
  if (p.pid == 1)
    return "the .socket unit that systemd[1] keeps open (systemctl list-sockets names it)";
  if (!p.container.empty())
    return "container " + p.container.substr(0, 12) + " (" + process_name(p) + ")";
  if (p.unit.ends_with(".service")) return p.unit + " (" + process_name(p) + ")";
  return process_name(p);
}

bool has(const Change& c, Step s) {
  return std::ranges::find(c.steps, s) != c.steps.end();
}

// An option on either side, or on both, in one phrase.
void option_phrase(std::vector<std::string>& out, std::string_view option, bool here, bool there,
                   std::string_view owners) {
  if (!here && !there) return;
  std::string text = "set " + std::string(option) + " on ";
  if (here) text += "this socket before bind";
  if (here && there) text += " and on ";
  if (there) text += "the socket of " + std::string(owners);
  out.push_back(text);
}

bool has_listener(std::span<const Blocker> blockers) {
  return std::ranges::any_of(
      blockers, [](const Blocker& b) { return b.socket.state == model::State::listen; });
}

// What makes one blocker go away: a process to stop, or something else to do.
void add_end(const Blocker& b, std::span<const Blocker> all, std::vector<std::string>& stop,
             std::vector<std::string>& other) {
  if (in_time_wait(b.socket)) return;
  switch (unowned(b.socket)) {
  case Unowned::kernel:
    return add_once(other, remove_from_kernel_text(b.socket));
  case Unowned::queued: // goes with its listener
    if (!has_listener(all))
      add_once(other, "stop the listener whose queue the connections wait in");
    return;
  case Unowned::closed:
    return;
  case Unowned::no:
    break;
  }
  for (const model::Holder& h : b.holders)
    add_once(stop, stop_one(*h.process));
  if (!b.holders.empty()) return;
  if (b.binder && !b.binder_exited)
    add_once(stop, stop_one(*b.binder));
  else
    add_once(other, "close the socket that holds " + end_of(b.socket));
}

} // namespace

std::string stop_text(std::span<const Blocker> blockers) {
  std::vector<std::string> stop, other;
  for (const Blocker& b : blockers)
    add_end(b, blockers, stop, other);
  if (!stop.empty()) other.insert(other.begin(), "stop " + shortened(std::move(stop)));
  return join(other);
}

uint32_t wait_for(const Change& c, std::span<const Blocker> blockers) {
  if (!has(c, Step::wait)) return 0;
  const bool closes = has(c, Step::close_holders);
  uint32_t longest = 0;
  for (const Blocker& b : blockers) {
    if (in_time_wait(b.socket)) longest = std::max(longest, seconds_left(b.socket));
    // A connection that this side closes first waits in full.
    else if (closes && unowned(b.socket) != Unowned::closed &&
             unowned(b.socket) != Unowned::queued && b.socket.state != model::State::listen)
      longest = std::max(longest, 60u);
  }
  return longest;
}

std::string change_text(const Change& c, std::span<const Blocker> blockers, const HostFacts& facts,
                        const Names& names) {
  std::vector<std::string> out;
  const std::string owners = owners_of(blockers, names);
  option_phrase(out, "SO_REUSEADDR", has(c, Step::set_reuseaddr), has(c, Step::holders_reuseaddr),
                owners);
  option_phrase(out, "SO_REUSEPORT", has(c, Step::set_reuseport), has(c, Step::holders_reuseport),
                owners);
  for (Step s : c.steps) {
    switch (s) {
    case Step::set_v6only:
      out.emplace_back("set IPV6_V6ONLY on this socket before bind");
      break;
    case Step::set_freebind:
      out.emplace_back("set IP_FREEBIND on this socket before bind");
      break;
    case Step::same_user:
      out.push_back("make this socket as user " + user_name(c.request.uid, names));
      break;
    case Step::close_holders:
      out.push_back(stop_text(blockers));
      break;
    case Step::wait_for_closed:
      out.push_back(wait_for_closed_text(blockers, facts));
      break;
    case Step::wait:
      out.push_back("wait " + std::to_string(c.wait_s) + " s until TIME_WAIT is over");
      break;
    case Step::other_address:
      out.push_back("bind " + to_string(c.request.local) + " instead");
      break;
    case Step::capability:
      out.emplace_back("give the program CAP_NET_BIND_SERVICE (AmbientCapabilities= of its unit, "
                       "or setcap)");
      break;
    case Step::unprivileged_port:
      out.push_back("use a port from " + std::to_string(c.request.local.port) + " up");
      break;
    case Step::set_reuseaddr:
    case Step::set_reuseport:
    case Step::holders_reuseaddr:
    case Step::holders_reuseport:
      break; // said above, both sides together
    }
  }
  return join(out);
}

} // namespace bindlens::rules
