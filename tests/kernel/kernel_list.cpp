#include "kernel_list.h"

#include "actor.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

namespace bindlens::test {

namespace {

// State numbers of /proc/net (net/tcp_states.h); a TIME_WAIT mini-socket shows
// the state that it stands for.
std::string state_name(const std::string& proto, const std::string& hex) {
  if (proto == "udp") return hex == "01" ? "ESTABLISHED" : "BOUND";
  static const std::map<std::string, std::string> names = {
      {"01", "ESTABLISHED"}, {"02", "SYN_SENT"}, {"04", "FIN_WAIT1"},  {"05", "TIME_WAIT"},
      {"06", "TIME_WAIT"},   {"07", "CLOSE"},    {"08", "CLOSE_WAIT"}, {"09", "LAST_ACK"},
      {"0A", "LISTEN"},      {"0B", "CLOSING"}};
  const auto it = names.find(hex);
  return it == names.end() ? "" : it->second;
}

// Calls `add(name, inode)` for each socket that holds a port.
template <typename Add>
void read_file(const std::string& path, const std::string& proto, Add add) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line); // headings
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string slot, local, peer, state, queues, timer, retransmitted, uid, timeout, inode;
    words >> slot >> local >> peer >> state >> queues >> timer >> retransmitted >> uid >> timeout >>
        inode;
    const std::string name = state_name(proto, state);
    if (name.empty() || local.ends_with(":0000")) continue;
    add(proto + " " + local + " " + peer + " " + name, inode);
  }
}

std::string hex_address(const std::string& address, uint16_t port) {
  socklen_t length = 0;
  const sockaddr_storage storage = to_sockaddr(address, port, length);
  const bool v4 = storage.ss_family == AF_INET;
  std::array<uint32_t, 4> words{};
  if (v4)
    words[0] = reinterpret_cast<const sockaddr_in&>(storage).sin_addr.s_addr;
  else
    std::memcpy(words.data(), &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, 16);
  std::string text;
  char part[16];
  for (size_t i = 0; i < (v4 ? 1u : 4u); ++i) {
    std::snprintf(part, sizeof part, "%08X", words[i]);
    text += part;
  }
  std::snprintf(part, sizeof part, ":%04X", port);
  return text + part;
}

// "1.2.3.4:5" or "[::1]:5"
std::string hex_peer(const std::string& peer, bool v4) {
  if (peer.empty()) return hex_address(v4 ? "0.0.0.0" : "::", 0);
  const size_t colon = peer.rfind(':');
  std::string address = peer.substr(0, colon);
  if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
  return hex_address(address, static_cast<uint16_t>(std::stoi(peer.substr(colon + 1))));
}

constexpr std::array tables = {"tcp", "tcp6", "udp", "udp6"};

} // namespace

SocketNames kernel_list(const Netns& netns) {
  SocketNames all;
  for (const char* file : tables)
    read_file(netns.proc_net(file), std::string(file).substr(0, 3),
              [&](std::string name, const std::string&) { all.insert(std::move(name)); });
  return all;
}

std::map<std::string, std::string> kernel_inodes(const Netns& netns) {
  std::map<std::string, std::string> all;
  for (const char* file : tables)
    read_file(netns.proc_net(file), std::string(file).substr(0, 3),
              [&](std::string name, std::string inode) {
                if (inode != "0") all.emplace(std::move(inode), std::move(name));
              });
  return all;
}

SocketNames names_of(const std::vector<Json>& sockets) {
  SocketNames all;
  for (const Json& s : sockets) {
    const std::string proto = s["proto"];
    std::string state = s["state"];
    if (proto != "udp" && (proto != "tcp" || state == "BOUND")) continue;
    if (state == "FIN_WAIT2") state = "TIME_WAIT";
    all.insert(proto + " " + hex_address(s["addr"], s["port"]) + " " +
               hex_peer(s.value("peer", ""), s["family"] == "inet") + " " + state);
  }
  return all;
}

std::string missing_from(const SocketNames& a, const SocketNames& b) {
  std::string text;
  std::vector<std::string> missing;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(missing));
  for (const std::string& name : missing)
    text += name + "\n";
  return text;
}

} // namespace bindlens::test
