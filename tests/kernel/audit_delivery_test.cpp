// receivers.h against the kernel: random arrangements of sockets on one port, and
// real connections and datagrams to every address.

#include "actor.h"
#include "bare_session.h"

#include <bindlens/audit/audit.h>
#include <bindlens/audit/receivers.h>
#include <bindlens/kernel/walk.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <linux/ipv6.h>
#include <map>
#include <poll.h>
#include <random>
#include <sstream>
#include <sys/ioctl.h>
#include <thread>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 8080;
constexpr uint16_t client_port = 9090;
constexpr uint32_t loopback = 1;
constexpr uint32_t other_device = 77; // there is none: nothing arrives there

const std::vector<std::string> v4_destinations = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
const std::vector<std::string> v6_destinations = {"::1", "fd00::1", "fd00::2"};

struct Endpoint {
  sockaddr_storage address{};
  socklen_t length = 0;
  Endpoint(const std::string& text, uint16_t at) { address = to_sockaddr(text, at, length); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

void add_v6_address(const std::string& text) {
  const Fd fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const Endpoint at(text, 0);
  in6_ifreq request{};
  request.ifr6_addr = reinterpret_cast<const sockaddr_in6&>(at.address).sin6_addr;
  request.ifr6_prefixlen = 128;
  request.ifr6_ifindex = loopback;
  if (::ioctl(fd.get(), SIOCSIFADDR, &request) != 0) give_up_errno("adding " + text);
  // The kernel makes it usable a moment later.
  const auto usable = [&] {
    const Fd probe(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return ::bind(probe.get(), at.get(), at.length) == 0;
  };
  if (!eventually(usable)) give_up(text + " does not become usable");
}

void set(const Fd& fd, int level, int name, int value) {
  if (::setsockopt(fd.get(), level, name, &value, sizeof value) != 0) give_up_errno("setsockopt");
}

uint64_t cookie_of(const Fd& fd) {
  uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &cookie, &length) != 0) give_up_errno("cookie");
  return cookie;
}

// What was tried, to be read when something arrives elsewhere.
struct Arrangement {
  std::map<uint64_t, Fd> sockets; // by cookie
  std::ostringstream story;
};

// A program of its own for each socket.
model::ProcessRef program_of(const Arrangement& a, uint64_t cookie) {
  const auto index = std::distance(a.sockets.begin(), a.sockets.find(cookie));
  model::Process p;
  p.pid = 1000 + static_cast<uint32_t>(index);
  p.comm = "kt-" + std::to_string(index);
  return std::make_shared<const model::Process>(std::move(p));
}

// The table as a finding shows it; empty when there is none on the port.
std::vector<model::Delivery> shown_table(const Arrangement& a, const model::PortView& view) {
  rules::HostFacts facts;
  facts.interfaces = std::vector<rules::Interface>{{loopback, "lo", 0, 0}};
  audit::Input in;
  in.view = &view;
  in.facts = [&](uint32_t) -> const rules::HostFacts& { return facts; };
  in.resolve = [&](model::Blocker& b) {
    b.holders = {{program_of(a, b.socket.cookie), 3}};
    b.holders_known = true;
  };
  for (model::Finding& f : audit::audit(in))
    if (!f.deliveries.empty()) return std::move(f.deliveries);
  return {};
}

// The row that a person would look at for this destination; null when there is none.
const model::Delivery* row_for(const std::vector<model::Delivery>& table, const std::string& to) {
  const std::string family = to.find(':') == std::string::npos ? "IPv4" : "IPv6";
  for (const std::string& name :
       {to, "any other " + family + " address", "any " + family + " address"})
    for (const char* where : {"", " on lo", " on other interfaces"}) {
      const auto row = std::ranges::find(table, name + where, &model::Delivery::destination);
      if (row != table.end()) return &*row;
    }
  return nullptr;
}

class AuditDelivery : public testing::Test {
 protected:
  Netns netns;
  std::unique_ptr<kernel::Session> session = open_bare_session();
  std::unique_ptr<kernel::Walker> walker;
  std::mt19937 random{20240611};
  int asked = 0, uncertain = 0, received = 0, refused = 0, looked_up = 0;

  void SetUp() override {
    auto made = kernel::Walker::open(*session);
    ASSERT_TRUE(made) << made.error().text;
    walker = *std::move(made);
  }

  bool one_in(int n) { return std::uniform_int_distribution(1, n)(random) == 1; }
  template <typename T>
  T any_of(const std::vector<T>& choices) {
    return choices[std::uniform_int_distribution<size_t>(0, choices.size() - 1)(random)];
  }

  // In the namespace, on a thread of its own: the test stays where it is.
  void inside(const std::function<void()>& body) {
    std::thread([&] {
      try {
        netns.enter();
        add_v6_address("fd00::1");
        add_v6_address("fd00::2");
        body();
      } catch (const std::exception& e) {
        ADD_FAILURE() << e.what();
      }
    }).join();
  }

  // One more socket, as far as the kernel allows it.
  void add_socket(Arrangement& to, int type, bool reuseaddr, bool may_connect) {
    static const std::vector<std::string> addresses = {
        "0.0.0.0", "0.0.0.0", "127.0.0.1", "127.0.0.2",        "::",
        "::",      "::1",     "fd00::1",   "::ffff:127.0.0.1", "::ffff:0.0.0.0"};
    const std::string address = any_of(addresses);
    const bool v6 = address.find(':') != std::string::npos;
    Fd fd(::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const bool only = address == "::" && one_in(3);
    if (only) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (reuseaddr && !one_in(6)) set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!reuseaddr || one_in(4)) set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    const uint32_t dev = any_of<uint32_t>({0, 0, 0, 0, loopback, other_device});
    if (dev != 0) set(fd, SOL_SOCKET, SO_BINDTOIFINDEX, static_cast<int>(dev));
    to.story << address << (only ? " v6only" : "") << " dev " << dev;
    const Endpoint at(address, port);
    bool there = ::bind(fd.get(), at.get(), at.length) == 0;
    if (there && type == SOCK_STREAM) there = ::listen(fd.get(), 8) == 0;
    if (there && may_connect) {
      const Endpoint peer(v6 && address.find("ffff") == std::string::npos ? "::1"
                          : v6                                            ? "::ffff:127.0.0.1"
                                                                          : "127.0.0.1",
                          client_port);
      to.story << (::connect(fd.get(), peer.get(), peer.length) == 0 ? " connected"
                                                                     : " unconnected");
    }
    to.story << (there ? "\n" : " refused\n");
    if (there) to.sockets.emplace(cookie_of(fd), std::move(fd));
  }

  Arrangement arrange(int type) {
    Arrangement a;
    const bool reuseaddr = type == SOCK_DGRAM && one_in(2);
    const int count = std::uniform_int_distribution(2, 6)(random);
    const int connected =
        type == SOCK_DGRAM && one_in(2) ? std::uniform_int_distribution(0, count - 1)(random) : -1;
    for (int i = 0; i < count; ++i)
      add_socket(a, type, reuseaddr, i == connected);
    return a;
  }

  // The cookie of the socket to which something came; 0 = none did.
  static uint64_t arrival(const Arrangement& a, bool expected) {
    std::vector<pollfd> waiting;
    std::vector<uint64_t> cookies;
    for (const auto& [cookie, fd] : a.sockets) {
      waiting.push_back({fd.get(), POLLIN, 0});
      cookies.push_back(cookie);
    }
    if (::poll(waiting.data(), waiting.size(), expected ? 2000 : 1) <= 0) return 0;
    uint64_t found = 0;
    for (size_t i = 0; i < waiting.size(); ++i) {
      if ((waiting[i].revents & POLLIN) == 0) continue;
      EXPECT_EQ(found, 0u) << "one packet, two receivers";
      found = cookies[i];
      char byte = 0;
      const int accepted = ::accept(waiting[i].fd, nullptr, nullptr);
      if (accepted >= 0)
        ::close(accepted);
      else
        (void)::recv(waiting[i].fd, &byte, 1, MSG_DONTWAIT);
    }
    return found;
  }

  // Connects, or sends from `from` (a port, 0 = any); false when refused at once.
  static bool reach(int type, const std::string& to, const Endpoint& from, Fd& client) {
    const Endpoint at(to, port);
    client = Fd(::socket(at.address.ss_family, type | SOCK_CLOEXEC, 0));
    if (type == SOCK_STREAM) return ::connect(client.get(), at.get(), at.length) == 0;
    set(client, SOL_SOCKET, SO_REUSEADDR, 1);
    if (::bind(client.get(), from.get(), from.length) != 0) give_up_errno("the client");
    return ::sendto(client.get(), "x", 1, 0, at.get(), at.length) == 1;
  }

  void expect_delivery(const Arrangement& a, const model::PortView& view, int type,
                       const std::string& to, uint16_t from_port) {
    std::vector<const model::Socket*> sockets;
    for (const model::Bucket& b : view.buckets)
      for (const model::Socket& s : b.sockets)
        sockets.push_back(&s);
    const std::string from = to.find(':') == std::string::npos ? "127.0.0.1" : "::1";
    audit::Packet packet{{*model::parse_address(to), port}, {}, loopback};
    if (from_port != 0) packet.from = {*model::parse_address(from), from_port};
    const audit::Receivers told = type == SOCK_STREAM ? audit::tcp_receivers(sockets, packet)
                                                      : audit::udp_receivers(sockets, packet);
    Fd client;
    const bool sent = reach(type, to, Endpoint(from, from_port), client);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(sent, !told.sockets.empty()) << to << "\n" << a.story.str();
    }
    const uint64_t got = arrival(a, !told.sockets.empty());
    const bool right = told.sockets.empty()
                           ? got == 0
                           : std::ranges::any_of(told.sockets, [&](const model::Socket* s) {
                               return s->cookie == got;
                             });
    EXPECT_TRUE(right) << "to " << to << " from port " << from_port << ", arrived at cookie " << got
                       << ", told " << told.sockets.size() << " sockets\n"
                       << a.story.str();
    if (from_port == 0) expect_row(a, view, to, got);
    ++asked;
    uncertain += told.certain ? 0 : 1;
    received += got != 0 ? 1 : 0;
    refused += got == 0 ? 1 : 0;
  }

  // The table in words names who got it.
  void expect_row(const Arrangement& a, const model::PortView& view, const std::string& to,
                  uint64_t got) {
    const auto table = shown_table(a, view);
    const model::Delivery* row = table.empty() ? nullptr : row_for(table, to);
    if (row == nullptr) {
      EXPECT_TRUE(table.empty() || got == 0) << to << " is not in the table\n" << a.story.str();
      return;
    }
    if (row->receiver.find(" more") != std::string::npos) return; // not all are named
    ++looked_up;
    const std::string name =
        got == 0 ? "nobody" : "[" + std::to_string(program_of(a, got)->pid) + "]";
    EXPECT_NE(row->receiver.find(name), std::string::npos)
        << to << " reached " << name << ", the table says " << row->destination << " -> "
        << row->receiver << "\n"
        << a.story.str();
  }

  static int arrangements() { return in_vm() ? 100 : 300; }

  void play(int type) {
    const Arrangement a = arrange(type);
    const auto proto = type == SOCK_STREAM ? model::Proto::tcp : model::Proto::udp;
    const auto view = walker->walk({.protos = {proto}, .port = port, .netns = netns.inode()});
    if (!view) give_up(view.error().text);
    for (const auto* destinations : {&v4_destinations, &v6_destinations})
      for (const std::string& to : *destinations) {
        expect_delivery(a, *view, type, to, 0);
        if (type == SOCK_DGRAM) expect_delivery(a, *view, type, to, client_port);
      }
  }

  // An answer that names several sockets where one is meant would be right too often.
  void expect_worth_it(int uncertain_percent) const {
    EXPECT_GT(received, asked / 3);
    EXPECT_GT(refused, asked / 50);
    EXPECT_LE(uncertain * 100, asked * uncertain_percent) << "of " << asked;
    EXPECT_GT(looked_up, arrangements());
    RecordProperty("looked_up", looked_up);
    RecordProperty("asked", asked);
    RecordProperty("uncertain", uncertain);
  }
};

TEST_F(AuditDelivery, ConnectionsArriveWhereTheTableSays) {
  inside([&] {
    for (int i = 0; i < arrangements() && !HasFailure(); ++i)
      play(SOCK_STREAM);
  });
  expect_worth_it(12);
}

TEST_F(AuditDelivery, DatagramsArriveWhereTheTableSays) {
  inside([&] {
    for (int i = 0; i < arrangements() && !HasFailure(); ++i)
      play(SOCK_DGRAM);
  });
  expect_worth_it(1);
}

} // namespace
} // namespace bindlens::test
