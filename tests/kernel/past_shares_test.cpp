// What members of reuseport groups got, as the history tells it after a restart.

#include "world.h"

#include <bindlens/history/database.h>
#include <bindlens/history/schema.h>

namespace bindlens::test {
namespace {

constexpr uint16_t port = 7500;

class PastShares : public World {
 protected:
  // The test starts daemons of its own.
  void SetUp() override {}

  [[nodiscard]] std::vector<std::string> arguments() const {
    return {"--state-dir", state_.path()};
  }
  [[nodiscard]] int64_t number(const std::string& sql) const {
    auto db = history::Database::open(state_.path() + "/" + std::string(history::file_name),
                                      history::Database::Mode::read);
    if (!db) return -1;
    history::Statement s(*db, sql);
    return s.bind().step() ? s.integer(0) : -1;
  }
  [[nodiscard]] int member(Actor& actor) {
    const int fd = actor.tcp();
    actor.reuseport(fd);
    EXPECT_TRUE(actor.bind(fd, "127.0.0.1", port).ok());
    EXPECT_TRUE(actor.listen(fd, 64).ok());
    return fd;
  }
  // The last leave, from memory when a limit is all that is asked for.
  [[nodiscard]] Json leave(const Daemon& daemon, const std::string& more) const {
    auto all = daemon.lines("/v1/events?type=reuseport-leave&port=" + std::to_string(port) + "&" +
                            netns.query() + more);
    std::erase_if(all, [](const Json& e) { return e["type"] == "gap"; });
    return all.empty() ? Json() : all.back();
  }

  TempDir state_;
  std::string begin_ = now_text();
};

TEST_F(PastShares, AreToldAfterARestart) {
  Json remembered;
  {
    Daemon first(arguments());
    const int left = member(a);
    (void)member(b);
    // At the first look, which may have been before the other one joined.
    EXPECT_TRUE(eventually([&] {
      const int64_t rows =
          number("SELECT count(*) FROM share WHERE port = " + std::to_string(port));
      return rows == 1 || rows == 2;
    }));
    Actor client(netns, "kt-client");
    for (int i = 0; i < 20; ++i)
      ASSERT_TRUE(client.connect(client.tcp(), "127.0.0.1", port).ok());
    ASSERT_TRUE(a.accept(left).ok());
    ASSERT_TRUE(a.close(left).ok());
    EXPECT_TRUE(eventually([&] {
      remembered = leave(first, "&limit=1");
      return !remembered.is_null();
    }));
    EXPECT_EQ(first.stop(), 0);
  }
  const Daemon second(arguments());
  const Json kept = leave(second, "&since=" + begin_);
  for (const char* figure :
       {"selected", "accepted", "datagrams", "drops", "migrated", "lost_at_close", "time"}) {
    EXPECT_EQ(kept.contains(figure), remembered.contains(figure)) << figure;
    if (remembered.contains(figure)) {
      EXPECT_EQ(kept.value(figure, Json()), remembered[figure]) << figure;
    }
  }
  EXPECT_EQ(kept["process"]["comm"], "kt-a") << kept;
  EXPECT_TRUE(kept.contains("drops")) << kept;
  if (kept.contains("accepted")) {
    EXPECT_EQ(kept["accepted"], 1) << kept;
  }
}

} // namespace
} // namespace bindlens::test
