#include <bindlens/audit/receivers.h>

#include <algorithm>
#include <functional>
#include <optional>

namespace bindlens::audit {

using model::Address;
using model::Family;
using model::Socket;
using model::SocketFlag;
using model::State;

namespace {

// sk_rcv_saddr: what an IPv4 packet is compared with. An IPv6 address that has no
// IPv4 form never equals a destination.
std::optional<Address> v4_address(const Address& a) {
  if (a.family == Family::inet6 && a.is_wildcard()) return Address::any(Family::inet);
  return a.as_v4();
}

// The local address as a packet of `family` sees it; nothing when such packets do
// not reach the socket.
std::optional<Address> seen_by(const Socket& s, Family family) {
  const Address& a = s.local.addr;
  if (family == Family::inet6) {
    if (a.family != Family::inet6) return std::nullopt;
    return a;
  }
  if (a.family == Family::inet6 && s.is(SocketFlag::v6only)) return std::nullopt;
  return v4_address(a);
}

bool takes_from(const Socket& s, uint32_t dev) {
  return s.dev == 0 || s.dev == dev; // inet_sk_bound_dev_eq() outside VRFs
}

using Score = std::function<int(const Socket&)>; // negative: does not match

// compute_score() of net/ipv4/inet_hashtables.c and net/ipv6/inet6_hashtables.c.
// SO_INCOMING_CPU, which only chooses between equals, is left out.
int tcp_score(const Socket& s, const Packet& p, const Address& at) {
  if (s.state != State::listen || s.local.port != p.to.port) return -1;
  if (seen_by(s, at.family) != at || !takes_from(s, p.dev)) return -1;
  const int score = s.dev != 0 ? 2 : 1;
  return at.family == Family::inet && s.local.addr.family == Family::inet ? score + 1 : score;
}

bool is_connected(const Socket& s) {
  return s.peer.port != 0;
}

bool is_peer(const Socket& s, const model::Endpoint& from) {
  const auto peer =
      from.addr.family == Family::inet ? v4_address(s.peer.addr) : std::optional(s.peer.addr);
  return s.peer.port == from.port && peer == from.addr;
}

// compute_score() of net/ipv4/udp.c and net/ipv6/udp.c: other weights, one order.
int udp_score(const Socket& s, const Packet& p, const Address& at) {
  if (s.local.port != p.to.port) return -1;
  if (seen_by(s, at.family) != at || !takes_from(s, p.dev)) return -1;
  if (is_connected(s) && !is_peer(s, p.from)) return -1;
  const bool v4 = at.family == Family::inet;
  int score = v4 && s.local.addr.family == Family::inet ? 2 : 1;
  const int weight = v4 ? 4 : 1;
  if (is_connected(s)) score += 2 * weight;
  if (s.dev != 0) score += weight;
  return score;
}

struct Candidate {
  const Socket* socket;
  int score;
};

std::vector<Candidate> candidates(std::span<const Socket* const> sockets, const Score& score) {
  std::vector<Candidate> out;
  for (const Socket* s : sockets)
    if (const int points = score(*s); points >= 0) out.push_back({s, points});
  return out;
}

bool of_v6_group(const Candidate& c) {
  return c.socket->local.addr.family == Family::inet6 && c.socket->is(SocketFlag::reuseport);
}

bool all_one_group(const std::vector<const Socket*>& sockets) {
  return std::ranges::all_of(sockets,
                             [&](const Socket* s) { return in_one_group(*sockets[0], *s); });
}

// The chain is searched for the best score, but the first socket with a group
// ends the search. AF_INET6 sockets with SO_REUSEPORT stand at the end of it, the
// others in the order of their listen(), which a walk of the bind buckets does
// not show.
Receivers first_of_chain(std::vector<Candidate> found, Family family) {
  const bool any_v4 = std::ranges::any_of(
      found, [](const Candidate& c) { return c.socket->local.addr.family == Family::inet; });
  if (family == Family::inet && any_v4) std::erase_if(found, of_v6_group);
  const bool any_group = std::ranges::any_of(
      found, [](const Candidate& c) { return c.socket->is(SocketFlag::reuseport); });
  if (!any_group) {
    const int best = std::ranges::max(found, {}, &Candidate::score).score;
    std::erase_if(found, [&](const Candidate& c) { return c.score < best; });
  }
  Receivers r;
  for (const Candidate& c : found)
    r.sockets.push_back(c.socket);
  r.certain = r.sockets.size() == 1 || all_one_group(r.sockets);
  return r;
}

bool with_group(const Candidate& c) {
  return c.socket->is(SocketFlag::reuseport) && !is_connected(*c.socket);
}

// udp4_lib_lookup2(): the best score, but a group ends the search as soon as it is
// better than what came before. Whether a connected socket behind it in the chain
// is found all the same depends on the kernel (a table of connections since 6.13)
// and on what the group went through.
Receivers best_of_chain(const std::vector<Candidate>& found) {
  const Candidate* best = nullptr;
  const Candidate* connected = nullptr;
  for (const Candidate& c : found) {
    if (is_connected(*c.socket) && connected == nullptr) connected = &c;
    if (best != nullptr && (c.score <= best->score || with_group(*best))) continue;
    best = &c;
  }
  Receivers r;
  for (const Candidate& c : found)
    if (&c == best || in_one_group(*best->socket, *c.socket)) r.sockets.push_back(c.socket);
  if (connected != nullptr && connected != best) {
    r.sockets.push_back(connected->socket);
    r.certain = false;
  }
  return r;
}

} // namespace

bool in_one_group(const Socket& a, const Socket& b) {
  if (!a.is(SocketFlag::reuseport) || !b.is(SocketFlag::reuseport)) return false;
  return is_connected(a) == is_connected(b) && !is_connected(a) && a.state == b.state &&
         a.local == b.local && a.is(SocketFlag::v6only) == b.is(SocketFlag::v6only) &&
         a.dev == b.dev && a.uid == b.uid;
}

Receivers tcp_receivers(std::span<const Socket* const> sockets, const Packet& packet) {
  for (const Address& at : {packet.to.addr, Address::any(packet.to.addr.family)}) {
    auto found = candidates(sockets, [&](const Socket& s) { return tcp_score(s, packet, at); });
    if (!found.empty()) return first_of_chain(std::move(found), at.family);
  }
  return {};
}

Receivers udp_receivers(std::span<const Socket* const> sockets, const Packet& packet) {
  for (const Address& at : {packet.to.addr, Address::any(packet.to.addr.family)}) {
    const auto found =
        candidates(sockets, [&](const Socket& s) { return udp_score(s, packet, at); });
    if (!found.empty()) return best_of_chain(found);
  }
  return {};
}

} // namespace bindlens::audit
