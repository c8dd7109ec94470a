// The history against the exact log of many processes that bind, listen, are refused and
// close: everything that the daemon answers afterwards equals that log.

#include "ledger.h"

#include <bindlens/history/database.h>
#include <bindlens/history/schema.h>
#include <bindlens/protocol/time_text.h>
#include <bindlens/util/clock.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <random>
#include <thread>

namespace bindlens::test {
namespace {

using namespace std::chrono_literals;
using Kind = Operation::Kind;

constexpr uint16_t ports_at_once = 500; // of a long answer, so that it fits into memory
constexpr int questions = 200;
constexpr int moments = 100;

bool is_long() {
  const char* longer = std::getenv("BINDLENS_LONG");
  return longer != nullptr && std::string_view(longer) == "1";
}

// For seconds, however few they are: the one before a kill is left out.
WorkloadPlan plan() {
  WorkloadPlan p;
  p.operations = is_long() ? 200'000 : static_cast<size_t>(scaled(20'000));
  p.per_second = is_long() ? 10'000 : scaled(5'000);
  return p;
}

class PastWorkload : public testing::Test {
 protected:
  [[nodiscard]] std::vector<std::string> arguments() const {
    return {"--state-dir", state_.path()};
  }
  // The one value that a statement gives.
  [[nodiscard]] std::string value(const std::string& sql) const {
    auto db = history::Database::open(state_.path() + "/" + std::string(history::file_name),
                                      history::Database::Mode::read);
    if (!db) give_up(db.error().text);
    history::Statement s(*db, sql);
    return s.bind().step() ? s.text(0) : db->error();
  }
  [[nodiscard]] int64_t offset() const {
    EXPECT_EQ(value("SELECT count(*) FROM clock WHERE id = (SELECT clock FROM run WHERE id = 1)"),
              "1");
    return std::stoll(value("SELECT offset FROM clock WHERE id = (SELECT clock FROM run WHERE id = "
                            "1)"));
  }
  void let_work(const Workload& w) const {
    const auto limit = 60s + std::chrono::seconds(static_cast<int>(
                                 static_cast<double>(plan_.operations) / plan_.per_second * 10));
    ASSERT_TRUE(eventually([&] { return w.is_done(); }, limit)) << w.made() << " operations";
  }
  [[nodiscard]] std::vector<Json> ask(const Daemon& daemon, const std::string& what,
                                      const std::string& query) const {
    auto lines = daemon.lines("/v1/" + what + "?" + netns.query() + query);
    std::erase_if(lines, [](const Json& line) {
      return line.value("missing", "") == "not-running" || line.value("missing", "") == "not-kept";
    });
    return lines;
  }
  [[nodiscard]] std::vector<std::string> slices_of_ports() const {
    std::vector<std::string> all;
    const auto range = [&](int first, int count) {
      all.push_back("&port=" + std::to_string(first) + "-" + std::to_string(first + count - 1));
    };
    range(Workload::first_contested, Workload::contested_ports);
    const int end = Workload::first_own + static_cast<int>(plan_.workers) * Workload::own_ports;
    for (int p = Workload::first_own; p < end; p += ports_at_once)
      range(p, ports_at_once);
    return all;
  }

  void compare_events(const Daemon& daemon, Ledger& ledger, uint64_t certain_until);
  void compare_failures(const Daemon& daemon, Ledger& ledger, uint64_t certain_until);
  void compare_questions(const Daemon& daemon, Ledger& ledger, uint64_t certain_until);
  void compare_moments(const Daemon& daemon, const Ledger& ledger, uint64_t certain_until);
  void compare(const Daemon& daemon, Ledger& ledger, uint64_t certain_until) {
    compare_events(daemon, ledger, certain_until);
    compare_failures(daemon, ledger, certain_until);
    compare_questions(daemon, ledger, certain_until);
    compare_moments(daemon, ledger, certain_until);
    EXPECT_EQ(value("PRAGMA integrity_check"), "ok");
  }

  Netns netns;
  TempDir state_;
  WorkloadPlan plan_ = plan();
  std::string since_ = "&since=" + now_text();
  // When the oldest operation that is not told of ended: of the refusals, and of the others.
  uint64_t first_missing_refusal_ = UINT64_MAX, first_missing_ = UINT64_MAX;
};

std::string text(const Ledger::Entry& e) {
  return (e.op.udp ? "udp " : "tcp ") + std::to_string(e.op.port) + " kind " +
         std::to_string(int(e.op.kind)) + " errno " + std::to_string(e.op.error) + " pid " +
         std::to_string(e.pid) + " at " + std::to_string(e.op.before) + " to " +
         std::to_string(e.op.after);
}

// Each operation is told of once, as it was, and nothing else is.
void PastWorkload::compare_events(const Daemon& daemon, Ledger& ledger, uint64_t certain_until) {
  std::vector<int> told(ledger.entries().size());
  for (const std::string& ports : slices_of_ports())
    for (const Json& e : ask(daemon, "events", since_ + ports + "&type=bind,listen,release,fail")) {
      std::string problem;
      ASSERT_NE(e["type"], "gap") << e;
      const auto entry = ledger.entry_of(e, problem);
      EXPECT_TRUE(entry.has_value()) << problem << e;
      if (entry) ++told[*entry];
      if (HasFailure()) return;
    }
  for (size_t i = 0; i < told.size(); ++i) {
    const Ledger::Entry& e = ledger[i];
    EXPECT_LE(told[i], 1) << text(e);
    uint64_t& first = e.op.is_refusal() ? first_missing_refusal_ : first_missing_;
    if (told[i] == 0) first = std::min(first, e.op.after);
    if (e.latest <= certain_until) {
      EXPECT_EQ(told[i], 1) << text(e);
    }
  }
}

void PastWorkload::compare_failures(const Daemon& daemon, Ledger& ledger, uint64_t certain_until) {
  using Key = std::tuple<pid_t, uint16_t, bool, int>; // process, port, listen, errno
  std::map<Key, uint64_t> certain, possible, told;
  for (const Ledger::Entry& e : ledger.entries()) {
    if (!e.op.is_refusal()) continue;
    const Key key{e.pid, e.op.port, e.op.kind == Kind::listen, e.op.error};
    ++possible[key];
    if (e.op.after <= certain_until) ++certain[key];
  }
  for (const std::string& ports : slices_of_ports())
    for (const Json& f : ask(daemon, "failures", since_ + ports)) {
      std::string problem;
      const auto entry = ledger.entry_of_failure(f, problem);
      ASSERT_TRUE(entry.has_value()) << problem << f;
      const Ledger::Entry& e = ledger[*entry];
      EXPECT_EQ(ledger.compare_holders(e, f), "") << text(e) << "\n" << f;
      told[{e.pid, e.op.port, e.op.kind == Kind::listen, e.op.error}] += f["count"].get<uint64_t>();
      if (HasFailure()) return;
    }
  for (const auto& [key, count] : possible) {
    EXPECT_LE(told[key], count) << "port " << std::get<1>(key);
    EXPECT_GE(told[key], certain[key]) << "port " << std::get<1>(key);
    if (HasFailure()) return;
  }
}

// Events of some ports and types in some window of time.
void PastWorkload::compare_questions(const Daemon& daemon, Ledger& ledger, uint64_t certain_until) {
  std::mt19937 random(7);
  const char* const types[] = {"bind", "listen", "release", "fail"};
  const uint64_t begin = ledger[0].op.before;
  const uint64_t span = certain_until - begin;
  for (int n = 0; n < questions; ++n) {
    const uint64_t from = begin + random() % 1000 * (span / 1000);
    const uint64_t to = from + random() % 200 * (span / 1000);
    const Operation& some = ledger[random() % ledger.entries().size()].op;
    const int last = some.port + static_cast<int>(random() % 3 * 20);
    const size_t type = random() % 4;
    const std::string query = "&since=" + protocol::to_rfc3339(ledger.wall(from)) +
                              "&until=" + protocol::to_rfc3339(ledger.wall(to)) +
                              "&port=" + std::to_string(some.port) + "-" + std::to_string(last) +
                              "&type=" + types[type];
    std::set<size_t> told;
    for (const Json& e : ask(daemon, "events", query)) {
      std::string problem;
      const auto entry = ledger.entry_of(e, problem);
      ASSERT_TRUE(entry.has_value()) << problem << e << "\n" << query;
      EXPECT_TRUE(told.insert(*entry).second) << "twice: " << e;
    }
    for (size_t i = 0; i < ledger.entries().size(); ++i) {
      const Ledger::Entry& e = ledger[i];
      const bool of_type =
          e.op.is_refusal() ? type == 3 : type != 3 && type == static_cast<size_t>(e.op.kind);
      const bool asked = of_type && e.op.port >= some.port && e.op.port <= last;
      if (asked && e.op.before >= from && e.latest <= std::min(to, certain_until)) {
        EXPECT_TRUE(told.contains(i)) << text(e) << "\n" << query;
      }
      if (!asked || e.latest < from || e.op.before > to) {
        EXPECT_FALSE(told.contains(i)) << text(e) << "\n" << query;
      }
      if (HasFailure()) return;
    }
  }
}

// The table of a moment. Where it lies within a call, that one socket may be either.
void PastWorkload::compare_moments(const Daemon& daemon, const Ledger& ledger,
                                   uint64_t certain_until) {
  std::mt19937_64 random(11);
  const uint64_t begin = ledger[0].op.before;
  for (int n = 0; n < moments; ++n) {
    const uint64_t at = begin + random() % (certain_until - begin);
    std::map<uint64_t, Json> told;
    for (const Json& s : ask(daemon, "sockets", "&at=" + protocol::to_rfc3339(ledger.wall(at)))) {
      EXPECT_FALSE(s.contains("uncertain")) << s;
      EXPECT_TRUE(ledger.lives().contains(Ledger::cookie(s))) << s;
      EXPECT_TRUE(told.emplace(Ledger::cookie(s), s).second) << "twice: " << s;
    }
    for (const auto& [cookie, life] : ledger.lives()) {
      if (life.bind < 0) continue;
      const Ledger::Entry& bind = ledger[static_cast<size_t>(life.bind)];
      const Ledger::Entry* listen = life.listen < 0 ? nullptr : &ledger[size_t(life.listen)];
      const Ledger::Entry* close = life.close < 0 ? nullptr : &ledger[size_t(life.close)];
      const auto found = told.find(cookie);
      if (at < bind.op.before || (close != nullptr && at > close->latest)) {
        EXPECT_EQ(found, told.end()) << text(bind) << "\nat " << at;
      } else if (at > bind.op.after && (close == nullptr || at < close->op.before)) {
        ASSERT_NE(found, told.end()) << text(bind) << "\nat " << at;
        EXPECT_EQ(found->second["port"], bind.op.port);
        EXPECT_EQ(found->second["binder"]["pid"], bind.pid);
        if (!bind.op.udp && (listen == nullptr || at < listen->op.before)) {
          EXPECT_EQ(found->second["state"], "BOUND") << text(bind);
        }
        if (listen != nullptr && at > listen->op.after) {
          EXPECT_EQ(found->second["state"], "LISTEN") << text(bind);
        }
      }
      if (HasFailure()) return;
    }
  }
}

void describe(const Ledger& ledger, double seconds) {
  size_t refused = 0;
  for (const Ledger::Entry& e : ledger.entries())
    refused += e.op.is_refusal();
  std::printf("%zu operations in %.1f s, %zu of them refused, %zu sockets closed while somebody "
              "looked at them\n",
              ledger.entries().size(), seconds, refused, ledger.released_late());
}

TEST_F(PastWorkload, EqualsTheLogAfterARestart) {
  auto first = std::make_unique<Daemon>(arguments());
  const uint64_t start = monotonic_now();
  const Workload workload(netns, plan_);
  let_work(workload);
  const double seconds = static_cast<double>(monotonic_now() - start) / 1e9;
  const Json status = first->one("/v1/status");
  EXPECT_EQ(status["events"]["lost"], 0) << status;
  const uint64_t watched_until = monotonic_now();
  EXPECT_EQ(first->stop(), 0);
  first.reset();
  const Daemon second(arguments());
  Ledger ledger(workload, offset());
  ASSERT_GE(ledger.entries().size(), plan_.operations);
  compare(second, ledger, watched_until);
  describe(ledger, seconds);
}

TEST_F(PastWorkload, LacksAtMostASecondAfterAKill) {
  Daemon first(arguments());
  const uint64_t start = monotonic_now();
  const Workload workload(netns, plan_);
  ASSERT_TRUE(eventually([&] { return workload.made() > plan_.operations / 2; }, 120s));
  const uint64_t killed = monotonic_now();
  first.kill();
  let_work(workload);
  const double seconds = static_cast<double>(monotonic_now() - start) / 1e9;
  const Daemon second(arguments());
  EXPECT_EQ(value("PRAGMA integrity_check"), "ok");
  Ledger ledger(workload, offset());
  compare(second, ledger, killed - 1'000'000'000);
  describe(ledger, seconds);
  const auto before = [killed](uint64_t time) {
    return time > killed ? 0 : static_cast<double>(killed - time) / 1e6;
  };
  std::printf(
      "the oldest that is missing ended %.0f ms before the kill, the oldest refusal %.0f ms\n",
      before(first_missing_), before(first_missing_refusal_));
}

} // namespace
} // namespace bindlens::test
