#include "deliveries.h"

#include <bindlens/audit/receivers.h>

#include <algorithm>
#include <set>

namespace bindlens::audit {

using model::Address;
using model::Delivery;
using model::Family;
using model::Socket;

namespace {

constexpr uint32_t no_interface = UINT32_MAX; // that any socket is bound to
constexpr size_t most_rows = 16;

// An address to which no socket is bound: a reserved one, never seen on a host.
Address other_address(Family family) {
  Address a = Address::v4(255, 255, 255, 254);
  a.family = family;
  if (family == Family::inet6) a.bytes.fill(0xfe);
  return a;
}

Receivers receive(const Sockets& sockets, bool tcp, const Address& to, uint32_t dev) {
  const Packet packet{{to, sockets.front()->local.port}, {}, dev};
  return tcp ? tcp_receivers(sockets, packet) : udp_receivers(sockets, packet);
}

uint32_t loopback_of(const rules::HostFacts& facts) {
  constexpr uint32_t usual = 1; // LOOPBACK_IFINDEX
  if (!facts.interfaces) return usual;
  const auto it = std::ranges::find(*facts.interfaces, "lo", &rules::Interface::name);
  return it != facts.interfaces->end() ? it->index : usual;
}

std::string receiver_text(Report& report, const Receivers& r) {
  if (r.sockets.empty()) return "nobody";
  if (r.sockets.size() == 1) return report.who(*r.sockets.front());
  const std::string count = std::to_string(r.sockets.size());
  if (r.certain) return "one of the " + count + " members of the group of " + report.who(r.sockets);
  return "one of " + report.who(r.sockets) + ", by which began to listen last";
}

class Rows {
 public:
  Rows(Report& report, const Sockets& sockets, bool tcp)
      : report_(report), sockets_(sockets), tcp_(tcp) {
    for (const Socket* s : sockets)
      if (s->dev != 0) devices_.insert(s->dev);
  }

  void add(const Address& to, const std::string& name) {
    if (devices_.empty()) return add_one(to, no_interface, name);
    const uint32_t netns = sockets_.front()->netns;
    if (to.is_loopback()) return add_one(to, loopback_of(report_.facts(netns)), name);
    for (const uint32_t dev : devices_) {
      const std::string device = report_.device(netns, dev);
      add_one(to, dev,
              name + " on " + (device.empty() ? "interface " + std::to_string(dev) : device));
    }
    add_one(to, no_interface, name + " on other interfaces");
  }
  [[nodiscard]] std::vector<Delivery> take() { return std::move(rows_); }

 private:
  void add_one(const Address& to, uint32_t dev, const std::string& name) {
    if (rows_.size() == most_rows) return;
    rows_.push_back({name, receiver_text(report_, receive(sockets_, tcp_, to, dev))});
  }

  Report& report_;
  const Sockets& sockets_;
  bool tcp_;
  std::set<uint32_t> devices_;
  std::vector<Delivery> rows_;
};

bool reaches(const Socket& s, Family family) {
  const Address& a = s.local.addr;
  if (family == Family::inet6) return a.family == Family::inet6 && !a.is_v4_mapped();
  if (a.family == Family::inet || a.is_v4_mapped()) return true;
  return a.is_wildcard() && !s.is(model::SocketFlag::v6only);
}

} // namespace

Sockets receivers_elsewhere(const Sockets& sockets, bool tcp, Family family) {
  return receive(sockets, tcp, other_address(family), no_interface).sockets;
}

Sockets receivers_of_localhost(const Sockets& sockets, bool tcp, const rules::HostFacts& facts,
                               Family family) {
  Address to = Address::v4(127, 0, 0, 1);
  if (family == Family::inet6) {
    to = Address::any(family);
    to.bytes.back() = 1;
  }
  return receive(sockets, tcp, to, loopback_of(facts)).sockets;
}

std::vector<Delivery> deliveries(Report& report, const Sockets& sockets, bool tcp) {
  std::set<Address> bound;
  for (const Socket* s : sockets)
    if (!s->local.addr.is_wildcard()) bound.insert(s->local.addr.as_v4().value_or(s->local.addr));
  Rows rows(report, sockets, tcp);
  for (const Address& a : bound)
    if (!a.is_multicast()) rows.add(a, to_string(a));
  for (const Family family : {Family::inet, Family::inet6}) {
    const bool any =
        std::ranges::any_of(sockets, [&](const Socket* s) { return reaches(*s, family); });
    if (!any) continue;
    const std::string name = family == Family::inet ? "IPv4 address" : "IPv6 address";
    rows.add(other_address(family), (bound.empty() ? "any " : "any other ") + name);
  }
  return rows.take();
}

} // namespace bindlens::audit
