// Answers from the history, as they come piece by piece.

#include "raw_client.h"
#include "server_fixture.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace bindlens::server {
namespace {

using nlohmann::json;
using test::RawClient;

constexpr MonoNs noon = 1'772'366'400'000'000'000; // 2026-03-01T12:00:00Z

model::PastItem socket_event(uint16_t port, std::string netns_name = {}) {
  model::Event e;
  e.id = port;
  e.time = noon + port;
  e.socket = test::listener(port);
  return {e, std::move(netns_name)};
}

class PastTest : public testing::Test {
 protected:
  test::RawReply get(const std::string& target) {
    RawClient client(server_.path());
    client.send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return client.reply();
  }
  std::vector<json> lines(const std::string& target) {
    std::vector<json> all;
    std::istringstream text(get(target).body);
    for (std::string line; std::getline(text, line);)
      all.push_back(json::parse(line));
    return all;
  }
  void set_pieces(std::vector<Result<model::PastPiece>> pieces) {
    server_.in_loop([&] { server_.backend().past_pieces = std::move(pieces); });
  }
  test::RunningServer server_;
};

TEST_F(PastTest, PiecesAreOneAnswer) {
  set_pieces({model::PastPiece{{socket_event(1), socket_event(2, "web-1")}, false},
              model::PastPiece{{}, false}, model::PastPiece{{socket_event(3)}, true}});
  const auto all = lines("/v1/events?since=2h");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0]["time"], "2026-03-01T12:00:00.000000001Z") << "wall time, as the history has it";
  EXPECT_EQ(all[0]["netns_name"], "host");
  EXPECT_EQ(all[1]["netns_name"], "web-1") << "as it was called then";
  EXPECT_EQ(all[2]["port"], 3);
}

TEST_F(PastTest, TheBackendGetsTheQuestionInWallTime) {
  (void)lines("/v1/failures?since=2026-03-01T12:00:00Z&limit=7&port=80");
  const auto query = server_.in_loop([&] { return server_.backend().last_past; });
  EXPECT_EQ(query.of, Backend::PastQuery::Of::failures);
  EXPECT_EQ(query.filter.since, noon);
  EXPECT_EQ(query.limit, 7u);
  EXPECT_EQ(query.filter.single_port(), 80);
  (void)get("/v1/sockets?at=2026-03-01T12:00:00Z");
  const auto table = server_.in_loop([&] { return server_.backend().last_past; });
  EXPECT_EQ(table.of, Backend::PastQuery::Of::sockets);
  EXPECT_EQ(table.at, static_cast<int64_t>(noon));
}

TEST_F(PastTest, SocketsOfTheTableSayWhatIsUncertain) {
  model::PastSocket certain;
  certain.socket = test::listener(80);
  certain.bound_at = static_cast<int64_t>(noon);
  certain.binder = test::process(812, "nginx");
  model::PastSocket uncertain = certain;
  uncertain.uncertain = "the daemon did not run";
  uncertain.bound_at = 0;
  model::Missing missing;
  missing.why = model::Missing::Why::not_running;
  missing.from = static_cast<int64_t>(noon);
  missing.until = static_cast<int64_t>(noon) + 1;
  missing.reason = "the daemon did not run";
  set_pieces({model::PastPiece{{{missing, {}}, {certain, {}}, {uncertain, {}}}, true}});
  const auto all = lines("/v1/sockets?at=1h&limit=2");
  ASSERT_EQ(all.size(), 3u) << "a gap is no socket";
  EXPECT_EQ(all[0]["type"], "gap");
  EXPECT_EQ(all[0]["missing"], "not-running");
  EXPECT_EQ(all[0]["until"], "2026-03-01T12:00:00.000000001Z");
  EXPECT_EQ(all[1]["bound_at"], "2026-03-01T12:00:00.000000000Z");
  EXPECT_EQ(all[1]["binder"]["comm"], "nginx");
  EXPECT_FALSE(all[1].contains("holders")) << "nobody knows";
  EXPECT_FALSE(all[1].contains("uncertain"));
  EXPECT_EQ(all[2]["uncertain"], "the daemon did not run");
  EXPECT_FALSE(all[2].contains("bound_at"));
  EXPECT_EQ(lines("/v1/sockets?at=1h&limit=1").size(), 2u);
}

TEST_F(PastTest, WhatFailsAtOnceIsAnError) {
  set_pieces({fail("the file is not there")});
  const auto r = get("/v1/events?since=1h");
  EXPECT_EQ(r.status, 503u);
  EXPECT_NE(r.body.find("the file is not there"), std::string::npos);
}

TEST_F(PastTest, WhatFailsOnTheWayIsSaidAtTheEnd) {
  set_pieces({model::PastPiece{{socket_event(1)}, false}, fail("the disk is gone")});
  const auto all = lines("/v1/events?since=1h");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1]["missing"], "unavailable");
  EXPECT_NE(all[1]["reason"].get<std::string>().find("the disk is gone"), std::string::npos);
}

TEST_F(PastTest, AClientThatGoesAwayEndsItsQuery) {
  set_pieces({model::PastPiece{{socket_event(1)}, false}}); // and then nothing comes
  {
    RawClient client(server_.path());
    client.send("GET /v1/events?since=1h HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(server_.wait_until([&] { return server_.backend().live_cursors() == 1; }));
  }
  EXPECT_TRUE(server_.wait_until([&] { return server_.backend().live_cursors() == 0; }));
}

TEST_F(PastTest, FollowingBeginsWithThePastAndMissesNothing) {
  set_pieces(
      {model::PastPiece{{socket_event(1)}, false}, model::PastPiece{{socket_event(2)}, true}});
  RawClient client(server_.path());
  client.send("GET /v1/events?since=1h&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(server_.wait_until([&] { return server_.backend().subscribers() == 1; }));
  model::Event live;
  live.id = 3;
  live.time = monotonic_now();
  live.socket = test::listener(3);
  server_.in_loop([&] { server_.backend().emit(live); });
  std::string text;
  while (text.find("\"port\":3") == std::string::npos) {
    const std::string more = client.receive();
    ASSERT_FALSE(more.empty()) << text;
    text += more;
  }
  EXPECT_LT(text.find("\"port\":1"), text.find("\"port\":2"));
  EXPECT_LT(text.find("\"port\":2"), text.find("\"port\":3"));
}

TEST_F(PastTest, ATimeOfTheTableMustMakeSense) {
  for (const char* target :
       {"/v1/sockets?at=2999-01-01", "/v1/sockets?at=x", "/v1/sockets?at=1h&all=1",
        "/v1/sockets?at=1h&wide=1", "/v1/events?at=1h"}) {
    const auto r = get(target);
    EXPECT_EQ(r.status, 400u) << target;
    EXPECT_EQ(json::parse(r.body)["field"], "at") << target;
  }
}

} // namespace
} // namespace bindlens::server
