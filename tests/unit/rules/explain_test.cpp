// The sentences, word for word: they are what people read.

#include "world.h"

#include <algorithm>

namespace bindlens::rules::test {
namespace {

model::ProcessRef process(uint32_t pid, const char* comm) {
  model::Process p;
  p.pid = pid;
  p.comm = comm;
  return std::make_shared<const model::Process>(p);
}

Names known_names() {
  Names n;
  n.user = [](uint32_t uid) { return uid == 1000 ? std::string("app") : std::string(); };
  return n;
}

struct Told {
  std::string sentence;
  std::string advice; // one per line
};

Told told(const Verdict& v, const ask& a, const HostFacts& f = known_host(),
          const std::function<void(model::Blocker&)>& more = {}) {
  std::vector<model::Blocker> blockers;
  for (const Conflict& c : v.blockers) {
    blockers.push_back(to_blocker(c));
    model::Blocker& b = blockers.back();
    if (!b.socket.is(SocketFlag::timewait) && !b.socket.is(SocketFlag::orphan))
      b.holders = {{process(3340, "node"), 19}};
    if (more) more(b);
  }
  const Explanation e = explain({.request = &a.request(),
                                 .verdict = &v,
                                 .facts = &f,
                                 .blockers = blockers,
                                 .changes = {},
                                 .process = nullptr,
                                 .names = known_names()});
  Told out{e.sentence, ""};
  for (const std::string& line : e.advice)
    out.advice += line + "\n";
  return out;
}

Told told(const ask& a, std::initializer_list<holds> holders,
          const std::function<void(model::Blocker&)>& more = {}) {
  const auto view = view_of(holders);
  return told(verdict(a, view), a, known_host(), more);
}

TEST(Explain, Listener) {
  EXPECT_EQ(
      told(ask("0.0.0.0:8080").reuseaddr(), {holds("127.0.0.1:8080").listening()}).sentence,
      "node[3340] listens on 127.0.0.1:8080, which 0.0.0.0 covers, and a listener blocks every "
      "overlapping address; SO_REUSEADDR, which is set here, does not help against a "
      "listener.");
  EXPECT_EQ(
      told(ask("127.0.0.1:8080"), {holds("[::]:8080").listening()}).sentence,
      "node[3340] listens on [::]:8080, which covers IPv4 too because IPV6_V6ONLY is off, and "
      "a listener blocks every overlapping address; SO_REUSEADDR would not help against a "
      "listener.");
}

TEST(Explain, SecondListen) {
  const auto t = told(ask("0.0.0.0:8080").reuseaddr().to_listen(),
                      {holds("127.0.0.1:8080").reuseaddr().listening()});
  EXPECT_NE(t.sentence.find("no other socket may listen on an overlapping address"),
            std::string::npos);
}

TEST(Explain, OptionsOfEitherSide) {
  const auto h = [] { return holds("127.0.0.1:8080"); };
  const auto a = [] { return ask("127.0.0.1:8080"); };
  EXPECT_EQ(told(a(), {h()}).sentence,
            "node[3340] holds 127.0.0.1:8080; sharing it would need SO_REUSEADDR on both sockets, "
            "and neither has it.");
  EXPECT_EQ(told(a().reuseaddr(), {h()}).sentence,
            "node[3340] holds 127.0.0.1:8080, without SO_REUSEADDR; it is set here, but both "
            "sockets need it.");
  EXPECT_EQ(told(a(), {h().reuseaddr()}).sentence,
            "node[3340] holds 127.0.0.1:8080, and has set SO_REUSEADDR; this socket has not, and "
            "both need it.");
  EXPECT_EQ(told(a(), {h().reuseport()}).sentence,
            "node[3340] holds 127.0.0.1:8080, and has set SO_REUSEPORT; this socket has not, and "
            "both need it.");
  EXPECT_EQ(told(a().reuseport(), {h()}).sentence,
            "node[3340] holds 127.0.0.1:8080, without SO_REUSEPORT; it is set here, but both "
            "sockets need it.");
  EXPECT_NE(told(a(), {h(), h()}).sentence.find("; 1 other socket also stands in the way."),
            std::string::npos);
}

TEST(Explain, Users) {
  const auto t = told(ask("127.0.0.1:8080").reuseport().uid(5),
                      {holds("127.0.0.1:8080").reuseport().listening()});
  EXPECT_EQ(t.sentence,
            "Both sockets have SO_REUSEPORT, but the one of node[3340] on 127.0.0.1:8080 "
            "belongs to user app and this one to user uid 5, and only sockets of one "
            "user may share a port.");
}

TEST(Explain, TimeWaitTellsHowLongAndWhetherTheOptionHelps) {
  const auto a = [] { return ask("0.0.0.0:8080"); };
  const auto tw = [](uint32_t ms) { return holds("10.0.0.5:8080").time_wait(ms); };
  EXPECT_EQ(told(a().reuseaddr(), {tw(12000), tw(40500)}).sentence,
            "2 TIME_WAIT sockets hold 10.0.0.5:8080, which 0.0.0.0 covers, for another 41 s; the "
            "closed connections had not set SO_REUSEADDR, so setting it here, as was done, is not "
            "enough.");
  EXPECT_NE(told(a(), {tw(1000)}).sentence.find("setting it here would not be enough"),
            std::string::npos);
  EXPECT_NE(told(a(), {tw(1000).reuseaddr()})
                .sentence.find("had SO_REUSEADDR, but this socket has not set it"),
            std::string::npos);
  EXPECT_NE(told(a(), {tw(1000)}).advice.find("set SO_REUSEADDR on the listener"),
            std::string::npos);
  EXPECT_EQ(told(a(), {tw(1000).reuseaddr()}).advice.find("set SO_REUSEADDR on the listener"),
            std::string::npos);
}

TEST(Explain, ConnectionsOfAListenerThatIsGone) {
  const auto child = holds("127.0.0.1:8080").child("127.0.0.1:5000");
  EXPECT_EQ(told(ask("127.0.0.1:8080"), {child}).sentence,
            "1 accepted connection still holds 127.0.0.1:8080, open in node[3340]; neither it nor "
            "this socket has SO_REUSEADDR.");
}

TEST(Explain, AnOutgoingConnectionTookThePort) {
  const auto t =
      told(ask("0.0.0.0:40001"),
           {holds("10.0.0.5:40001").child("10.0.0.9:443").with(SocketFlag::connect_bind)});
  EXPECT_EQ(t.sentence,
            "An outgoing connection of node[3340] to 10.0.0.9:443 was given port 40001 by "
            "the kernel, which lies inside ip_local_port_range (40000-40009).");
  EXPECT_NE(t.advice.find("net.ipv4.ip_local_reserved_ports with 40001 added"), std::string::npos);
}

TEST(Explain, Udp) {
  const auto h = [] { return holds("0.0.0.0:5353").udp(); };
  EXPECT_EQ(told(ask("0.0.0.0:5353").udp().reuseaddr(), {h()}).sentence,
            "node[3340] holds 0.0.0.0:5353, without SO_REUSEADDR; it is set here, but both sockets "
            "need it.");
  EXPECT_EQ(told(ask("0.0.0.0:5353").udp(), {h()}).sentence,
            "node[3340] holds 0.0.0.0:5353; sharing a UDP port needs SO_REUSEADDR, or SO_REUSEPORT "
            "of one user, on both sockets.");
}

TEST(Explain, WhoWhenNoProcessIsKnown) {
  const auto nobody = [](model::Blocker& b) { b.holders.clear(); };
  const auto a = ask("127.0.0.1:8080");
  const auto h = [] { return holds("127.0.0.1:8080").listening(); };
  EXPECT_EQ(told(a, {h()}, nobody).sentence.find("A process of user app listens"), 0u);
  EXPECT_EQ(told(a, {h().with(SocketFlag::kernel)}, nobody).sentence.find("The kernel itself"), 0u);
  const auto queued = holds("127.0.0.1:8080").child("127.0.0.1:5000").queued();
  EXPECT_EQ(told(a, {queued}).sentence,
            "1 connection that no process has accepted yet holds 127.0.0.1:8080; SO_REUSEADDR here "
            "would not help, because it does not have it and nobody can set it there.");
}

void set_up_by_ip(model::Blocker& b) {
  b.holders.clear();
  b.binder = process(123, "ip");
  b.binder_exited = true;
}

TEST(Explain, TheKernelHoldsWhatAProcessSetUp) {
  const auto vxlan = holds("0.0.0.0:8080").udp().with(SocketFlag::kernel);
  EXPECT_EQ(told(ask("127.0.0.1:8080").udp().reuseaddr(), {vxlan}, set_up_by_ip).sentence,
            "The kernel itself holds 0.0.0.0:8080, which covers 127.0.0.1, set up by ip[123], "
            "which has exited; SO_REUSEADDR, which is set here, does not help, because its socket "
            "does not have it and nobody can set it there.");
  const auto still_there = [](model::Blocker& b) {
    set_up_by_ip(b);
    b.binder_exited = false;
  };
  EXPECT_EQ(
      told(ask("127.0.0.1:8080").udp(), {vxlan}, still_there)
          .sentence.find(
              "The kernel itself holds 0.0.0.0:8080, which covers 127.0.0.1, set up by ip[123];"),
      0u);
  const auto nfsd = holds("0.0.0.0:2049").with(SocketFlag::kernel).listening();
  EXPECT_EQ(
      told(ask("0.0.0.0:2049"), {nfsd}, set_up_by_ip)
          .sentence.find(
              "The kernel itself listens on 0.0.0.0:2049, set up by ip[123], which has exited, "
              "and a listener blocks"),
      0u);
}

holds closed(State state) {
  return holds("127.0.0.1:8080").connected("127.0.0.1:9000").queued().state(state);
}

TEST(Explain, AClosedConnectionIsNobodysAnyMore) {
  HostFacts f = known_host();
  f.tcp_fin_timeout_s = 120;
  const auto view = view_of({closed(State::fin_wait2)});
  const auto a = ask("127.0.0.1:8080").reuseaddr();
  const auto by_node = [](model::Blocker& b) { b.binder = process(3311, "node"); };
  const auto t = told(verdict(a, view), a, f, by_node);
  EXPECT_EQ(t.sentence,
            "A closed connection of node[3311] to 127.0.0.1:9000 still holds 127.0.0.1:8080: no "
            "process has it open, and the kernel keeps it in FIN_WAIT2 until the other end closes "
            "it too, which leaves 60 s of TIME_WAIT, or 120 s are over (net.ipv4.tcp_fin_timeout "
            "is 120); SO_REUSEADDR, which is set here, does not help, because it does not have it "
            "and nobody can set it there.");
  EXPECT_NE(t.advice.find("set SO_REUSEADDR before bind in every program that uses the port"),
            std::string::npos);
  EXPECT_EQ(t.advice.find("on the socket of"), std::string::npos);
}

TEST(Explain, EveryStateOfAClosedConnectionEndsInItsWay) {
  const auto a = ask("127.0.0.1:8080");
  const auto of = [&](State s) { return told(a, {closed(s)}).sentence; };
  EXPECT_NE(of(State::fin_wait1)
                .find("in FIN_WAIT1 until the other end acknowledges the close, or "
                      "the kernel gives up repeating it "
                      "(net.ipv4.tcp_orphan_retries); then FIN_WAIT2"),
            std::string::npos);
  EXPECT_NE(of(State::closing).find("in CLOSING until"), std::string::npos);
  EXPECT_NE(of(State::last_ack).find("in LAST_ACK until the other end acknowledges the close, or "),
            std::string::npos);
  EXPECT_EQ(of(State::last_ack).find("TIME_WAIT"), std::string::npos);
  EXPECT_NE(of(State::fin_wait2).find("or net.ipv4.tcp_fin_timeout is over"), std::string::npos);
  EXPECT_NE(of(State::fin_wait2).find("A closed connection of user app to 127.0.0.1:9000"),
            std::string::npos);
}

TEST(Explain, AClosedConnectionThatHasTheOptionAsksForItHere) {
  const auto t = told(ask("127.0.0.1:8080"), {closed(State::last_ack).reuseaddr()});
  EXPECT_NE(t.sentence.find("; it has SO_REUSEADDR, but this socket has not set it."),
            std::string::npos);
  EXPECT_EQ(t.advice.find("in every program"), std::string::npos);
}

TEST(Explain, ManyClosedConnectionsAreCounted) {
  const auto t = told(ask("127.0.0.1:8080"),
                      {closed(State::last_ack), closed(State::fin_wait1), closed(State::last_ack)});
  EXPECT_EQ(t.sentence.find("3 closed connections still hold 127.0.0.1:8080: no process has them "
                            "open, and the kernel finishes them (LAST_ACK and FIN_WAIT1)"),
            0u);
}

TEST(Explain, OneThatIsOpenSaysMoreThanOneThatWasClosed) {
  const auto open = holds("127.0.0.1:8080").child("127.0.0.1:5000");
  const auto t =
      told(ask("127.0.0.1:8080"),
           {holds("127.0.0.1:8080").child("127.0.0.1:5001").queued().state(State::last_ack), open});
  EXPECT_EQ(t.sentence.find("1 accepted connection still holds 127.0.0.1:8080, open in "
                            "node[3340]"),
            0u);
  EXPECT_NE(t.sentence.find("; 1 other socket also stands in the way."), std::string::npos);
}

TEST(Explain, ALeakedDescriptorIsTracedToItsOrigin) {
  const auto leaked = [](model::Blocker& b) {
    b.binder = process(3311, "node");
    b.binder_exited = true;
  };
  const auto t = told(ask("127.0.0.1:8080"), {holds("127.0.0.1:8080").listening()}, leaked);
  EXPECT_NE(t.advice.find("node[3340] has the descriptor from node[3311], which is gone"),
            std::string::npos);
}

// Refusals without a holder: sentence and advice by rule.
Told of(const ask& a, int error, const HostFacts& f = known_host()) {
  return told(explain_failure(a.request(), error, {}, f, {}), a, f);
}

TEST(Explain, RefusalsWithoutAHolder) {
  EXPECT_EQ(
      of(ask("127.0.0.1:80"), EACCES).sentence,
      "Ports below 1024 need CAP_NET_BIND_SERVICE, and the caller does not have it in the user "
      "namespace of this network namespace.");
  EXPECT_EQ(of(ask("192.0.2.1:8080"), EADDRNOTAVAIL).sentence,
            "192.0.2.1 is not an address of this network namespace.");
  EXPECT_EQ(of(ask("127.0.0.1:8080").has_port(), EINVAL).sentence,
            "The socket has a port already, and a socket is bound only once.");
  EXPECT_EQ(of(ask("127.0.0.1:8080"), EPERM).sentence,
            "A cgroup BPF program or a security module refused the call before the port table was "
            "asked.");
  EXPECT_EQ(of(ask("[fe80::5]:8080"), EINVAL).sentence,
            "The link-local address fe80::5 needs an interface (a scope id).");
  EXPECT_EQ(of(ask("[ff05::9]:8080"), EINVAL).sentence,
            "A TCP socket cannot take the multicast address ff05::9.");
  EXPECT_EQ(of(ask("[::ffff:127.0.0.1]:8080").v6only(), EINVAL).sentence,
            "A socket with IPV6_V6ONLY cannot take the IPv4 address ::ffff:127.0.0.1.");
  EXPECT_EQ(of(ask("0.0.0.0:8080").udp().to_listen(), EOPNOTSUPP).sentence,
            "A udp socket cannot listen.");
  EXPECT_EQ(of(ask("127.0.0.1:8080").to_listen().connected(), EINVAL).sentence,
            "The socket is connected and cannot listen.");
  EXPECT_EQ(of(ask("[fe80::5]:8080").scope(77), ENODEV).sentence, "Interface 77 does not exist.");
  EXPECT_EQ(of(ask("[::1]:8080").family(Family::inet), EAFNOSUPPORT).sentence,
            "The address is not of the socket's family.");
}

TEST(Explain, SearchesThatFoundNothing) {
  HostFacts f = known_host();
  f.local_port_range = PortRange{40000, 40001};
  const auto view = view_of({holds("0.0.0.0:40000"), holds("0.0.0.0:40001")});
  const auto a = ask("0.0.0.0:0");
  EXPECT_EQ(told(decide(a.request(), view, f, {}), a, f).sentence,
            "All 2 ports of 40000-40001 are in use.");
  f.reserved_ports = std::vector<PortRange>{{40000, 40001}};
  const auto reserved = told(decide(a.request(), {}, f, {}), a, f);
  EXPECT_EQ(reserved.sentence,
            "All 2 ports of 40000-40001 are reserved by ip_local_reserved_ports, "
            "and the kernel chooses none of those.");
  EXPECT_NE(reserved.advice.find("ip_local_reserved_ports"), std::string::npos);
}

model::PortView taken(std::initializer_list<holds> by_connect,
                      std::initializer_list<holds> by_bind = {}) {
  auto view = view_of(by_connect);
  for (auto& b : view.buckets)
    b.fastreuse = b.fastreuseport = -1;
  for (auto& b : view_of(by_bind).buckets)
    view.buckets.push_back(b);
  return view;
}

TEST(Explain, AnExhaustedRangeIsCounted) {
  HostFacts f = known_host();
  f.local_port_range = PortRange{40000, 40001};
  const auto first = holds("10.0.0.5:40000").child("10.0.0.9:80");
  const auto second = holds("10.0.0.5:40001").child("10.0.0.9:80");
  const auto a = ask("10.0.0.5:0").to_connect("10.0.0.9:80");
  const auto of = [&](const model::PortView& view) {
    return told(explain_failure(a.request(), EADDRNOTAVAIL, view, f, {}), a, f);
  };
  const auto connected = of(taken({first, second}));
  EXPECT_EQ(connected.sentence, "All 2 ports of 40000-40001 are in use for 10.0.0.9:80.");
  EXPECT_NE(connected.advice.find("connect from, or to, another address"), std::string::npos);
  EXPECT_EQ(connected.advice.find("IP_BIND_ADDRESS_NO_PORT"), std::string::npos);

  const auto bound = of(taken({}, {holds("10.0.0.5:40000"), holds("127.0.0.1:40001")}));
  EXPECT_EQ(bound.sentence,
            "All 2 ports of 40000-40001 are in use for 10.0.0.9:80; bind took 2 of them, and "
            "connect passes over those whatever the destination.");
  EXPECT_EQ(bound.advice.find("connect from, or to, another address"), std::string::npos)
      << "no destination helps";
  EXPECT_NE(bound.advice.find("IP_BIND_ADDRESS_NO_PORT before bind in the programs"),
            std::string::npos);

  EXPECT_EQ(of(taken({first})).sentence,
            "The kernel found no free port in 40000-40001 for 10.0.0.9:80; right afterwards there "
            "was one, so that it came free meanwhile, or the socket has a range of its own "
            "(IP_LOCAL_PORT_RANGE).");

  f.local_port_range = PortRange{40000, 40000};
  EXPECT_EQ(of(taken({first})).sentence, "The only port of 40000-40000 is in use for 10.0.0.9:80.");
  f.local_port_range = PortRange{40000, 40002};
  EXPECT_EQ(of(taken({first, second})).sentence,
            "All 3 ports of 40000-40002 are in use or passed over, as the search does with one of "
            "an odd number of ports (1) for 10.0.0.9:80.");
}

TEST(Explain, BindAddressNoPortHelpsOnlyOverPortsThatConnectTook) {
  HostFacts f = known_host();
  f.local_port_range = PortRange{40000, 40001};
  const auto a = ask("10.0.0.5:0");
  const auto advice = [&](const model::PortView& view, const ask& by) {
    return told(explain_failure(by.request(), EADDRINUSE, view, f, {}), by, f).advice;
  };
  const auto connection = holds("10.0.0.5:40000").child("10.0.0.9:80");
  EXPECT_NE(advice(taken({connection}, {holds("10.0.0.5:40001")}), a)
                .find("set IP_BIND_ADDRESS_NO_PORT before bind if a connect follows: it shares "
                      "the 1 port that connect took"),
            std::string::npos);
  const auto bound = taken({}, {holds("10.0.0.5:40000"), holds("10.0.0.5:40001")});
  EXPECT_NE(advice(bound, a).find("on this socket alone it does not help"), std::string::npos);
  EXPECT_EQ(advice(bound, a).find("if a connect follows"), std::string::npos);
  const auto udp = view_of({holds("10.0.0.5:40000").udp(), holds("10.0.0.5:40001").udp()});
  EXPECT_EQ(advice(udp, ask("10.0.0.5:0").udp()).find("IP_BIND_ADDRESS_NO_PORT"), std::string::npos)
      << "connect shares no UDP ports";
}

TEST(Explain, ATimeWaitTuple) {
  const auto tw = holds("10.0.0.5:8080").connected("10.0.0.9:80").time_wait(41'000);
  const auto view = view_of({tw});
  const auto a = ask("10.0.0.5:8080").to_connect("10.0.0.9:80");
  EXPECT_EQ(told(explain_failure(a.request(), EADDRNOTAVAIL, view, known_host(), {}), a).sentence,
            "A connection from 10.0.0.5:8080 to 10.0.0.9:80 is in TIME_WAIT for another 41 s, and "
            "a new one replaces it only when both ends used TCP timestamps.");
}

TEST(Explain, ARaceIsCalledOne) {
  EXPECT_EQ(of(ask("0.0.0.0:8080"), EADDRINUSE).sentence,
            "The kernel refused, but no socket that was there right afterwards explains it: its "
            "holder was gone within the moment between the refusal and the look.");
  EXPECT_NE(of(ask("0.0.0.0:8080"), EADDRINUSE).advice.find("try again"), std::string::npos);
}

TEST(Explain, EverySentenceIsOneAndEndsInADot) {
  for (const int e : {EACCES, EPERM, EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENODEV, ENOMEM, EFAULT}) {
    const std::string s = of(ask("127.0.0.1:80"), e).sentence;
    ASSERT_FALSE(s.empty());
    EXPECT_EQ(s.back(), '.');
    EXPECT_NE(s[s.size() - 2], '.');
    EXPECT_FALSE(s[0] >= 'a' && s[0] <= 'z') << s;
  }
}

} // namespace
} // namespace bindlens::rules::test
