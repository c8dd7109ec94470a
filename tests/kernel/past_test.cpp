// Questions about the past, with real processes: the table of any moment, across a
// restart and a kill, and the time line of a port.

#include "world.h"

#include <bindlens/protocol/client.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <thread>

namespace bindlens::test {
namespace {

class Past : public World {
 protected:
  // The tests start daemons of their own.
  void SetUp() override {}

  [[nodiscard]] std::vector<std::string> arguments() const {
    return {"--state-dir", state_.path()};
  }
  [[nodiscard]] static std::vector<Json> without_gaps(std::vector<Json> all) {
    std::erase_if(all, [](const Json& e) { return e.value("type", "") == "gap"; });
    return all;
  }
  [[nodiscard]] static std::set<std::string> gaps(const std::vector<Json>& all) {
    std::set<std::string> found;
    for (const Json& e : all)
      if (e.value("type", "") == "gap") found.insert(e.value("missing", ""));
    return found;
  }
  [[nodiscard]] std::string since() const { return "&since=" + begin_; }

  TempDir state_;
  std::string begin_ = now_text();
};

// What a socket did, by this process's own clock: before and after each call.
struct Life {
  uint16_t port = 0;
  std::string state_of_start, bound_before, bound, listen_before, listening, close_before, closed;
};

TEST_F(Past, TheTableOfAnyMomentEqualsTheLog) {
  const Daemon daemon(arguments());
  std::mt19937 random(3);
  std::vector<Life> lives;
  std::vector<std::pair<int, size_t>> open; // descriptor, index of lives
  const auto close_one = [&] {
    const size_t which = random() % open.size();
    Life& l = lives[open[which].second];
    l.close_before = now_text();
    a.close(open[which].first);
    l.closed = now_text();
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
  };
  const std::string first = now_text();
  const int operations = scaled(600);
  for (int i = 0; i < operations; ++i) {
    if (open.size() > 20 || (!open.empty() && random() % 2 == 0)) {
      close_one();
      continue;
    }
    Life l;
    l.port = static_cast<uint16_t>(20000 + i);
    const int fd = a.tcp();
    l.bound_before = now_text();
    ASSERT_TRUE(a.bind(fd, "127.0.0.1", l.port).ok());
    l.bound = now_text();
    if (random() % 2 == 0) {
      l.listen_before = now_text();
      ASSERT_TRUE(a.listen(fd).ok());
      l.listening = now_text();
    }
    lives.push_back(l);
    open.emplace_back(fd, lives.size() - 1);
  }
  // Moments inside of the work, in nanoseconds of one second each.
  const std::string last = now_text();
  std::vector<std::string> moments;
  for (const Life& l : lives)
    for (const std::string& t : {l.bound, l.listening, l.closed})
      if (!t.empty()) moments.push_back(t);
  std::ranges::shuffle(moments, random);
  moments.resize(std::min<size_t>(moments.size(), 100));
  for (const std::string& at : moments) {
    std::map<uint16_t, std::string> found;
    for (const Json& s : daemon.lines("/v1/sockets?" + netns.query() + "&at=" + at)) {
      EXPECT_FALSE(s.contains("uncertain")) << s;
      EXPECT_EQ(s["binder"]["comm"], "kt-a");
      found[s["port"]] = s["state"];
    }
    for (const Life& l : lives) {
      const auto it = found.find(l.port);
      const bool surely = l.bound <= at && (l.close_before.empty() || at < l.close_before);
      const bool surely_not = at < l.bound_before || (!l.closed.empty() && l.closed <= at);
      if (surely) {
        ASSERT_NE(it, found.end()) << l.port << " at " << at;
        if (l.listening.empty() || at < l.listen_before) {
          EXPECT_EQ(it->second, "BOUND") << l.port;
        }
        if (!l.listening.empty() && l.listening <= at) {
          EXPECT_EQ(it->second, "LISTEN") << l.port;
        }
      }
      if (surely_not) {
        EXPECT_EQ(it, found.end()) << l.port << " at " << at;
      }
    }
  }
}

TEST_F(Past, HasTheRefusalsRightBeforeTheEnd) {
  constexpr int refusals = 300;
  Daemon first(arguments());
  ASSERT_TRUE(a.bind(a.tcp(), "127.0.0.1", 8090).ok());
  for (int i = 0; i < refusals; ++i)
    ASSERT_EQ(b.bind(b.tcp(), "127.0.0.1", 8090).error, EADDRINUSE);
  EXPECT_EQ(first.stop(), 0);
  const Daemon second(arguments());
  int told = 0;
  for (const Json& f :
       without_gaps(second.lines("/v1/failures?port=8090&" + netns.query() + since())))
    told += f.value("count", 0);
  EXPECT_EQ(told, refusals);
}

TEST_F(Past, IsToldAcrossARestartAndAKill) {
  std::string bound_at;
  const int fd = a.tcp();
  {
    Daemon daemon(arguments());
    ASSERT_TRUE(a.bind(fd, "127.0.0.1", 8090).ok());
    ASSERT_TRUE(a.listen(fd).ok());
    bound_at = now_text();
    const int other = b.tcp();
    EXPECT_EQ(b.bind(other, "0.0.0.0", 8090).error, EADDRINUSE);
    EXPECT_TRUE(eventually([&] {
      return !without_gaps(daemon.lines("/v1/failures?port=8090&" + netns.query())).empty();
    }));
    EXPECT_EQ(daemon.stop(), 0);
  }
  const std::string between = now_text();
  Daemon second(arguments());
  const auto check = [&](const Daemon& daemon) {
    const auto all = daemon.lines("/v1/events?port=8090&" + netns.query() + since());
    std::vector<std::string> types;
    for (const Json& e : without_gaps(all))
      types.push_back(e["type"]);
    EXPECT_EQ(types, (std::vector<std::string>{"bind", "listen", "fail"}));
    EXPECT_TRUE(gaps(all).contains("not-running"));
    const auto failures = without_gaps(daemon.lines("/v1/failures?port=8090&" + netns.query()));
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0]["rule"], "listener");
    EXPECT_EQ(failures[0]["process"]["comm"], "kt-b");
    EXPECT_EQ(holders_of(failures[0]), (std::vector<std::string>{held_by(a, fd)}))
        << failures[0].dump(1);
    const auto then = daemon.lines("/v1/sockets?port=8090&" + netns.query() + "&at=" + bound_at);
    ASSERT_EQ(without_gaps(then).size(), 1u) << Json(then).dump(1);
    EXPECT_EQ(without_gaps(then)[0]["state"], "LISTEN");
    EXPECT_FALSE(then[0].contains("uncertain"));
    const auto unwatched =
        daemon.lines("/v1/sockets?port=8090&" + netns.query() + "&at=" + between);
    EXPECT_TRUE(gaps(unwatched).contains("not-running"));
    ASSERT_EQ(without_gaps(unwatched).size(), 1u);
    EXPECT_TRUE(without_gaps(unwatched)[0].contains("uncertain"));
  };
  check(second);
  std::this_thread::sleep_for(std::chrono::seconds(1)); // what is older is never lost
  second.kill();
  check(Daemon(arguments()));
}

TEST_F(Past, HasNeitherHolesNorDuplicatesAtItsNewestEnd) {
  const Daemon daemon(arguments());
  for (uint16_t round = 1; round <= 40; ++round) {
    const int fd = a.tcp();
    ASSERT_TRUE(a.bind(fd, "127.0.0.1", static_cast<uint16_t>(21000 + round)).ok());
    const auto all = without_gaps(
        daemon.lines("/v1/events?type=bind&port=21000-21100&" + netns.query() + since()));
    ASSERT_EQ(all.size(), round);
    for (uint16_t i = 0; i < round; ++i)
      EXPECT_EQ(all[i]["port"], 21001 + i);
    const auto newest =
        without_gaps(daemon.lines("/v1/events?type=bind&limit=3&" + netns.query() + since()));
    EXPECT_EQ(newest.back()["port"], 21000 + round);
  }
}

TEST_F(Past, WithoutAHistoryAnswersSaySo) {
  const Daemon daemon({"--state-dir", "none"});
  const auto events = daemon.lines("/v1/events?since=1h");
  EXPECT_TRUE(gaps(events).contains("not-kept"));
  auto client = protocol::Client::connect(daemon.socket());
  const auto refused = client->get("/v1/sockets?at=1m", [](std::string_view) { return true; });
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().status, 404u);
  EXPECT_NE(refused.error().text.find("--state-dir none"), std::string::npos);
}

} // namespace
} // namespace bindlens::test
