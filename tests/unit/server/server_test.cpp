#include "raw_client.h"
#include "server_fixture.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

namespace bindlens::server {
namespace {

using nlohmann::json;
using test::RawClient;
using test::RawReply;

std::vector<json> lines_of(const std::string& body) {
  std::vector<json> out;
  std::istringstream in(body);
  for (std::string line; std::getline(in, line);)
    out.push_back(json::parse(line));
  return out;
}

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto& backend = server_.backend();
    for (const uint16_t port : std::initializer_list<uint16_t>{80, 443, 8080}) {
      const auto holder = test::process(port, "p" + std::to_string(port));
      backend.sockets.push_back({test::listener(port), holder, {{holder, 3}}});
    }
    backend.current.version = "0.1.0";
    backend.report.sockets = 3;
  }
  RawReply get(const std::string& target) { return RawClient(server_.path()).get(target); }
  void expect_error(const RawReply& r, unsigned status, const std::string& field,
                    const std::string& part) {
    EXPECT_EQ(r.status, status);
    const json body = json::parse(r.body, nullptr, false);
    ASSERT_TRUE(body.is_object()) << r.body;
    EXPECT_EQ(body.value("field", ""), field);
    EXPECT_NE(body.value("error", "").find(part), std::string::npos) << r.body;
  }
  test::RunningServer server_;
};

TEST_F(ServerTest, ListsSocketsAsLines) {
  const auto r = get("/v1/sockets");
  EXPECT_EQ(r.status, 200u);
  EXPECT_TRUE(r.complete);
  EXPECT_NE(r.head.find("application/x-ndjson"), std::string::npos);
  const auto rows = lines_of(r.body);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["port"], 80);
  EXPECT_EQ(rows[0]["holders"][0]["comm"], "p80");
}

TEST_F(ServerTest, FiltersAndLimits) {
  EXPECT_EQ(lines_of(get("/v1/sockets?port=443,8000-9000").body).size(), 2u);
  EXPECT_EQ(lines_of(get("/v1/sockets?comm=p80").body).size(), 1u);
  EXPECT_EQ(lines_of(get("/v1/sockets?limit=2").body).size(), 2u);
  const auto none = get("/v1/sockets?port=1");
  EXPECT_EQ(none.status, 200u);
  EXPECT_TRUE(none.complete);
  EXPECT_EQ(none.body, "");
}

TEST_F(ServerTest, HandsAllAndWideOn) {
  EXPECT_EQ(get("/v1/sockets?all&wide=yes").status, 200u);
  const auto query = server_.in_loop([&] { return server_.backend().last_query; });
  EXPECT_TRUE(query.all);
  EXPECT_TRUE(query.wide);
}

TEST_F(ServerTest, AnswersDocuments) {
  const auto status = get("/v1/status");
  EXPECT_EQ(status.status, 200u);
  EXPECT_NE(status.head.find("application/json"), std::string::npos);
  EXPECT_EQ(json::parse(status.body)["version"], "0.1.0");
  EXPECT_EQ(json::parse(get("/v1/verify").body)["sockets"], 3);
}

TEST_F(ServerTest, ChecksForThePeerOfTheSocket) {
  const std::string body = R"({"proto":"tcp","addr":"*","port":8080,"uid":"www-data"})";
  RawClient client(server_.path());
  client.send("POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  const auto r = client.reply();
  EXPECT_EQ(r.status, 200u) << r.body;
  EXPECT_EQ(json::parse(r.body)["would_succeed"], false);
  server_.in_loop([&] {
    EXPECT_EQ(server_.backend().last_check.at.port, 8080);
    EXPECT_EQ(server_.backend().last_check.uid, 33u);
    EXPECT_EQ(server_.backend().last_peer.pid, static_cast<uint32_t>(::getpid()));
    EXPECT_EQ(server_.backend().last_peer.uid, ::getuid());
  });
}

TEST_F(ServerTest, NamesTheParameterAtFault) {
  expect_error(get("/v1/sockets?port=65536"), 400, "port", "'65536'");
  expect_error(get("/v1/sockets?prot=tcp"), 400, "prot", "not known");
  expect_error(get("/v1/sockets?uid=nobody-here"), 400, "uid", "nobody-here");
  expect_error(get("/v1/sockets?netns=gone"), 400, "netns", "'gone'");
  expect_error(get("/v1/sockets?port=%zz"), 400, "", "%-escape");
  expect_error(get("/v1/status?x=1"), 400, "x", "no parameters");
}

TEST_F(ServerTest, NamesThePathThatIsNotThere) {
  expect_error(get("/"), 404, "", "/v1/sockets");
  expect_error(get("/v1/socket"), 404, "", "/v1/socket");
  for (const char* path : {"/metrics"})
    expect_error(get(path), 404, "", "is not in this version");
}

TEST_F(ServerTest, NamesTheMethodsThatExist) {
  RawClient client(server_.path());
  client.send("DELETE /v1/sockets HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto r = client.reply();
  expect_error(r, 405, "", "DELETE");
  EXPECT_NE(r.head.find("Allow: GET, HEAD\r\n"), std::string::npos);
  EXPECT_NE(get("/v1/check").head.find("Allow: POST\r\n"), std::string::npos);
}

TEST_F(ServerTest, AnswersHeadWithoutABody) {
  RawClient client(server_.path());
  for (const char* path : {"/v1/sockets", "/v1/status", "/v1/events?follow=1"}) {
    client.send("HEAD " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.reply(true).status, 200u);
  }
  EXPECT_EQ(client.get("/v1/status").status, 200u) << "nothing was left on the connection";
}

TEST_F(ServerTest, SaysWhatTheDaemonCouldNotDo) {
  server_.in_loop([&] { server_.backend().broken = "kernel memory cannot be read"; });
  expect_error(get("/v1/sockets"), 503, "", "kernel memory");
  expect_error(get("/v1/verify"), 503, "", "kernel memory");
}

TEST_F(ServerTest, KeepsAConnectionAndAnswersInOrder) {
  RawClient client(server_.path());
  std::string ahead;
  for (int i = 0; i < 50; ++i)
    ahead += "GET /v1/sockets?limit=" + std::to_string(i % 3) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_TRUE(client.send(ahead));
  for (size_t i = 0; i < 50; ++i)
    EXPECT_EQ(lines_of(client.reply().body).size(), i % 3);
}

TEST_F(ServerTest, ClosesWhenAsked) {
  RawClient client(server_.path());
  client.send("GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.reply().complete);
  EXPECT_TRUE(client.ends());
}

TEST_F(ServerTest, SpeaksHttp10WithoutChunks) {
  RawClient client(server_.path());
  client.send("GET /v1/sockets HTTP/1.0\r\n\r\n");
  const auto r = client.reply();
  EXPECT_EQ(r.head.find("chunked"), std::string::npos);
  EXPECT_EQ(lines_of(r.body).size(), 3u);
}

TEST_F(ServerTest, AnswersAClientThatHasEndedSending) {
  RawClient client(server_.path());
  client.send("GET /v1/sockets HTTP/1.1\r\nHost: x\r\n\r\n");
  client.end_sending();
  EXPECT_EQ(lines_of(client.reply().body).size(), 3u);
  EXPECT_TRUE(client.ends());
}

TEST_F(ServerTest, StopsWithClientsConnected) {
  auto other = std::make_unique<test::RunningServer>();
  RawClient idle(other->path());
  RawClient follower(other->path());
  follower.send("GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(other->wait_until([&] { return other->backend().subscribers() == 1; }));
  other.reset();
  EXPECT_TRUE(idle.ends());
  EXPECT_TRUE(follower.ends());
}

} // namespace
} // namespace bindlens::server
