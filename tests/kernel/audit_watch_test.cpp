// Findings that come and go while the daemon runs: each is told of once.

#include "hashed_group.h"
#include "scenario.h"

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <thread>

namespace bindlens::test {
namespace {

using namespace std::chrono_literals;

constexpr uint16_t port = 8080;

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++n;
  return n;
}

class AuditWatch : public Scenario {
 protected:
  [[nodiscard]] Daemon& daemon() override { return *own_; }

  void overlap() {
    const int wide = a.tcp();
    a.reuseport(wide);
    listening(a, wide, "0.0.0.0", port);
    narrow_ = b.tcp();
    b.reuseport(narrow_);
    listening(b, narrow_, "127.0.0.1", port);
  }
  // "+ ID", "- ID" of this namespace, once there are so many. The daemon remembers the
  // last events only, and other tests may make very many.
  Strings told(size_t least) {
    (void)eventually([&] {
      for (const Json& e : events("&type=audit"))
        told_[e.at("time")] =
            (e.at("resolved") == true ? "- " : "+ ") + e.at("finding").at("id").get<std::string>();
      return told_.size() >= least;
    });
    Strings all;
    for (const auto& [time, text] : told_)
      all.push_back(text);
    return all;
  }
  Json audits() { return daemon().one("/v1/status").at("audit"); }
  void wait_for_another_audit() {
    const auto before = audits().at("runs").get<uint64_t>();
    ASSERT_TRUE(eventually([&] { return audits().at("runs").get<uint64_t>() > before; }));
  }

  [[nodiscard]] static std::unique_ptr<Daemon> start() {
    return std::make_unique<Daemon>(Strings{"--audit-interval", "1"});
  }

  std::unique_ptr<Daemon> own_ = start();
  int narrow_ = -1;
  std::map<std::string, std::string> told_; // by time
};

TEST_F(AuditWatch, AFindingIsToldOfOnceAndWhenItIsGone) {
  overlap();
  ASSERT_EQ(told(1), Strings{"+ wildcard-conflict"});
  const Json e = events("&type=audit").at(0);
  EXPECT_EQ(e["finding"], daemon().one("/v1/audit?" + netns.query())) << "as the audit has it";
  // Everything else changes, and the finding stays.
  for (int i = 0; i < 3; ++i) {
    listening(a, a.tcp(), "127.0.0.1", static_cast<uint16_t>(9000 + i));
    wait_for_another_audit();
  }
  EXPECT_EQ(told(1), Strings{"+ wildcard-conflict"});
  b.close(narrow_);
  EXPECT_EQ(told(2), (Strings{"+ wildcard-conflict", "- wildcard-conflict"}));
  EXPECT_EQ(events("&type=audit").at(1)["finding"]["key"], e["finding"]["key"]);

  const std::string place = " in namespace " + std::to_string(netns.inode());
  EXPECT_EQ(count(daemon().log(), "warning: finding wildcard-conflict" + place + ": "), 1u)
      << daemon().log();
  EXPECT_EQ(count(daemon().log(), "info: finding wildcard-conflict" + place + " is gone: "), 1u);
}

TEST_F(AuditWatch, ARestartBetweenTwoAuditsIsNoNews) {
  overlap();
  ASSERT_EQ(told(1), Strings{"+ wildcard-conflict"});
  b.close(narrow_);
  narrow_ = b.tcp();
  b.reuseport(narrow_);
  listening(b, narrow_, "127.0.0.1", port);
  wait_for_another_audit();
  EXPECT_EQ(told(1), Strings{"+ wildcard-conflict"});
}

TEST_F(AuditWatch, FiltersLookAtTheSocketsOfTheFinding) {
  overlap();
  ASSERT_EQ(told(1), Strings{"+ wildcard-conflict"});
  EXPECT_EQ(events("&type=audit&port=8080&comm=kt-b").size(), 1u);
  EXPECT_EQ(events("&type=audit&port=8081").size(), 0u);
  EXPECT_EQ(events("&type=audit&comm=nobody").size(), 0u);
  EXPECT_EQ(events("&type=audit&proto=udp").size(), 0u);
}

// What was wrong before the daemon came is told as well.
TEST_F(AuditWatch, WhatIsThereAtTheStartIsTold) {
  overlap();
  own_->stop();
  own_ = start();
  EXPECT_EQ(told(1), Strings{"+ wildcard-conflict"});
}

// Nothing comes or goes when a member stops to accept, nor when it goes on: groups are
// looked at each second.
TEST_F(AuditWatch, AMemberThatStallsIsToldOfWithoutAnEvent) {
  Actor worker = a.fork();
  HashedGroup group(a, worker, b, port);
  const Json shown = daemon().one("/v1/reuseport?" + netns.query());
  if (!shown.at("members").at(0).contains("accepted"))
    GTEST_SKIP() << "not counted in this tier, and status says so";
  group.leave_waiting(0);
  EXPECT_EQ(told(1), Strings{"+ reuseport-stalled-member"});
  group.accept_all(0);
  EXPECT_EQ(told(2), (Strings{"+ reuseport-stalled-member", "- reuseport-stalled-member"}));
}

TEST_F(AuditWatch, SkewComesAndGoesWithTheCounters) {
  Actor worker = a.fork();
  HashedGroup group(a, worker, b, port);
  const Json shown = daemon().one("/v1/reuseport?" + netns.query());
  if (!shown.contains("counted_by")) GTEST_SKIP() << "not counted in this tier";
  group.connect_to(0, 60);
  EXPECT_EQ(told(1), Strings{"+ reuseport-skew"});
  group.connect_to(1, 60);
  EXPECT_EQ(told(2), (Strings{"+ reuseport-skew", "- reuseport-skew"}));
}

TEST_F(AuditWatch, BindOverTimeWaitIsToldOf) {
  const auto serve = [&] {
    const int fd = a.tcp();
    a.reuseaddr(fd);
    return listening(a, fd, "127.0.0.1", port);
  };
  const int first = serve();
  const int client = b.tcp();
  ASSERT_TRUE(b.connect(client, "127.0.0.1", port).ok());
  a.close(a.accept(first).value);
  b.close(client);
  a.close(first);
  const int again = serve();
  EXPECT_EQ(told(1), Strings{"+ time-wait-reuse"});
  a.close(again);
  EXPECT_EQ(told(2), (Strings{"+ time-wait-reuse", "- time-wait-reuse"}));
}

// No event tells that a process is gone: it is found when something else changes,
// or within a minute.
TEST_F(AuditWatch, NothingIsDoneWhileNothingChanges) {
  wait_for_another_audit();
  // Other tests and programs of the host may come and go, and their groups stall: then
  // the audits that they cause are fewer than their changes.
  const auto changes = [&] {
    const uint64_t seen = daemon().one("/v1/status")["events"]["seen"];
    return std::pair(seen, daemon().lines("/v1/events?type=audit").size());
  };
  const auto quiet_for = [&](std::chrono::milliseconds time) {
    const auto before = changes();
    const uint64_t runs = audits()["runs"];
    std::this_thread::sleep_for(time);
    const bool quiet = changes() == before;
    return quiet ? std::optional(audits()["runs"].get<uint64_t>() - runs) : std::nullopt;
  };
  std::optional<uint64_t> audits_meanwhile;
  for (int i = 0; i < 10 && !audits_meanwhile; ++i) {
    std::this_thread::sleep_for(2500ms); // for what happened before
    audits_meanwhile = quiet_for(3s);
  }
  if (!audits_meanwhile) GTEST_SKIP() << "the host was never quiet";
  EXPECT_EQ(*audits_meanwhile, 0u);
}

TEST(AuditWatchOff, NothingIsToldAndStatusSaysSo) {
  const Netns netns;
  const Daemon daemon(Strings{"--audit-interval", "0"});
  Actor a(netns, "kt-a");
  const int fd = a.tcp();
  ASSERT_TRUE(a.bind(fd, "127.0.0.1", port).ok());
  a.linger(fd, 0);
  ASSERT_TRUE(a.listen(fd).ok());
  std::this_thread::sleep_for(2s);
  EXPECT_EQ(daemon.lines("/v1/audit?" + netns.query()).size(), 1u) << "there is one to tell of";
  EXPECT_EQ(daemon.lines("/v1/events?type=audit").size(), 0u);
  EXPECT_EQ(daemon.one("/v1/status")["audit"],
            (Json{{"interval_s", 0}, {"runs", 0}, {"cpu_ns", 0}, {"findings", 0}}));
}

TEST(AuditWatchOff, WithoutTheWalkTheLogSaysWhy) {
  const Daemon daemon(Strings{"--audit-interval", "1", "--disable-hook", "walk"});
  // The log says so after the daemon is ready.
  const std::string why = "findings are not watched: an audit needs the reuse flags";
  EXPECT_TRUE(eventually([&] { return count(daemon.log(), why) == 1; })) << daemon.log();
  EXPECT_EQ(daemon.one("/v1/status")["audit"]["interval_s"], 0);
}

// A finding that time alone makes.
TEST_F(AuditWatch, BoundForAMinuteWithoutListening) {
  if (std::getenv("BINDLENS_LONG") == nullptr) GTEST_SKIP() << "takes a minute; BINDLENS_LONG=1";
  bound(a, a.tcp(), "127.0.0.1", port);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(eventually([&] { return !events("&type=audit").empty(); }, 80s));
  const auto passed = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(told(1), Strings{"+ bound-not-listening"});
  EXPECT_GE(passed, 59s);
  EXPECT_LE(passed, 70s) << "not only when a minute without changes is over";
}

} // namespace
} // namespace bindlens::test
