// udp_lib_get_port(): the first decisive holder of a hash chain wins.

#include "tables.h"

#include <algorithm>

namespace bindlens::rules {

using model::Socket;
using model::SocketFlag;

namespace {

enum class Answer : uint8_t { indifferent, shares, refuses };

// One step of udp_lib_lport_inuse() and udp_lib_lport_inuse2().
Answer ask_holder(const Asker& a, const Socket& h, const Variants& v) {
  if (a.self != 0 && h.id == a.self) return Answer::indifferent;
  const bool both_reuseaddr = a.reuseaddr && h.is(SocketFlag::reuseaddr);
  if (both_reuseaddr || !devices_overlap(a, h)) return Answer::indifferent;
  if (!addresses_overlap(a.addr, bound_address(h))) return Answer::indifferent;
  const bool shares =
      a.reuseport && h.is(SocketFlag::reuseport) && !a.has_group && holder_uid(h, v) == a.uid;
  return shares ? Answer::shares : Answer::refuses;
}

struct Held {
  const Socket* socket = nullptr;
  const model::Bucket* bucket = nullptr;
};

// The holders of the port in the asker's namespace, in the order of the primary
// chain, and how many sockets share that chain.
struct Slot {
  std::vector<Held> holders;
  uint32_t count = 0;
};

Slot primary_slot(const Asker& a, const Request& r, const model::PortView& view) {
  Slot slot;
  for (const model::Bucket& b : view.buckets) {
    if (b.proto != r.proto) continue;
    bool here = false;
    for (const Socket& s : b.sockets) {
      if (s.local.port != r.local.port) continue;
      here = true;
      if (s.netns == a.netns) slot.holders.push_back({&s, &b});
    }
    if (here || b.port == r.local.port) slot.count = std::max(slot.count, b.slot_count);
  }
  return slot;
}

constexpr uint32_t long_chain = 10; // udp_lib_get_port(): "hslot->count > 10"

bool uses_hash2(const Asker& a, uint32_t slot_count, const Variants& v) {
  return slot_count > long_chain && (a.addr.specific() || v.udp_wildcard_gap);
}

// The sockets that the second table has under the asker's address (`wildcard`
// false) or under the wildcard.
std::vector<Held> hash2_chain(const Asker& a, const std::vector<Held>& primary, bool wildcard) {
  std::vector<Held> out;
  std::ranges::copy_if(primary, std::back_inserter(out), [&](const Held& h) {
    const BoundAddress ha = bound_address(*h.socket);
    return wildcard ? !ha.specific() : same_address(a.addr, ha);
  });
  return out;
}

std::vector<Held> hash2_order(const Asker& a, const std::vector<Held>& primary) {
  std::vector<Held> out;
  if (a.addr.specific()) out = hash2_chain(a, primary, false);
  const std::vector<Held> wildcards = hash2_chain(a, primary, true);
  out.insert(out.end(), wildcards.begin(), wildcards.end());
  return out;
}

std::vector<Held> walk_order(const Asker& a, const std::vector<Held>& holders, uint32_t count,
                             const Variants& v) {
  return uses_hash2(a, count, v) ? hash2_order(a, holders) : holders;
}

// Everyone who refuses before the first one who shares.
std::vector<Held> refusers(const Asker& a, const std::vector<Held>& order, const Variants& v) {
  std::vector<Held> out;
  for (const Held& h : order) {
    const Answer answer = ask_holder(a, *h.socket, v);
    if (answer == Answer::shares) break;
    if (answer == Answer::refuses) out.push_back(h);
  }
  return out;
}

// connect() and disconnect move a socket to the front of its hash2 chain and
// leave it in place in the primary one, which is the order known here. It matters
// when some in one chain share and others refuse.
bool order_is_uncertain(const Asker& a, const std::vector<Held>& chain, const Variants& v) {
  auto any = [&](Answer wanted) {
    return std::ranges::any_of(
        chain, [&](const Held& h) { return ask_holder(a, *h.socket, v) == wanted; });
  };
  return any(Answer::shares) && any(Answer::refuses);
}

// Holders that are in neither chain stay unseen, unless their address happens to
// hash to the same slot: then they answer like the others. Does one of them say
// `wanted`?
bool unseen_says(const Asker& a, const std::vector<Held>& holders, Answer wanted,
                 const Variants& v) {
  const std::vector<Held> seen = hash2_order(a, holders);
  return std::ranges::any_of(holders, [&](const Held& h) {
    return std::ranges::find(seen, h.socket, &Held::socket) == seen.end() &&
           ask_holder(a, *h.socket, v) == wanted;
  });
}

std::vector<Held> without(const std::vector<Held>& all, const std::vector<Held>& gone,
                          const Socket* keep) {
  std::vector<Held> out;
  std::ranges::copy_if(all, std::back_inserter(out), [&](const Held& h) {
    return h.socket == keep || std::ranges::find(gone, h.socket, &Held::socket) == gone.end();
  });
  return out;
}

} // namespace

bool udp_holder_refuses(const Asker& a, const Socket& h, const Variants& v) {
  return ask_holder(a, h, v) == Answer::refuses;
}

std::vector<Conflict> udp_conflicts(const Asker& a, const Request& r, const model::PortView& view,
                                    const Variants& v, Verdict& out) {
  const Slot slot = primary_slot(a, r, view);
  out.path = slot.holders.empty() ? Path::empty : Path::holders;
  const bool hash2 = uses_hash2(a, slot.count, v);
  if (hash2 && (order_is_uncertain(a, hash2_chain(a, slot.holders, false), v) ||
                order_is_uncertain(a, hash2_chain(a, slot.holders, true), v))) {
    out.unknown.emplace_back("the order of the kernel's address hash chain, which decides here");
    out.open = true;
  }

  // Closing a holder shortens the slot, and a short slot is walked in another
  // order: go on until nobody is left who refuses.
  std::vector<Held> all;
  for (;;) {
    const auto left = without(slot.holders, all, nullptr);
    const uint32_t count = slot.count - std::min<uint32_t>(slot.count, uint32_t(all.size()));
    const auto found = refusers(a, walk_order(a, left, count, v), v);
    if (found.empty()) break;
    all.insert(all.end(), found.begin(), found.end());
  }

  std::vector<Conflict> conflicts;
  for (const Held& h : all) {
    Conflict c{.socket = h.socket, .bucket = h.bucket, .rule = udp_rule(a, *h.socket)};
    if (hash2) {
      const auto rest = without(slot.holders, all, h.socket);
      const uint32_t count = slot.count - uint32_t(slot.holders.size() - rest.size());
      c.necessary = !refusers(a, walk_order(a, rest, count, v), v).empty();
    }
    conflicts.push_back(c);
  }
  const Answer opposite = conflicts.empty() ? Answer::refuses : Answer::shares;
  if (hash2 && unseen_says(a, slot.holders, opposite, v)) {
    out.unknown.emplace_back("whether two addresses share a slot of the kernel's hash table");
    out.open = true;
  }
  return conflicts;
}

} // namespace bindlens::rules
