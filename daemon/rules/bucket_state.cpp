#include <bindlens/rules/bucket_state.h>

#include "tables.h"

#include <bindlens/rules/wording.h>

#include <algorithm>

namespace bindlens::rules {

using model::Bucket;
using model::OpenTo;
using model::Socket;
using model::SocketFlag;
using model::State;

namespace {

// Another socket like those that hold the port: on their address when it is one,
// else on all.
Asker newcomer(const Bucket& b) {
  Asker a;
  const model::Address& first = b.sockets.front().local.addr;
  const bool same =
      std::ranges::all_of(b.sockets, [&](const Socket& s) { return s.local.addr == first; });
  a.addr = bound_address(same ? first : model::Address::any(model::Family::inet6), false);
  a.netns = b.netns;
  a.l3mdev = b.l3mdev;
  return a;
}

const Socket* first_conflict(const Asker& a, const Bucket& b, const Variants& v) {
  const auto it = std::ranges::find_if(b.sockets, [&](const Socket& h) {
    return tcp_conflict(a, h, Strictness::asked_by_number, v);
  });
  return it == b.sockets.end() ? nullptr : &*it;
}

bool lets_in(const Asker& a, const Bucket& b, const Variants& v) {
  return cached_path(cache_of(b), a) != Path::holders || first_conflict(a, b, v) == nullptr;
}

std::string all_of(const Bucket& b) {
  return b.sockets.size() == 1 ? "the socket on it has"
                               : "all " + std::to_string(b.sockets.size()) + " sockets on it have";
}

bool all_have(const Bucket& b, SocketFlag flag) {
  return std::ranges::all_of(b.sockets, [&](const Socket& s) { return s.is(flag); });
}

bool only_time_wait(const Bucket& b) {
  return std::ranges::all_of(b.sockets, in_time_wait);
}

// The user whose SO_REUSEPORT sockets may join: that of the first one here, for
// with another one beside it nobody may.
std::optional<uint32_t> group_user(const Bucket& b, const Variants& v) {
  for (const Socket& s : b.sockets)
    if (s.is(SocketFlag::reuseport) && !in_time_wait(s)) return holder_uid(s, v);
  return std::nullopt;
}

bool open_to_reuseaddr(const Bucket& b, const Variants& v) {
  Asker a = newcomer(b);
  a.reuseaddr = true;
  return lets_in(a, b, v);
}

// Whose SO_REUSEPORT gets in: the user of the bucket's cache or that of the group.
struct Group {
  bool open = false;
  std::optional<uint32_t> uid;
};
Group open_to_reuseport(const Bucket& b, const Variants& v) {
  Asker a = newcomer(b);
  a.reuseport = true;
  if (const auto uid = group_user(b, v)) {
    a.uid = *uid;
    if (lets_in(a, b, v)) return {true, uid};
  } else if (first_conflict(a, b, v) == nullptr) {
    return {true, std::nullopt}; // TIME_WAIT has no user
  }
  a.uid = b.fastuid;
  if (cached_path(cache_of(b), a) == Path::cached_port) return {true, b.fastuid};
  return {};
}

std::string why_reuseaddr(const Bucket& b) {
  if (all_have(b, SocketFlag::reuseaddr)) return all_of(b) + " set SO_REUSEADDR, and none listens";
  return "SO_REUSEADDR was set when the port was bound, and the bucket still says so";
}

std::string why_reuseport(const Bucket& b, const Group& g) {
  if (!g.uid) return "only TIME_WAIT is left of sockets with SO_REUSEPORT, and it has no user";
  if (all_have(b, SocketFlag::reuseport)) return all_of(b) + " set SO_REUSEPORT";
  return "the last bind had set SO_REUSEPORT, and the bucket still says so";
}

std::string why_connect(const Bucket& b) {
  std::string text = "connect chose the port and no bind has used it";
  if (all_have(b, SocketFlag::reuseaddr))
    text += "; a bind with SO_REUSEADDR gets it too, for " + all_of(b) + " set it";
  return text;
}

// What stands against a bind with SO_REUSEADDR, the commonest wish.
std::string why_nobody(const Bucket& b, const Variants& v) {
  Asker a = newcomer(b);
  a.reuseaddr = true;
  const Socket* h = first_conflict(a, b, v);
  if (h == nullptr) return "";
  if (h->state == State::listen)
    return "a socket listens on " + end_of(*h) +
           (h->is(SocketFlag::reuseport) ? ", and sockets of different users, or without "
                                           "SO_REUSEPORT, hold the port"
                                         : " without SO_REUSEPORT");
  if (only_time_wait(b))
    return "TIME_WAIT is left of " + count_of(b.sockets.size(), "connection") +
           ", and the first on " + end_of(*h) + " had set neither SO_REUSEADDR nor SO_REUSEPORT";
  const bool by_connect = std::ranges::none_of(b.sockets, [](const Socket& s) {
    return s.state == State::listen || s.state == State::bound || s.is(SocketFlag::port_locked);
  });
  if (by_connect)
    return "connections without SO_REUSEADDR hold the port, and a bind that is gone has closed "
           "it to connect";
  return "a socket on " + end_of(*h) + " has not set SO_REUSEADDR";
}

} // namespace

model::BucketState bucket_state(const Bucket& b, const Variants& v) {
  model::BucketState out;
  out.fastreuse = b.fastreuse;
  out.fastreuseport = b.fastreuseport;
  out.fastuid = b.fastuid;
  if (b.fastreuse < 0 && b.fastreuseport < 0) {
    out.open_to = OpenTo::connect;
    out.because = why_connect(b);
  } else if (open_to_reuseaddr(b, v)) {
    out.open_to = OpenTo::reuseaddr;
    out.because = why_reuseaddr(b);
  } else if (const Group g = open_to_reuseport(b, v); g.open) {
    out.open_to = OpenTo::reuseport;
    out.open_uid = g.uid;
    out.because = why_reuseport(b, g);
  } else {
    out.because = why_nobody(b, v);
  }
  return out;
}

std::optional<model::BucketState> held_bucket_state(const model::PortView& view, uint32_t netns,
                                                    uint16_t port, const Variants& v) {
  const auto it = std::ranges::find_if(view.buckets, [&](const Bucket& b) {
    return is_tcp(b.proto) && b.port == port && b.netns == netns && b.l3mdev == 0 &&
           !b.sockets.empty();
  });
  if (port == 0 || it == view.buckets.end()) return std::nullopt;
  return bucket_state(*it, v);
}

} // namespace bindlens::rules
