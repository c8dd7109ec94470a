#include "report.h"

#include "programs.h"

#include <bindlens/rules/wording.h>

#include <algorithm>

namespace bindlens::audit {

using model::Blocker;
using model::Socket;

namespace {

constexpr size_t most_named = 3;

template <typename Name>
std::vector<std::string> each_once(const Sockets& sockets, Name name) {
  std::vector<std::string> out;
  for (const Socket* s : sockets)
    if (std::string text = name(*s); std::ranges::find(out, text) == out.end())
      out.push_back(std::move(text));
  return out;
}

} // namespace

std::string some_of(const std::vector<std::string>& parts) {
  if (parts.size() <= most_named) return rules::join(parts);
  std::vector<std::string> told(parts.begin(), parts.begin() + (most_named - 1));
  told.push_back(std::to_string(parts.size() - told.size()) + " more");
  return rules::join(told);
}

std::string place(const Socket& s) {
  return std::string(to_string(s.proto)) + " " + to_string(s.local);
}

std::string places(const Sockets& sockets) {
  return some_of(each_once(sockets, [](const Socket& s) { return to_string(s.local); }));
}

bool is_tcp(const model::Bucket& bucket) {
  return bucket.proto == model::Proto::tcp || bucket.proto == model::Proto::mptcp;
}

Sockets reachable(const model::Bucket& bucket) {
  const bool tcp = is_tcp(bucket);
  Sockets out;
  for (const Socket& s : bucket.sockets)
    if (tcp ? s.state == model::State::listen : s.peer.port == 0) out.push_back(&s);
  return out;
}

Report::Report(const Input& in) : in_(in) {
  for (const model::JudgedGroup& judged : in.groups)
    for (size_t i = 0; i < judged.group.members.size(); ++i)
      fates_[judged.group.members[i].socket.id] = {&judged, &judged.distribution.members[i]};
}

Report::Fate Report::fate(const Socket& s) const {
  const auto it = fates_.find(s.id);
  return it != fates_.end() ? it->second : Fate{};
}

const Blocker& Report::owner(const Socket& s) {
  auto [it, fresh] = owners_.try_emplace(&s);
  if (fresh) {
    it->second.socket = s;
    in_.resolve(it->second);
  }
  return it->second;
}

rules::Names Report::names(uint32_t netns) const {
  rules::Names names;
  names.user = in_.user;
  names.device = [this, netns](uint32_t index) { return device(netns, index); };
  return names;
}

std::string Report::who(const Socket& s) {
  return rules::who(owner(s), names(s.netns));
}

std::string Report::who(const Sockets& sockets) {
  return some_of(each_once(sockets, [this](const Socket& s) { return who(s); }));
}

std::string Report::user(uint32_t uid) const {
  const std::string name = in_.user ? in_.user(uid) : "";
  return name.empty() ? "uid " + std::to_string(uid) : "user " + name;
}

std::string Report::device(uint32_t netns, uint32_t index) const {
  const auto& interfaces = facts(netns).interfaces;
  if (!interfaces) return "";
  const auto it = std::ranges::find(*interfaces, index, &rules::Interface::index);
  return it != interfaces->end() ? it->name : "";
}

void Report::add(Words w, const Sockets& sockets) {
  const Socket& first = *sockets.front();
  model::Finding f;
  f.id = w.id;
  f.severity = w.severity;
  f.summary = std::move(w.summary);
  f.detail = std::move(w.detail);
  f.advice = std::move(w.advice);
  f.deliveries = std::move(w.deliveries);
  f.proto = first.proto;
  f.netns = first.netns;
  f.port = w.about.empty() ? first.local.port : uint16_t{0};
  for (const Socket* s : sockets)
    f.sockets.push_back(owner(*s));
  f.subject = w.about.empty() ? std::string(to_string(f.proto)) + " " + std::to_string(f.port)
                              : std::move(w.about);
  std::string_view separator = " ";
  for (const std::string& name : w.programs ? *w.programs : program_names(f.sockets)) {
    f.subject += separator;
    f.subject += name;
    separator = ",";
  }
  findings_.push_back(std::move(f));
}

} // namespace bindlens::audit
