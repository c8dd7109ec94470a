// A failing sequence as a C program that stands alone.

#include "runner.h"

#include <cerrno>
#include <cstring>
#include <sstream>

namespace differential {

namespace {

constexpr const char* preamble =
    R"(/* Run as root: unshare -n sh -c 'ip link set lo up; ip addr add 10.9.0.1/32 dev lo; ./program' */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <unistd.h>

static int s[14];
static void say(const char* what, int failed) {
  printf("%-50s %s\n", what, failed ? strerror(errno) : "ok");
}
static void make(int slot, int family, int type, int protocol, int user) {
  if (s[slot] > 0) close(s[slot]);
  setfsuid(user);
  s[slot] = socket(family, type | SOCK_NONBLOCK, protocol);
  setfsuid(0);
}
static void set(int slot, int level, int name, int value) {
  setsockopt(s[slot], level, name, &value, sizeof value);
}
static void at(int slot, const char* text, int port, int scope, const char* what) {
  struct sockaddr_storage a = {0};
  struct sockaddr_in* in = (void*)&a;
  struct sockaddr_in6* in6 = (void*)&a;
  if (strchr(text, ':')) {
    in6->sin6_family = AF_INET6, in6->sin6_port = htons(port), in6->sin6_scope_id = scope;
    inet_pton(AF_INET6, text, &in6->sin6_addr);
  } else {
    in->sin_family = AF_INET, in->sin_port = htons(port);
    inet_pton(AF_INET, text, &in->sin_addr);
  }
  say(what, bind(s[slot], (void*)&a, sizeof a));
}
static void to(int slot, int peer) {
  struct sockaddr_storage a = {0};
  struct sockaddr_in* in = (void*)&a;
  struct sockaddr_in6* in6 = (void*)&a;
  socklen_t n = sizeof a;
  getsockname(s[peer], (void*)&a, &n);
  if (a.ss_family == AF_INET && !in->sin_addr.s_addr) in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (a.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr)) in6->sin6_addr = in6addr_loopback;
  say("connect", connect(s[slot], (void*)&a, n) && errno != EINPROGRESS);
}
static void gone(int slot, int reset) {
  struct linger now = {1, 0};
  if (reset) setsockopt(s[slot], SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(s[slot]);
  s[slot] = -1;
}
int main(void) {
)";

std::string opened(const Op& op) {
  constexpr std::array<const char*, 4> protocols = {
      "SOCK_STREAM, IPPROTO_TCP", "SOCK_DGRAM, IPPROTO_UDP", "SOCK_DGRAM, 136", "SOCK_STREAM, 262"};
  constexpr std::array<int, 3> users = {0, 1001, 1002};
  return std::string("make(") + std::to_string(op.slot) + ", " +
         (op.b != 0 ? "AF_INET6" : "AF_INET") + ", " + protocols[op.a] + ", " +
         std::to_string(users[op.c]) + ");";
}

std::string option_set(const Op& op) {
  constexpr std::array<const char*, 7> names = {
      "SOL_SOCKET, SO_REUSEADDR",   "SOL_SOCKET, SO_REUSEPORT",
      "IPPROTO_IPV6, IPV6_V6ONLY",  "IPPROTO_IP, IP_FREEBIND",
      "IPPROTO_IP, IP_TRANSPARENT", "IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT",
      "IPPROTO_TCP, TCP_REPAIR"};
  return std::string("set(") + std::to_string(op.slot) + ", " + names[op.a] + ", " +
         std::to_string(op.b) + ");";
}

std::string statement(const Bench& bench, const Op& op) {
  constexpr int base = 20000;
  constexpr std::array<int, 3> users = {0, 1001, 1002};
  const std::string slot = std::to_string(op.slot);
  auto port = [](uint8_t offset) { return offset == 255 ? 0 : base + offset; };
  switch (op.kind) {
  case Kind::open:
    return opened(op);
  case Kind::option:
    return option_set(op);
  case Kind::device:
    return "set(" + slot + ", SOL_SOCKET, 62 /* SO_BINDTOIFINDEX */, " +
           std::to_string(op.a == 0 ? 0 : bench.lab.devices()[op.a - 1u]) + ");";
  case Kind::own_range:
    return "set(" + slot + ", IPPROTO_IP, 51 /* IP_LOCAL_PORT_RANGE */, " +
           std::to_string(port(op.b)) + " << 16 | " + std::to_string(port(op.a)) + ");";
  case Kind::attach:
    return "{ struct sock_filter f = {BPF_RET | BPF_K}; struct sock_fprog p = {1, &f}; "
           "setsockopt(s[" +
           slot + "], SOL_SOCKET, 51 /* SO_ATTACH_REUSEPORT_CBPF */, &p, sizeof p); }";
  case Kind::chown:
    return "fchown(s[" + slot + "], " + std::to_string(users[op.a]) + ", -1);";
  case Kind::bind: {
    const LabAddress& a = bench.lab.addresses()[op.a];
    const std::string number = std::to_string(port(op.b));
    return "at(" + slot + ", \"" + a.text + "\", " + number + ", " + std::to_string(a.scope) +
           ", \"bind " + slot + " to " + a.text + " port " + number + "\");" +
           (op.c != 0 ? " /* without CAP_NET_BIND_SERVICE */" : "");
  }
  case Kind::listen:
    return "say(\"listen " + slot + "\", listen(s[" + slot + "], 4));";
  case Kind::connect:
    return "to(" + slot + ", " + std::to_string(op.a) + ");";
  case Kind::accept:
    return "s[" + std::to_string(op.a) + "] = accept(s[" + slot + "], 0, 0);";
  case Kind::disconnect:
    return "{ struct sockaddr none = {AF_UNSPEC}; connect(s[" + slot + "], &none, sizeof none); }";
  case Kind::send:
    return "/* a datagram from " + slot + " to port 9 */";
  case Kind::shut:
    return "shutdown(s[" + slot + "], SHUT_RDWR);";
  case Kind::close:
    return "gone(" + slot + ", 0);";
  case Kind::reset:
    return "gone(" + slot + ", 1);";
  case Kind::expire:
    return "/* " + std::to_string(op.c) + " connections to " + slot +
           " that end in TIME_WAIT of its " + (op.b != 0 ? "server" : "client") + ", from port " +
           std::to_string(port(op.a)) + " */";
  case Kind::crowd:
    return "/* eleven UDP sockets on 127.0.9.1-11 port " + std::to_string(port(op.a)) + " */";
  }
  return "";
}

} // namespace

std::string as_program(const Bench& bench, const Sequence& s, const Disagreement& d) {
  std::ostringstream out;
  out << preamble;
  for (size_t i = 0; i < s.ops.size() && i <= d.at; ++i)
    out << "  " << statement(bench, s.ops[i]) << "\n";
  auto text = [](int e) { return e == 0 ? "ok" : strerrorname_np(e); };
  out << "  /* kernel: " << text(d.kernel) << ", engine: " << text(d.engine)
      << (d.in_proof ? ", when the reported holders were closed" : "") << " */\n}\n";
  return out.str();
}

} // namespace differential
