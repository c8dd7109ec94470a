// What clients can do to a server, and that it carries on.

#include "raw_client.h"
#include "server_fixture.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <atomic>
#include <list>

namespace bindlens::server {
namespace {

using namespace std::chrono_literals;
using test::RawClient;

void expect_alive(test::RunningServer& server) {
  EXPECT_EQ(RawClient(server.path()).get("/v1/status").status, 200u);
}

TEST(Limits, RefusesGarbage) {
  test::RunningServer server;
  const std::string zeros(1000, '\0');
  for (const std::string& garbage :
       {std::string("hello\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"), zeros,
        std::string("GET /v1/status HTTP/1.1\r\nbroken header\r\n\r\n"),
        std::string("POST /v1/check HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
        std::string("POST /v1/check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)}) {
    RawClient client(server.path());
    client.send(garbage);
    EXPECT_EQ(client.reply().status, 400u) << garbage.substr(0, 40);
    client.end_sending();
    EXPECT_TRUE(client.ends());
  }
  expect_alive(server);
}

TEST(Limits, SurvivesHalfARequest) {
  test::RunningServer server;
  for (const char* half : {"", "G", "GET /v1/sock", "GET /v1/status HTTP/1.1\r\nHost: x\r\n",
                           "POST /v1/check HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"}) {
    RawClient client(server.path());
    client.send(half);
    client.end_sending();
    EXPECT_TRUE(client.ends()) << half;
  }
  expect_alive(server);
}

TEST(Limits, RefusesALongHeader) {
  test::RunningServer server;
  RawClient client(server.path());
  client.send("GET /v1/status HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(client.reply().status, 413u);
  RawClient long_target(server.path());
  long_target.send("GET /v1/sockets?comm=" + std::string(100'000, 'x') + " HTTP/1.1\r\n\r\n");
  EXPECT_EQ(long_target.reply().status, 413u);
  expect_alive(server);
}

TEST(Limits, RefusesALongBody) {
  test::RunningServer server;
  RawClient announced(server.path());
  announced.send("POST /v1/check HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n");
  EXPECT_EQ(announced.reply().status, 413u);
  // One that is sent all the same is read away, so that the answer arrives.
  RawClient sent(server.path());
  EXPECT_TRUE(sent.send("POST /v1/check HTTP/1.1\r\nContent-Length: 500000\r\n\r\n" +
                        std::string(500'000, ' ')));
  EXPECT_EQ(sent.reply().status, 413u);
  RawClient chunked(server.path());
  chunked.send("POST /v1/check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" +
               std::string(0x20000, ' ') + "\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.reply().status, 413u);
  expect_alive(server);
}

TEST(Limits, DisconnectsWhoNeverSends) {
  Options options;
  options.limits.request_timeout = 100ms;
  test::RunningServer server(options);
  RawClient silent(server.path());
  RawClient half(server.path());
  half.send("GET /v1/st");
  RawClient second_request(server.path());
  EXPECT_EQ(second_request.get("/v1/status").status, 200u);
  EXPECT_TRUE(silent.ends());
  EXPECT_TRUE(half.ends());
  EXPECT_TRUE(second_request.ends());
}

TEST(Limits, AnswersBesideAThousandIdleClients) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  test::RunningServer server;
  std::list<RawClient> idle;
  for (int i = 0; i < 1000; ++i)
    idle.emplace_back(server.path());
  expect_alive(server);
  EXPECT_EQ(idle.front().get("/v1/status").status, 200u) << "they may speak up late";
}

TEST(Limits, ClosesTheLongestIdleForANewClient) {
  Options options;
  options.limits.connections = 3;
  test::RunningServer server(options);
  RawClient first(server.path());
  EXPECT_EQ(first.get("/v1/status").status, 200u);
  RawClient second(server.path());
  EXPECT_EQ(second.get("/v1/status").status, 200u);
  RawClient third(server.path());
  EXPECT_EQ(third.get("/v1/status").status, 200u);
  RawClient fourth(server.path());
  EXPECT_EQ(fourth.get("/v1/status").status, 200u);
  EXPECT_TRUE(first.ends());
  EXPECT_EQ(second.get("/v1/status").status, 200u);
}

TEST(Limits, TurnsAClientAwayWhenAllAreBusy) {
  std::atomic<int> warnings = 0;
  Options options;
  options.limits.connections = 2;
  options.warn = [&](const std::string&) { ++warnings; };
  test::RunningServer server(options);
  std::list<RawClient> busy;
  for (size_t i = 1; i <= 2; ++i) {
    busy.emplace_back(server.path());
    busy.back().send("GET /v1/events?follow=1 HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(server.wait_until([&] { return server.backend().subscribers() == i; }));
  }
  RawClient third(server.path());
  EXPECT_EQ(third.reply().status, 503u);
  EXPECT_TRUE(third.ends());
  EXPECT_EQ(warnings, 1);
}

TEST(Limits, RefusesTooManyFollowers) {
  Options options;
  options.limits.followers = 1;
  test::RunningServer server(options);
  RawClient first(server.path());
  first.send("GET /v1/events?follow=1 HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(server.wait_until([&] { return server.backend().subscribers() == 1; }));
  EXPECT_EQ(RawClient(server.path()).get("/v1/events?follow=1").status, 503u);
  EXPECT_EQ(RawClient(server.path()).get("/v1/events").status, 200u);
  first.close();
  ASSERT_TRUE(server.wait_until([&] { return server.backend().subscribers() == 0; }));
  RawClient next(server.path());
  next.send("GET /v1/events?follow=1 HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(server.wait_until([&] { return server.backend().subscribers() == 1; }));
}

} // namespace
} // namespace bindlens::server
