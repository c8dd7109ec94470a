#include "folklore.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bindlens::rules {

using model::Address;
using model::Bucket;
using model::Endpoint;
using model::Proto;
using model::Socket;
using model::SocketFlag;
using model::State;

namespace {

constexpr uint16_t port = 21;

Address address_of(const char* text) {
  return *model::parse_address(text);
}

// Builds a case in one expression; the defaults are an idle TCP socket of one
// user and a request of the same.
class Case {
 public:
  Case(const char* row, const char* first, const char* second, const char* options) {
    c_.row = row;
    c_.first = first;
    c_.second = second;
    c_.options = options;
    holder_.id = 1;
    holder_.uid = holder_.inode_uid = c_.request.uid = 1000;
    holder_.flags.set(SocketFlag::port_locked);
    c_.facts.unprivileged_port_start = 0;
    c_.facts.nonlocal_bind4 = c_.facts.nonlocal_bind6 = true;
    c_.facts.local_port_range = PortRange{port, port};
    c_.facts.reserved_ports.emplace();
    c_.facts.autobind_reuse = false;
  }

  Case& at(const char* holder, const char* asked, uint16_t holder_port = port) {
    holder_.local = {address_of(holder), holder_port};
    c_.request.local = {address_of(asked), port};
    return *this;
  }
  Case& udp() {
    holder_.proto = c_.request.proto = Proto::udp;
    return *this;
  }
  Case& reuseaddr(bool first, bool second) { return option(SocketFlag::reuseaddr, first, second); }
  Case& reuseport(bool first, bool second) { return option(SocketFlag::reuseport, first, second); }
  Case& other_user() {
    c_.request.uid = 1001;
    return *this;
  }
  Case& listening() {
    holder_.state = State::listen;
    return *this;
  }
  Case& in_time_wait() {
    holder_.state = State::time_wait;
    holder_.flags.set(SocketFlag::timewait);
    holder_.uid = holder_.inode_uid = 0;
    return *this;
  }
  Case& connected_to(const char* peer) {
    holder_.state = State::established;
    holder_.peer = {address_of(peer), 443};
    holder_.flags.set(SocketFlag::port_locked, false);
    return *this;
  }
  Case& connects_to(const char* peer, bool bound) {
    c_.request.op = Operation::connect;
    c_.request.peer = {address_of(peer), 443};
    if (!bound) c_.request.local.port = 0;
    return *this;
  }
  Case& any_port() {
    c_.request.local.port = 0;
    return *this;
  }
  Case& believed(Belief b, const char* correction = "") {
    c_.believed = b;
    c_.correction = correction;
    return *this;
  }

  [[nodiscard]] FolkloreCase done() const {
    FolkloreCase out = c_;
    Bucket b;
    b.proto = holder_.proto;
    b.port = holder_.local.port;
    // Only the holders are to decide: a bucket that somebody without options has
    // been in, too.
    b.fastreuse = b.fastreuseport = 0;
    b.sockets = {holder_};
    b.slot_count = 1;
    out.view.buckets = {b};
    return out;
  }

 private:
  Case& option(SocketFlag f, bool first, bool second) {
    holder_.flags.set(f, first);
    c_.request.flags.set(f, second);
    return *this;
  }

  FolkloreCase c_;
  Socket holder_;
};

void add_address_cases(std::vector<FolkloreCase>& out) {
  const char* wild = "0.0.0.0";
  const char* a = "192.168.0.1";
  const char* b = "10.0.0.1";
  const auto yes = Belief::allowed, no = Belief::refused;
  out.push_back(
      Case("1", "192.168.0.1:80", "192.168.0.1:21", "none").at(a, a, 80).believed(yes).done());
  out.push_back(Case("2", "192.168.0.1:21", "10.0.0.1:21", "none").at(a, b).believed(yes).done());
  out.push_back(Case("2b", "192.168.0.1:21, listening", "10.0.0.1:21", "none")
                    .at(a, b)
                    .listening()
                    .believed(yes)
                    .done());
  out.push_back(Case("3", "0.0.0.0:21", "192.168.0.1:21", "none").at(wild, a).believed(no).done());
  out.push_back(Case("4", "192.168.0.1:21", "0.0.0.0:21", "none").at(a, wild).believed(no).done());
  out.push_back(Case("5", "0.0.0.0:21", "192.168.0.1:21", "SO_REUSEADDR on B")
                    .at(wild, a)
                    .reuseaddr(false, true)
                    .believed(no)
                    .done());
  out.push_back(Case("5b", "0.0.0.0:21", "192.168.0.1:21", "SO_REUSEADDR on both")
                    .at(wild, a)
                    .reuseaddr(true, true)
                    .believed(yes)
                    .done());
  out.push_back(Case("6", "192.168.0.1:21", "0.0.0.0:21", "SO_REUSEADDR on B")
                    .at(a, wild)
                    .reuseaddr(false, true)
                    .believed(no)
                    .done());
  out.push_back(Case("6b", "192.168.0.1:21", "0.0.0.0:21", "SO_REUSEADDR on both")
                    .at(a, wild)
                    .reuseaddr(true, true)
                    .believed(yes)
                    .done());
  out.push_back(Case("7", "192.168.0.1:21", "192.168.0.1:21", "SO_REUSEADDR on both")
                    .at(a, a)
                    .reuseaddr(true, true)
                    .believed(yes)
                    .done());
}

void add_listener_cases(std::vector<FolkloreCase>& out) {
  const char* wild = "0.0.0.0";
  const char* a = "192.168.0.1";
  const auto yes = Belief::allowed, no = Belief::refused;
  out.push_back(
      Case("6c", "192.168.0.1:21, listening", "0.0.0.0:21", "SO_REUSEADDR on both")
          .at(a, wild)
          .reuseaddr(true, true)
          .listening()
          .believed(
              yes,
              "A listener blocks every overlapping address, whichever of the two is the wildcard. "
              "Two sockets may be bound like this; it is the second listen that fails.")
          .done());
  out.push_back(Case("7b", "192.168.0.1:21, listening", "192.168.0.1:21", "SO_REUSEADDR on both")
                    .at(a, a)
                    .reuseaddr(true, true)
                    .listening()
                    .believed(no)
                    .done());
  out.push_back(Case("13", "0.0.0.0:21, listening", "192.168.0.1:21", "SO_REUSEADDR on both")
                    .at(wild, a)
                    .reuseaddr(true, true)
                    .listening()
                    .believed(no)
                    .done());
  out.push_back(Case("13b", "0.0.0.0:21, listening", "192.168.0.1:21", "SO_REUSEPORT on both")
                    .at(wild, a)
                    .reuseport(true, true)
                    .listening()
                    .believed(no, "With SO_REUSEPORT of one user a listener on the wildcard and "
                                  "one on a specific address "
                                  "live together. They are two groups, and the specific one gets "
                                  "the traffic of its address.")
                    .done());
}

void add_time_wait_cases(std::vector<FolkloreCase>& out) {
  const char* a = "192.168.0.1";
  const auto yes = Belief::allowed, no = Belief::refused;
  out.push_back(Case("8", "TIME_WAIT", "the same address", "none")
                    .at(a, a)
                    .in_time_wait()
                    .believed(no)
                    .done());
  out.push_back(
      Case("9", "TIME_WAIT", "the same address", "SO_REUSEADDR on B")
          .at(a, a)
          .in_time_wait()
          .reuseaddr(false, true)
          .believed(yes,
                    "The closed connection must have had SO_REUSEADDR too: it inherits it from its "
                    "listener, and "
                    "keeps it into TIME_WAIT. The option on the new socket alone does not help.")
          .done());
  out.push_back(Case("9b", "TIME_WAIT", "the same address", "SO_REUSEADDR on both")
                    .at(a, a)
                    .in_time_wait()
                    .reuseaddr(true, true)
                    .believed(yes)
                    .done());
  out.push_back(Case("11b", "TIME_WAIT", "the same address", "SO_REUSEPORT on B")
                    .at(a, a)
                    .in_time_wait()
                    .reuseport(false, true)
                    .believed(no)
                    .done());
  out.push_back(Case("12", "TIME_WAIT", "the same address", "SO_REUSEPORT on both")
                    .at(a, a)
                    .in_time_wait()
                    .reuseport(true, true)
                    .believed(yes)
                    .done());
  out.push_back(
      Case("12b", "TIME_WAIT", "the same address, another user", "SO_REUSEPORT on both")
          .at(a, a)
          .in_time_wait()
          .reuseport(true, true)
          .other_user()
          .believed(no,
                    "A TIME_WAIT socket has no user any more, and the comparison is left out: "
                    "another user may "
                    "take over a port on which only TIME_WAIT sockets with SO_REUSEPORT are left.")
          .done());
}

void add_reuseport_cases(std::vector<FolkloreCase>& out) {
  const char* a = "192.168.0.1";
  const auto yes = Belief::allowed, no = Belief::refused;
  out.push_back(Case("10", "192.168.0.1:21", "192.168.0.1:21", "SO_REUSEPORT on both")
                    .at(a, a)
                    .reuseport(true, true)
                    .believed(yes)
                    .done());
  out.push_back(
      Case("10b", "192.168.0.1:21, option set after bind", "192.168.0.1:21", "SO_REUSEPORT on both")
          .at(a, a)
          .reuseport(true, true)
          .believed(no, "Not the time of setting counts but what is set when the next socket "
                        "comes: an option set "
                        "after bind helps. Clearing SO_REUSEPORT again may not undo it, because "
                        "the port remembers the "
                        "last socket that had it.")
          .done());
  out.push_back(Case("11", "192.168.0.1:21", "192.168.0.1:21", "SO_REUSEPORT on B")
                    .at(a, a)
                    .reuseport(false, true)
                    .believed(no)
                    .done());
  out.push_back(Case("23", "192.168.0.1:21", "192.168.0.1:21, another user", "SO_REUSEPORT on both")
                    .at(a, a)
                    .reuseport(true, true)
                    .other_user()
                    .believed(no)
                    .done());
}

void add_udp_cases(std::vector<FolkloreCase>& out) {
  const char* a = "192.168.0.1";
  const char* group = "224.0.0.251";
  const auto yes = Belief::allowed, no = Belief::refused;
  out.push_back(Case("14", "UDP 192.168.0.1:21", "the same, another user", "SO_REUSEADDR on both")
                    .udp()
                    .at(a, a)
                    .reuseaddr(true, true)
                    .other_user()
                    .believed(yes)
                    .done());
  out.push_back(Case("14b", "UDP 192.168.0.1:21", "the same", "SO_REUSEADDR on B")
                    .udp()
                    .at(a, a)
                    .reuseaddr(false, true)
                    .believed(no)
                    .done());
  out.push_back(Case("15", "UDP 0.0.0.0:21", "UDP 192.168.0.1:21", "SO_REUSEADDR on B")
                    .udp()
                    .at("0.0.0.0", a)
                    .reuseaddr(false, true)
                    .believed(no)
                    .done());
  out.push_back(Case("16", "UDP 224.0.0.251:21", "the same", "SO_REUSEADDR on both")
                    .udp()
                    .at(group, group)
                    .reuseaddr(true, true)
                    .believed(yes)
                    .done());
  out.push_back(Case("16b", "UDP 224.0.0.251:21", "the same, another user", "SO_REUSEPORT on both")
                    .udp()
                    .at(group, group)
                    .reuseport(true, true)
                    .other_user()
                    .believed(yes, "The two options differ for multicast addresses as for others: "
                                   "SO_REUSEPORT asks for one "
                                   "user, SO_REUSEADDR does not.")
                    .done());
}

void add_connect_cases(std::vector<FolkloreCase>& out) {
  const char* a = "192.168.0.1";
  const auto yes = Belief::allowed, no = Belief::refused;
  out.push_back(Case("17", "192.168.0.1:21 connected to 10.0.0.9:443",
                     "connects 192.168.0.1:21 to the same", "either, on both")
                    .at(a, a)
                    .connected_to("10.0.0.9")
                    .reuseaddr(true, true)
                    .connects_to("10.0.0.9", true)
                    .believed(no)
                    .done());
  out.push_back(Case("18", "UDP 192.168.0.1:21 connected to 10.0.0.9:443",
                     "connects UDP 192.168.0.1:21 to the same", "SO_REUSEADDR on both")
                    .udp()
                    .at(a, a)
                    .connected_to("10.0.0.9")
                    .reuseaddr(true, true)
                    .connects_to("10.0.0.9", true)
                    .believed(yes)
                    .done());
  out.push_back(Case("19", "0.0.0.0:21, the only port of the range", "0.0.0.0:0", "none")
                    .at("0.0.0.0", "0.0.0.0")
                    .any_port()
                    .believed(no)
                    .done());
  out.push_back(Case("19b", "192.168.0.1:21, the only port of the range",
                     "connects from 10.0.0.1 without bind", "none")
                    .at(a, "10.0.0.1")
                    .connects_to("10.0.0.9", false)
                    .believed(yes, "An explicit bind to a port, on whatever address, keeps "
                                   "connect() from choosing that port.")
                    .done());
  out.push_back(Case("19c", "192.168.0.1:21, the only port of the range", "10.0.0.1:0", "none")
                    .at(a, "10.0.0.1")
                    .any_port()
                    .believed(yes)
                    .done());
  out.push_back(
      Case("3b", "[2001:db8::1]:21 connected, from a dual-stack socket", "0.0.0.0:21", "none")
          .at("2001:db8::1", "0.0.0.0")
          .connected_to("2001:db8::9")
          .believed(yes, "An IPv6 connection of a socket without IPV6_V6ONLY counts as an IPv4 "
                         "address to a bind of "
                         "0.0.0.0. A socket that was bound to that IPv6 address does not.")
          .done());
}

} // namespace

std::vector<FolkloreCase> folklore_cases() {
  std::vector<FolkloreCase> out;
  add_address_cases(out);
  add_listener_cases(out);
  add_time_wait_cases(out);
  add_reuseport_cases(out);
  add_udp_cases(out);
  add_connect_cases(out);
  std::ranges::stable_sort(out, {}, [](const FolkloreCase& c) { return std::stoi(c.row); });
  return out;
}

std::string answer_text(Profile p, const FolkloreCase& c) {
  if (c.request.flags.has(SocketFlag::reuseport) && !has_reuseport(p)) return "-";
  const Verdict v = decide(p, c.request, c.view, c.facts, Variants{});
  return v.would_succeed ? "allowed" : strerrorname_np(v.error);
}

bool differs(const FolkloreCase& c) {
  const bool allowed = answer_text(Profile::linux_now, c) == "allowed";
  return c.believed != Belief::none && allowed != (c.believed == Belief::allowed);
}

} // namespace bindlens::rules
