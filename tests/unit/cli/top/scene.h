#pragma once

// Things for the view to show, at 2026-03-01 03:11:07 UTC.

#include "../views.h"

#include "top/model.h"
#include "top/view.h"

namespace bindlens::test {

namespace top = cli::top;

inline constexpr protocol::WallNs second = 1'000'000'000;
inline constexpr protocol::WallNs now = 1'772'334'667 * second;
inline constexpr uint32_t here = 1; // the network namespace of who looks

inline top::Happening happening(top::Kind kind, protocol::WallNs time, uint32_t pid = 812,
                                std::string comm = "nginx") {
  top::Happening h;
  h.kind = kind;
  h.time = time;
  h.pid = pid;
  h.comm = std::move(comm);
  return h;
}

inline protocol::FailureView failure(uint16_t port, protocol::WallNs time = now,
                                     std::string comm = "nginx", uint32_t pid = 4121) {
  protocol::FailureView f;
  f.time = f.first_time = time;
  f.call = "bind";
  f.error = "EADDRINUSE";
  f.asked.proto = "tcp";
  f.asked.family = "inet";
  f.asked.addr = "0.0.0.0";
  f.asked.port = port;
  f.asked.netns = here;
  f.process = view_of(pid, std::move(comm));
  f.rule = "listener";
  f.explanation = "node[3340] listens on 127.0.0.1.";
  protocol::SocketView holder;
  holder.proto = "tcp";
  holder.family = "inet";
  holder.addr = "127.0.0.1";
  holder.port = port;
  holder.state = "LISTEN";
  holder.holders = {view_of(3340, "node", 19)};
  f.holders = {holder};
  f.advice = {"stop node[3340]"};
  return f;
}

inline top::Happening failing(const protocol::FailureView& f) {
  auto h = happening(top::Kind::fail, f.time, f.process->pid, f.process->comm);
  h.failure = std::make_shared<const protocol::FailureView>(f);
  return h;
}

inline protocol::FindingView finding(std::string id, std::string severity, uint16_t port) {
  protocol::FindingView f;
  f.id = std::move(id);
  f.severity = std::move(severity);
  f.summary = "nginx[812] takes what is sent to node[3340]";
  f.detail = "It will fail.";
  f.proto = "tcp";
  f.port = port;
  f.netns = here;
  f.key = f.id + " host tcp " + std::to_string(port);
  f.advice = {"bind one address"};
  return f;
}

inline protocol::GroupView group(uint16_t port, std::string verdict, double skew,
                                 std::vector<double> shares) {
  protocol::GroupView g;
  g.at.proto = "tcp";
  g.at.family = "inet";
  g.at.addr = "0.0.0.0";
  g.at.port = port;
  g.at.netns = here;
  g.kind = "listener";
  g.steering = "hash";
  g.verdict = std::move(verdict);
  g.skew = skew;
  uint32_t pid = 812;
  for (const double share : shares) {
    protocol::MemberView m;
    m.socket.proto = g.at.proto;
    m.socket.family = g.at.family;
    m.socket.addr = g.at.addr;
    m.socket.port = port;
    m.socket.holders = {view_of(pid++, "nginx", 6)};
    m.share = share;
    m.per_second = share * 1000;
    m.stalled = g.verdict == "stalled" && pid == 814;
    g.members.push_back(std::move(m));
  }
  return g;
}

inline top::Key key(top::Special special) {
  return {.special = special, .character = 0};
}
inline top::Key key(char32_t character) {
  return {.special = top::Special::none, .character = character};
}

inline std::string text_of(const top::Screen& screen) {
  std::string all;
  for (const top::Line& line : screen.lines)
    all += line.text() + "\n";
  return all;
}

} // namespace bindlens::test
