// Long answers and the event stream.

#include "raw_client.h"
#include "server_fixture.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>

namespace bindlens::server {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::RawClient;

model::Event event(uint64_t id, uint16_t port = 80) {
  model::Event e;
  e.id = id;
  e.time = monotonic_now();
  e.type = model::EventType::bind;
  e.socket = test::listener(port);
  e.process = test::process(7, "nginx");
  return e;
}

void fill(test::RunningServer& server, size_t count) {
  const auto holder = test::process(7, "nginx");
  for (size_t i = 0; i < count; ++i)
    server.backend().sockets.push_back(
        {test::listener(static_cast<uint16_t>(i)), holder, {{holder, 3}}});
}

// The lines of a stream, as they come.
class LineReader {
 public:
  explicit LineReader(RawClient& client) : client_(client) {}
  // null at the end of the stream
  json next() {
    size_t end = 0;
    while ((end = body_.find('\n')) == std::string::npos)
      if (!more()) return nullptr;
    const json line = json::parse(body_.substr(0, end));
    body_.erase(0, end + 1);
    return line;
  }

 private:
  // Takes one more whole chunk out of what was received.
  bool more() {
    while (true) {
      if (in_head_) {
        const size_t end = raw_.find("\r\n\r\n");
        if (end != std::string::npos) {
          raw_.erase(0, end + 4);
          in_head_ = false;
          continue;
        }
      } else if (const size_t line = raw_.find("\r\n"); line != std::string::npos) {
        const size_t length = std::stoul(raw_, nullptr, 16);
        if (raw_.size() >= line + 2 + length + 2) {
          body_ += raw_.substr(line + 2, length);
          raw_.erase(0, line + 2 + length + 2);
          return length != 0;
        }
      }
      const std::string piece = client_.receive();
      if (piece.empty()) return false;
      raw_ += piece;
    }
  }
  RawClient& client_;
  std::string raw_, body_;
  bool in_head_ = true;
};

TEST(LongAnswer, ArrivesWholeInSlices) {
  test::RunningServer server;
  fill(server, 20'000);
  const auto r = RawClient(server.path()).get("/v1/sockets");
  EXPECT_TRUE(r.complete);
  EXPECT_EQ(std::ranges::count(r.body, '\n'), 20'000);
}

TEST(LongAnswer, DoesNotHoldUpOthers) {
  test::RunningServer server;
  fill(server, 20'000);
  RawClient slow(server.path());
  slow.send("GET /v1/sockets HTTP/1.1\r\n\r\n");
  // It is not read: the server can only have sent what the socket takes.
  EXPECT_EQ(RawClient(server.path()).get("/v1/status").status, 200u);
  EXPECT_TRUE(slow.reply().complete);
}

TEST(LongAnswer, EndsWithAClientThatGoesAway) {
  test::RunningServer server;
  fill(server, 20'000);
  for (int i = 0; i < 20; ++i) {
    RawClient client(server.path());
    client.send("GET /v1/sockets HTTP/1.1\r\n\r\n");
    client.receive();
  }
  EXPECT_EQ(RawClient(server.path()).get("/v1/status").status, 200u);
}

TEST(LongAnswer, DisconnectsWhoNeverReads) {
  std::atomic<int> warnings = 0;
  Options options;
  options.limits.write_timeout = 100ms;
  options.warn = [&](const std::string&) { ++warnings; };
  test::RunningServer server(options);
  fill(server, 20'000);
  RawClient client(server.path());
  client.send("GET /v1/sockets HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(server.wait_until([&] { return warnings == 1; }));
  EXPECT_FALSE(client.reply().complete) << "a cut answer must show as one";
}

TEST(Events, AreListedOldestFirstAndLimitedToTheNewest) {
  test::RunningServer server;
  for (uint64_t id = 1; id <= 5; ++id)
    server.backend().kept_events.push_back(event(id));
  RawClient client(server.path());
  const auto r = client.get("/v1/events?limit=2");
  EXPECT_TRUE(r.complete);
  std::istringstream lines(r.body);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(json::parse(line)["id"], 4);
  std::getline(lines, line);
  EXPECT_EQ(json::parse(line)["id"], 5);
}

TEST(Follow, TellsHistoryThenWhatHappens) {
  test::RunningServer server;
  server.backend().kept_events = {event(1), event(2, 443)};
  RawClient client(server.path());
  client.send("GET /v1/events?follow=1&port=80 HTTP/1.1\r\n\r\n");
  LineReader lines(client);
  EXPECT_EQ(lines.next()["id"], 1);
  ASSERT_TRUE(server.wait_until([&] { return server.backend().subscribers() == 1; }));
  server.in_loop([&] {
    server.backend().emit(event(3));
    server.backend().emit(event(4, 443)); // filtered out
    server.backend().emit(event(5));
  });
  EXPECT_EQ(lines.next()["id"], 3);
  EXPECT_EQ(lines.next()["id"], 5);
  server.in_loop([&] { server.backend().emit(event(6)); });
  EXPECT_EQ(lines.next()["id"], 6);
}

TEST(Follow, EndsWithAClientThatGoesAway) {
  test::RunningServer server;
  {
    RawClient client(server.path());
    client.send("GET /v1/events?follow=1 HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(server.wait_until([&] { return server.backend().subscribers() == 1; }));
  }
  EXPECT_TRUE(server.wait_until([&] { return server.backend().subscribers() == 0; }));
  server.in_loop([&] { server.backend().emit(event(1)); });
}

TEST(Follow, TellsASlowReaderWhatItMissed) {
  constexpr uint64_t sent = 5000;
  std::atomic<int> warnings = 0;
  Options options;
  options.limits.follow_buffer = 64 * 1024;
  options.warn = [&](const std::string&) { ++warnings; };
  test::RunningServer server(options);
  RawClient client(server.path());
  client.send("GET /v1/events?follow=1 HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(server.wait_until([&] { return server.backend().subscribers() == 1; }));
  // Turn by turn, so that the server fills the socket before it has to drop.
  for (uint64_t id = 1; id <= sent; ++id)
    server.in_loop([&] { server.backend().emit(event(id)); });
  EXPECT_EQ(warnings, 1);
  LineReader lines(client);
  uint64_t told = 0;
  uint64_t lost = 0;
  uint64_t last = 0;
  while (told + lost < sent) {
    const json line = lines.next();
    ASSERT_FALSE(line.is_null());
    if (line["type"] == "gap") {
      lost += line["lost"].get<uint64_t>();
      continue;
    }
    ++told;
    EXPECT_GT(line["id"].get<uint64_t>(), last);
    last = line["id"].get<uint64_t>();
  }
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(told + lost, sent) << "every event is told or counted";
  server.in_loop([&] { server.backend().emit(event(sent + 1)); });
  EXPECT_EQ(lines.next()["id"], sent + 1) << "and the stream goes on";
}

} // namespace
} // namespace bindlens::server
