// Lines of the event stream, as the daemon writes them.

#include "top/happening.h"

#include <bindlens/protocol/json.h>

#include <gtest/gtest.h>

namespace bindlens::test {
namespace {

using namespace cli::top;

class NoNames final : public protocol::Names {
 public:
  [[nodiscard]] std::string user(uint32_t) const override { return {}; }
  [[nodiscard]] std::string netns(uint32_t) const override { return {}; }
  [[nodiscard]] std::string dev(uint32_t, uint32_t) const override { return {}; }
};

std::string line_of(model::EventType type, std::string comm = "nginx") {
  model::Event e;
  e.id = 1;
  e.time = monotonic_now();
  e.type = type;
  e.socket.local = *model::parse_endpoint("127.0.0.1:80");
  auto process = std::make_shared<model::Process>();
  process->pid = 812;
  process->comm = std::move(comm);
  e.process = process;
  std::string out;
  protocol::append_event(out, e, NoNames());
  out.pop_back(); // newline
  return out;
}

TEST(Scan, ReadsWhatTheDaemonWrites) {
  using model::EventType;
  const std::pair<EventType, Kind> cases[] = {{EventType::bind, Kind::bind},
                                              {EventType::autobind, Kind::bind},
                                              {EventType::listen, Kind::listen},
                                              {EventType::connect, Kind::connect},
                                              {EventType::release, Kind::release}};
  for (const auto& [type, kind] : cases) {
    const std::string line = line_of(type);
    const auto scanned = scan_happening(line);
    ASSERT_TRUE(scanned) << line;
    const auto event = protocol::read_event(line);
    ASSERT_TRUE(event);
    EXPECT_EQ(scanned->kind, kind);
    EXPECT_EQ(scanned->time, event->time);
    EXPECT_EQ(scanned->pid, 812u);
    EXPECT_EQ(scanned->comm, "nginx");
  }
}

TEST(Scan, LeavesOutWhatIsNotPlain) {
  EXPECT_FALSE(scan_happening(""));
  EXPECT_FALSE(scan_happening(R"({"id":1,"type":"bind"})")) << "no time";
  EXPECT_FALSE(scan_happening(R"({"id":1,"time":"yesterday","type":"bind"})"));
  EXPECT_FALSE(scan_happening(R"({"id":1,"time":"2026-03-01T03:11:07.482113905Z","type":"bind")"))
      << "not whole";
  EXPECT_FALSE(scan_happening(line_of(model::EventType::bind, "a\"b"))) << "an escape";
}

// A process may call itself anything, JSON included.
TEST(Read, IsNotFooledByNames) {
  for (const char* comm : {"a\"b", "\"type\":\"x\"", ",\"process\":{", "b\\\",\"pid\":1"}) {
    const auto h = read_happening(line_of(model::EventType::bind, comm));
    ASSERT_TRUE(h) << comm;
    EXPECT_EQ(h->kind, Kind::bind);
    EXPECT_EQ(h->pid, 812u);
    EXPECT_EQ(h->comm, comm);
  }
}

TEST(Read, TellsWhoLost) {
  std::string out;
  protocol::append_reader_gap(out, 12);
  const auto ours = read_happening(out);
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->kind, Kind::gap);
  EXPECT_EQ(ours->lost, 12u);
  EXPECT_TRUE(ours->by_reader);
  const auto theirs =
      read_happening(R"({"id":9,"time":"2026-03-01T03:11:07.482113905Z","type":"gap","lost":3})");
  ASSERT_TRUE(theirs);
  EXPECT_FALSE(theirs->by_reader);
}

TEST(Read, TakesUnknownTypesAndRefusesWhatIsNoJson) {
  const auto h =
      read_happening(R"({"id":9,"time":"2026-03-01T03:11:07.482113905Z","type":"new-thing"})");
  ASSERT_TRUE(h);
  EXPECT_EQ(h->kind, Kind::other);
  EXPECT_FALSE(read_happening("hello"));
}

} // namespace
} // namespace bindlens::test
