#include "world.h"

#include <unowned.h>

#include <algorithm>

namespace bindlens::rules::test {
namespace {

model::Holder process(uint32_t pid, const char* comm, const char* unit = "") {
  model::Process p;
  p.pid = pid;
  p.comm = comm;
  p.unit = unit;
  return {std::make_shared<const model::Process>(p), 5};
}

struct Found {
  Verdict verdict;
  std::vector<model::Blocker> blockers;
  std::vector<Change> changes;

  [[nodiscard]] bool has(std::vector<Step> steps) const {
    return std::ranges::any_of(changes, [&](const Change& c) { return c.steps == steps; });
  }
  [[nodiscard]] std::string texts() const {
    std::string out;
    for (const Change& c : changes)
      out += c.text + "\n";
    return out;
  }
};

Found changes(const ask& a, const model::PortView& view, const HostFacts& f = known_host(),
              const std::function<void(model::Blocker&)>& more = {}) {
  Found out;
  out.verdict = decide(a.request(), view, f, {});
  for (const Conflict& c : out.verdict.blockers) {
    out.blockers.push_back(to_blocker(c));
    if (takes_options(*c.socket))
      out.blockers.back().holders = {process(3340, "node", "app.service")};
    if (more) more(out.blockers.back());
  }
  Names names;
  names.user = [](uint32_t uid) { return uid == 1000 ? std::string("app") : std::string(); };
  out.changes = minimal_changes(a.request(), out.verdict, view, f, {}, out.blockers, names);
  return out;
}

TEST(Change, NothingToDoAfterSuccess) {
  EXPECT_TRUE(changes(ask("127.0.0.1:8080"), {}).changes.empty());
}

TEST(Change, AListenerIsStoppedOrAvoidedOrJoined) {
  const auto f = changes(ask("0.0.0.0:8080").reuseaddr().uid(5),
                         view_of({holds("127.0.0.1:8080").reuseaddr().listening()}));
  EXPECT_TRUE(f.has({Step::close_holders}));
  EXPECT_TRUE(f.has({Step::other_address}));
  EXPECT_TRUE(f.has({Step::set_reuseport, Step::holders_reuseport, Step::same_user}));
  EXPECT_NE(f.texts().find("stop app.service (node[3340])"), std::string::npos);
  EXPECT_NE(f.texts().find("bind 10.0.0.5:8080 instead"), std::string::npos);
  EXPECT_NE(f.texts().find("make this socket as user app"), std::string::npos);
}

TEST(Change, OneOptionOnTheSideThatLacksIt) {
  const auto here = changes(ask("127.0.0.1:8080"), view_of({holds("127.0.0.1:8080").reuseaddr()}));
  ASSERT_FALSE(here.changes.empty());
  EXPECT_EQ(here.changes[0].steps, std::vector{Step::set_reuseaddr});
  const auto there = changes(ask("127.0.0.1:8080").reuseaddr(), view_of({holds("127.0.0.1:8080")}));
  EXPECT_EQ(there.changes[0].steps, std::vector{Step::holders_reuseaddr});
  EXPECT_EQ(there.changes[0].text, "set SO_REUSEADDR on the socket of node[3340]");
}

TEST(Change, BothSidesInOnePhrase) {
  const auto f = changes(ask("127.0.0.1:8080"), view_of({holds("127.0.0.1:8080")}));
  EXPECT_TRUE(f.has({Step::set_reuseaddr, Step::holders_reuseaddr}));
  EXPECT_NE(
      f.texts().find("set SO_REUSEADDR on this socket before bind and on the socket of node[3340]"),
      std::string::npos);
}

TEST(Change, AnOwnerThatHasExitedIsNamedAsSuch) {
  const auto exited = [](model::Blocker& b) {
    b.holders.clear();
    b.binder = process(123, "make").process;
    b.binder_exited = true;
  };
  const auto f =
      changes(ask("127.0.0.1:8080"), view_of({holds("127.0.0.1:8080")}), known_host(), exited);
  EXPECT_NE(f.texts().find("and on the socket of make[123] (exited)\n"), std::string::npos)
      << f.texts();
}

TEST(Change, TimeWaitIsWaitedForAsLongAsItLasts) {
  const auto f = changes(ask("0.0.0.0:8080").reuseaddr(),
                         view_of({holds("127.0.0.1:8080").time_wait(12'000),
                                  holds("127.0.0.1:8080").time_wait(40'500)}));
  ASSERT_FALSE(f.changes.empty());
  EXPECT_TRUE(f.has({Step::wait}));
  EXPECT_NE(f.texts().find("wait 41 s until TIME_WAIT is over"), std::string::npos);
  EXPECT_FALSE(f.has({Step::holders_reuseaddr})) << "dead sockets take no options";
  EXPECT_FALSE(f.has({Step::close_holders}));
}

TEST(Change, AClosedConnectionLeavesTimeWait) {
  const auto f =
      changes(ask("0.0.0.0:8080"), view_of({holds("127.0.0.1:8080").child("127.0.0.1:5000")}));
  EXPECT_FALSE(f.has({Step::close_holders}));
  EXPECT_TRUE(f.has({Step::close_holders, Step::wait}));
}

bool offers_an_option_there(const Found& f) {
  return std::ranges::any_of(f.changes, [](const Change& c) {
    return std::ranges::any_of(c.steps, [](Step s) {
      return s == Step::holders_reuseaddr || s == Step::holders_reuseport;
    });
  });
}

TEST(Change, NobodySetsAnOptionOnAClosedConnection) {
  const auto closed = [](State s) {
    return holds("127.0.0.1:8080").connected("127.0.0.1:9000").queued().state(s);
  };
  for (const State s : {State::fin_wait1, State::fin_wait2, State::closing, State::last_ack}) {
    const auto f = changes(ask("127.0.0.1:8080"), view_of({closed(s)}));
    EXPECT_FALSE(offers_an_option_there(f)) << f.texts();
    EXPECT_FALSE(f.has({Step::close_holders})) << "it is closed";
    EXPECT_TRUE(f.has({Step::wait_for_closed})) << f.texts();
    EXPECT_NE(f.texts().find("wait until the kernel has ended the connections that were closed: "
                             "they stay in " +
                             std::string(to_string(s)) + " until "),
              std::string::npos)
        << f.texts();
    EXPECT_TRUE(changes(ask("127.0.0.1:8080"), view_of({closed(s).reuseaddr()}))
                    .has({Step::set_reuseaddr}));
  }
}

TEST(Change, NobodySetsAnOptionOnASocketOfTheKernel) {
  const auto tunnel = holds("0.0.0.0:8080").udp().with(SocketFlag::kernel);
  const auto f = changes(ask("127.0.0.1:8080").udp(), view_of({tunnel}));
  EXPECT_FALSE(offers_an_option_there(f)) << f.texts();
  EXPECT_TRUE(f.has({Step::close_holders}));
  EXPECT_EQ(f.texts().find("remove what in the kernel uses the port (a WireGuard"), 0u)
      << f.texts();
  EXPECT_EQ(f.texts().find("stop"), std::string::npos) << f.texts();
}

TEST(Change, AnUnacceptedConnectionGoesWithItsListener) {
  const auto f = changes(ask("127.0.0.1:8080"),
                         view_of({holds("127.0.0.1:8080").child("127.0.0.1:5000").queued()}));
  EXPECT_FALSE(offers_an_option_there(f)) << f.texts();
  EXPECT_TRUE(f.has({Step::close_holders})) << "it is reset, and leaves no TIME_WAIT";
  EXPECT_NE(f.texts().find("stop the listener whose queue the connections wait in"),
            std::string::npos);
}

TEST(Change, V6onlyLetsADualStackWildcardIn) {
  const auto f = changes(ask("[::]:8080"), view_of({holds("0.0.0.0:8080").listening()}));
  EXPECT_TRUE(f.has({Step::set_v6only}));
}

TEST(Change, AnotherUserAlone) {
  const auto f = changes(ask("127.0.0.1:8080").reuseport().uid(5),
                         view_of({holds("127.0.0.1:8080").reuseport().listening()}));
  EXPECT_TRUE(f.has({Step::same_user}));
}

TEST(Change, PrivilegeAndAddress) {
  const auto low = changes(ask("127.0.0.1:80"), {});
  EXPECT_TRUE(low.has({Step::capability}));
  EXPECT_TRUE(low.has({Step::unprivileged_port}));
  EXPECT_NE(low.texts().find("use a port from 1024 up"), std::string::npos);
  const auto foreign = changes(ask("192.0.2.1:8080"), {});
  EXPECT_TRUE(foreign.has({Step::set_freebind}));
  EXPECT_TRUE(foreign.has({Step::other_address}));
}

TEST(Change, UdpIsCountedDownInItsSlot) {
  const auto f = changes(ask("0.0.0.0:5353").udp(), view_of({holds("0.0.0.0:5353").udp()}));
  EXPECT_TRUE(f.has({Step::close_holders}));
  EXPECT_TRUE(f.has({Step::set_reuseaddr, Step::holders_reuseaddr}));
}

// What is offered works, and nothing in it is too much.
TEST(Change, EveryOfferIsVerifiedAndMinimal) {
  const std::vector<model::PortView> worlds = {
      view_of({holds("127.0.0.1:8080").listening()}),
      view_of({holds("127.0.0.1:8080"), holds("10.0.0.5:8080").time_wait(5000)}),
      view_of({holds("[::]:8080").reuseport().uid(7), holds("127.0.0.1:8080").reuseaddr()}),
      view_of({holds("127.0.0.1:8080").child("10.0.0.9:1").queued()})};
  for (const auto& world : worlds) {
    const Found f = changes(ask("0.0.0.0:8080"), world);
    EXPECT_FALSE(f.changes.empty());
    EXPECT_LE(f.changes.size(), 6u);
    for (size_t i = 0; i < f.changes.size(); ++i) {
      EXPECT_GE(f.changes[i].steps.size(), f.changes[i == 0 ? 0 : i - 1].steps.size());
      for (size_t k = 0; k < f.changes.size(); ++k) {
        if (i == k) continue;
        const bool inside = std::ranges::all_of(f.changes[k].steps, [&](Step s) {
          return std::ranges::find(f.changes[i].steps, s) != f.changes[i].steps.end();
        });
        EXPECT_FALSE(inside) << f.changes[i].text << " contains " << f.changes[k].text;
      }
      EXPECT_FALSE(f.changes[i].text.empty());
    }
  }
}

TEST(Change, ThousandsOfTimeWaitSocketsTakeNoLongerThanABlink) {
  model::PortView view = view_of({holds("127.0.0.1:8080").time_wait(1000)});
  auto& sockets = view.buckets[0].sockets;
  while (sockets.size() < 20'000) {
    sockets.push_back(sockets[0]);
    sockets.back().id = sockets.size() + 5000;
  }
  EXPECT_TRUE(changes(ask("0.0.0.0:8080"), view).has({Step::wait}));
}

} // namespace
} // namespace bindlens::rules::test
