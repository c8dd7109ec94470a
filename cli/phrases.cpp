#include "phrases.h"

#include "text.h"

#include <sys/stat.h>

namespace bindlens::cli {

using protocol::ProcessView;
using protocol::SocketView;

std::string proto_text(const SocketView& s) {
  return s.proto + (s.family == "inet6" ? "6" : "");
}

std::string address_text(const SocketView& s) {
  const std::string port = ":" + std::to_string(s.port);
  return s.family == "inet6" ? "[" + s.addr + "]" + port : s.addr + port;
}

std::string socket_text(const SocketView& s) {
  std::string text = proto_text(s) + " " + address_text(s);
  if (!s.peer.empty()) text += " to " + s.peer;
  return text;
}

std::vector<std::string> flag_texts(const SocketView& s) {
  std::vector<std::string> flags;
  if (s.reuseaddr) flags.emplace_back("reuseaddr");
  if (s.reuseport) flags.emplace_back("reuseport");
  if (s.v6only.value_or(false)) flags.emplace_back("v6only");
  if (s.linger) flags.push_back("linger=" + std::to_string(*s.linger));
  if (!s.dev.empty()) flags.push_back("dev=" + plain(s.dev));
  return flags;
}

std::string process_text(const ProcessView& p) {
  return (p.comm.empty() ? "pid" : plain(p.comm)) + "[" + std::to_string(p.pid) + "]";
}

const ProcessView* first_owner(const SocketView& s) {
  if (s.holders && !s.holders->empty()) return &s.holders->front();
  return s.binder ? &*s.binder : nullptr;
}

std::string owner_text(const SocketView& s) {
  if (s.kernel) return "kernel";
  if (s.state == "TIME_WAIT") return "-";
  if (s.holders && !s.holders->empty()) {
    const ProcessView& p = s.holders->front();
    std::string text = process_text(p);
    if (p.fd) text += " fd " + std::to_string(*p.fd);
    if (s.holders->size() > 1) text += " +" + std::to_string(s.holders->size() - 1);
    return text;
  }
  if (s.orphan) return "none";
  // Not listed in time: who bound it is still the best guess, and shown as such.
  return s.binder ? "by " + process_text(*s.binder) : "unknown";
}

std::string place_text(const ProcessView& p) {
  constexpr size_t short_id = 12;
  if (!p.container.empty()) return plain(p.container.substr(0, short_id));
  return plain(p.unit);
}

std::string user_text(const ProcessView& p) {
  if (!p.user.empty()) return plain(p.user);
  return p.uid ? "uid " + std::to_string(*p.uid) : "";
}

std::string netns_text(const SocketView& s) {
  return s.netns_name.empty() ? std::to_string(s.netns) : plain(s.netns_name);
}

uint32_t own_netns() {
  struct stat st {};
  return ::stat("/proc/self/ns/net", &st) == 0 ? static_cast<uint32_t>(st.st_ino) : 0;
}

std::string reuse_text(const std::string& kind, uint64_t sockets) {
  const std::string over =
      sockets == 1 ? "a TIME_WAIT socket" : thousands(sockets) + " TIME_WAIT sockets";
  if (kind == "syn") return "new SYN revived " + over;
  if (kind == "connect") return "connect took over " + over;
  return plain(kind) + " over " + over;
}

std::string bucket_text(const protocol::BucketView& b) {
  std::string text = "open to ";
  if (b.open_to == "connect")
    text += "connect only";
  else if (b.open_to == "reuseaddr")
    text += "bind with SO_REUSEADDR";
  else if (b.open_to == "reuseport")
    text += "bind with SO_REUSEPORT of " +
            (b.open_uid ? "uid " + std::to_string(*b.open_uid) : std::string("any user"));
  else
    text += "nobody";
  return b.because.empty() ? text : text + ": " + plain(b.because);
}

} // namespace bindlens::cli
