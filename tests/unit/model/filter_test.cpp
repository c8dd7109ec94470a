#include "worlds.h"

#include <bindlens/model/filter.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

using test::event;
using test::process;
using test::refused_bind;
using test::SocketOf;

const Socket web = SocketOf(1, 8080).listening().addr(Address::v4(127, 0, 0, 1)).uid(33);

Filter with(void (*change)(Filter&)) {
  Filter f;
  change(f);
  return f;
}

TEST(Filter, WithoutMembersMatchesAll) {
  const Filter all;
  EXPECT_TRUE(all.matches(web));
  EXPECT_TRUE(all.matches(refused_bind(80)));
  EXPECT_TRUE(all.matches(event(EventType::bind, 1, web)));
  EXPECT_TRUE(all.matches(nullptr, {}));
  EXPECT_FALSE(all.needs_processes());
}

struct OneMember {
  const char* name;
  void (*right)(Filter&);
  void (*wrong)(Filter&);
};

const OneMember socket_members[] = {
    {"proto",
     [](Filter& f) {
       f.protos = {Proto::udp, Proto::tcp};
     },
     [](Filter& f) {
       f.protos = {Proto::udp, Proto::mptcp};
     }},
    {"port",
     [](Filter& f) {
       f.ports = {{80, 80}, {8000, 8100}};
     },
     [](Filter& f) {
       f.ports = {{80, 80}, {8081, 65535}};
     }},
    {"addr", [](Filter& f) { f.addr = Address::v4(127, 0, 0, 1); },
     [](Filter& f) { f.addr = Address::any(Family::inet); }},
    {"state",
     [](Filter& f) {
       f.states = {State::bound, State::listen};
     },
     [](Filter& f) { f.states = {State::bound}; }},
    {"uid", [](Filter& f) { f.uid = 33; }, [](Filter& f) { f.uid = 0; }},
    {"netns", [](Filter& f) { f.netns = test::host_netns; },
     [](Filter& f) { f.netns = test::other_netns; }},
};

TEST(Filter, EveryMemberOfASocketDecides) {
  for (const OneMember& m : socket_members) {
    EXPECT_TRUE(with(m.right).matches(web)) << m.name;
    EXPECT_FALSE(with(m.wrong).matches(web)) << m.name;
    EXPECT_TRUE(with(m.right).matches(event(EventType::bind, 1, web))) << m.name;
    EXPECT_FALSE(with(m.wrong).matches(event(EventType::bind, 1, web))) << m.name;
    EXPECT_FALSE(with(m.wrong).needs_processes()) << m.name;
  }
}

TEST(Filter, MembersAreJoinedByAnd) {
  for (const OneMember& bad : socket_members) {
    Filter f;
    for (const OneMember& m : socket_members)
      m.right(f);
    EXPECT_TRUE(f.matches(web));
    bad.wrong(f);
    EXPECT_FALSE(f.matches(web)) << bad.name;
  }
}

TEST(Filter, RangesIncludeBothEnds) {
  Filter f;
  f.ports = {{8000, 8100}};
  using Ports = std::initializer_list<uint16_t>;
  for (const uint16_t in : Ports{8000, 8050, 8100})
    EXPECT_TRUE(f.matches(SocketOf(1, in).s)) << in;
  for (const uint16_t out : Ports{0, 7999, 8101})
    EXPECT_FALSE(f.matches(SocketOf(1, out).s)) << out;
}

const std::string container_id(64, 'a');

const OneMember process_members[] = {
    {"pid", [](Filter& f) { f.pid = 4121; }, [](Filter& f) { f.pid = 1; }},
    {"comm", [](Filter& f) { f.comm = "nginx"; }, [](Filter& f) { f.comm = "ngin"; }},
    {"unit", [](Filter& f) { f.unit = "web.service"; }, [](Filter& f) { f.unit = "web"; }},
    {"container", [](Filter& f) { f.container = "aaaaaaaaaaaa"; },
     [](Filter& f) { f.container = "ab"; }},
};

const ProcessRef nginx = process(4121, "nginx", "web.service", container_id);

TEST(Filter, EveryMemberOfAProcessDecides) {
  const std::vector<Holder> holders = {{process(7, "sh"), 3}, {nginx, 4}};
  const std::vector<Holder> strangers = {{process(7, "sh"), 3}};
  for (const OneMember& m : process_members) {
    EXPECT_TRUE(with(m.right).needs_processes()) << m.name;
    EXPECT_TRUE(with(m.right).matches(nginx, {})) << m.name << " of the binder";
    EXPECT_TRUE(with(m.right).matches(nullptr, holders)) << m.name << " of a holder";
    EXPECT_TRUE(with(m.right).matches(process(7, "sh"), holders)) << m.name << " of either";
    EXPECT_FALSE(with(m.wrong).matches(nginx, holders)) << m.name;
    EXPECT_FALSE(with(m.right).matches(nullptr, {})) << m.name << " of nobody";
    EXPECT_FALSE(with(m.right).matches(nullptr, strangers)) << m.name;
    EXPECT_TRUE(with(m.right).matches(event(EventType::bind, 1, web, nginx))) << m.name;
    EXPECT_FALSE(with(m.wrong).matches(event(EventType::bind, 1, web, nginx))) << m.name;
  }
}

TEST(Filter, OneProcessMustHaveAllThatIsAskedOfProcesses) {
  Filter f;
  f.pid = 4121;
  f.comm = "sh";
  const std::vector<Holder> holders = {{process(7, "sh"), 3}, {nginx, 4}};
  EXPECT_FALSE(f.matches(nullptr, holders));
}

TEST(Filter, DecidesOnFailuresByWhatWasAskedFor) {
  Failure f = refused_bind(8080);
  f.asked.addr = Address::v4(127, 0, 0, 1);
  f.uid = 33;
  f.rule = Rule::listener;
  f.process = nginx;
  for (const OneMember& m : socket_members) {
    if (std::string_view(m.name) == "state") continue; // a refused call has none
    EXPECT_TRUE(with(m.right).matches(f)) << m.name;
    EXPECT_FALSE(with(m.wrong).matches(f)) << m.name;
  }
  for (const OneMember& m : process_members) {
    EXPECT_TRUE(with(m.right).matches(f)) << m.name;
    EXPECT_FALSE(with(m.wrong).matches(f)) << m.name;
  }
  Filter rule;
  rule.rules = {Rule::time_wait, Rule::listener};
  EXPECT_TRUE(rule.matches(f));
  rule.rules = {Rule::time_wait};
  EXPECT_FALSE(rule.matches(f));
}

TEST(Filter, TimesIncludeBothEnds) {
  Filter f;
  f.since = 100;
  f.until = 200;
  for (const MonoNs in : {100u, 150u, 200u})
    EXPECT_TRUE(f.matches(event(EventType::bind, in, web))) << in;
  for (const MonoNs out : {99u, 201u})
    EXPECT_FALSE(f.matches(event(EventType::bind, out, web))) << out;
}

TEST(Filter, AFoldedFailureMatchesWhenAnyOfItsTimeDoes) {
  Failure f = refused_bind(80);
  f.first_time = 100;
  f.time = 200;
  EXPECT_TRUE(with([](Filter& x) { x.since = 150; }).matches(f));
  EXPECT_TRUE(with([](Filter& x) { x.until = 150; }).matches(f));
  EXPECT_FALSE(with([](Filter& x) { x.since = 201; }).matches(f));
  EXPECT_FALSE(with([](Filter& x) { x.until = 99; }).matches(f));
}

TEST(Filter, OfEventsKnowsTypes) {
  Filter f;
  f.types = {EventType::listen, EventType::release};
  EXPECT_TRUE(f.matches(event(EventType::release, 1, web)));
  EXPECT_FALSE(f.matches(event(EventType::bind, 1, web)));
}

TEST(Filter, OfEventsLooksIntoTheFailure) {
  Event e = event(EventType::fail, 1, Socket{});
  e.failure = std::make_shared<const Failure>(refused_bind(8080));
  EXPECT_TRUE(with([](Filter& f) { f.ports = {{8080, 8080}}; }).matches(e));
  EXPECT_FALSE(with([](Filter& f) { f.ports = {{8081, 8081}}; }).matches(e));
}

// Whoever filters must still learn that something is missing from the answer.
TEST(Filter, LetsAGapThrough) {
  const Event gap = event(EventType::gap, 150, Socket{});
  Filter narrow;
  for (const OneMember& m : socket_members)
    m.wrong(narrow);
  for (const OneMember& m : process_members)
    m.wrong(narrow);
  EXPECT_TRUE(narrow.matches(gap));
  narrow.types = {EventType::bind};
  EXPECT_FALSE(narrow.matches(gap)) << "unless types were chosen without it";
  EXPECT_FALSE(with([](Filter& f) { f.until = 149; }).matches(gap));
}

TEST(Filter, KnowsWhenItAsksForOnePort) {
  Filter f;
  EXPECT_FALSE(f.single_port());
  f.ports = {{80, 80}};
  EXPECT_EQ(f.single_port(), 80);
  f.ports = {{80, 81}};
  EXPECT_FALSE(f.single_port());
  f.ports = {{80, 80}, {80, 80}};
  EXPECT_FALSE(f.single_port());
}

TEST(Ports, AreListsOfNumbersAndRanges) {
  std::string bad;
  const auto ranges = parse_ports("80,443,8000-8100,5-5,0-65535", bad);
  ASSERT_TRUE(ranges) << bad;
  std::vector<std::pair<int, int>> got;
  for (const PortRange r : *ranges)
    got.emplace_back(r.first, r.last);
  EXPECT_EQ(got, (std::vector<std::pair<int, int>>{
                     {80, 80}, {443, 443}, {8000, 8100}, {5, 5}, {0, 65535}}));
}

TEST(Ports, NameThePartThatIsWrong) {
  const std::pair<std::string_view, std::string_view> cases[] = {{"65536", "65536"},
                                                                 {"-1", "-1"},
                                                                 {"http", "http"},
                                                                 {"1.2.3", "1.2.3"},
                                                                 {"80,http,443", "http"},
                                                                 {"80,8100-8000", "8100-8000"},
                                                                 {"80-", "80-"},
                                                                 {"-", "-"},
                                                                 {"80-90-100", "80-90-100"},
                                                                 {"80, 443", " 443"},
                                                                 {"80-65536", "80-65536"},
                                                                 {"", ""},
                                                                 {"80,", ""},
                                                                 {",80", ""},
                                                                 {"80,,443", ""}};
  for (const auto& [text, part] : cases) {
    std::string bad = "untouched";
    EXPECT_FALSE(parse_ports(text, bad)) << text;
    EXPECT_EQ(bad, part) << text;
  }
}

TEST(Filter, OfFindingsLooksAtEachSocketWithItsProcesses) {
  auto finding = std::make_shared<Finding>();
  finding->sockets.resize(2);
  finding->sockets[0].socket = SocketOf(1, 80).s;
  finding->sockets[0].binder = process(5, "nginx");
  finding->sockets[1].socket = SocketOf(2, 81).s;
  finding->sockets[1].holders = {{process(6, "node"), 3}};
  Event e;
  e.type = EventType::audit;
  e.finding = finding;
  Filter f;
  f.types = {EventType::audit};
  EXPECT_TRUE(f.matches(e));
  f.ports = {{81, 81}};
  EXPECT_TRUE(f.matches(e));
  f.comm = "node";
  EXPECT_TRUE(f.matches(e));
  f.comm = "nginx";
  EXPECT_FALSE(f.matches(e)) << "which has the other socket";
  f = {};
  f.types = {EventType::bind};
  EXPECT_FALSE(f.matches(e));
}

} // namespace
} // namespace bindlens::model
