#include "judged_group.h"

#include <bindlens/protocol/json.h>
#include <bindlens/protocol/view.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace bindlens::protocol {
namespace {

using nlohmann::json;

class SomeNames final : public Names {
 public:
  [[nodiscard]] std::string user(uint32_t uid) const override {
    return uid == 33 ? "www-data" : "";
  }
  [[nodiscard]] std::string netns(uint32_t inode) const override {
    return inode == 4026531840 ? "host" : "";
  }
  [[nodiscard]] std::string dev(uint32_t, uint32_t index) const override {
    return index == 2 ? "eth0" : "";
  }
};

std::string text_of(const model::JudgedGroup& g) {
  std::string text;
  append_group(text, g, SomeNames());
  return text;
}

TEST(ReuseportJson, HasTheMembersOfTheContract) {
  const std::string text = text_of(test::judged_group());
  EXPECT_TRUE(text.ends_with("}\n"));
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
  const json g = json::parse(text);
  EXPECT_EQ(g["proto"], "tcp");
  EXPECT_EQ(g["addr"], "0.0.0.0");
  EXPECT_EQ(g["port"], 443);
  EXPECT_EQ(g["netns"], 4026531840);
  EXPECT_EQ(g["kind"], "listener");
  EXPECT_EQ(g["steering"], "hash");
  EXPECT_EQ(g["total"], 981220);
  EXPECT_EQ(g["skew"], 1.044);
  EXPECT_EQ(g["p_value"], 0.41);
  EXPECT_EQ(g["verdict"], "stalled");
  EXPECT_EQ(g["stalled"], json::array({813}));
  EXPECT_EQ(g["cause"], "hung-process");
  ASSERT_EQ(g["members"].size(), 4u);
  const json& m = g["members"][1];
  EXPECT_EQ(m["state"], "LISTEN");
  EXPECT_EQ(m["holders"][0]["pid"], 813);
  EXPECT_EQ(m["backlog"], (json{{"current", 512}, {"max", 511}}));
  EXPECT_EQ(m["accepted"], 243350);
  EXPECT_EQ(m["drops"], 4112);
  EXPECT_EQ(m["share"], 0.248008);
  EXPECT_EQ(m["expected_share"], 0.25);
  EXPECT_EQ(m["stalled"], true);
}

TEST(ReuseportJson, LeavesOutWhatIsNotKnown) {
  auto g = test::judged_group();
  g.distribution.verdict = model::Verdict::unknown;
  g.distribution.cause = model::Cause::none;
  g.distribution.measure = model::Measure::none;
  g.distribution.skew = g.distribution.p_value = std::nullopt;
  g.distribution.members.assign(4, {});
  for (auto& m : g.group.members)
    m.counters = {};
  const json j = json::parse(text_of(g));
  for (const char* name : {"verdict", "cause", "counted_by", "total", "since", "skew", "p_value",
                           "stalled", "program", "program_id", "closed", "dev"})
    EXPECT_FALSE(j.contains(name)) << name;
  for (const char* name :
       {"selected", "queued", "accepted", "datagrams", "drops", "since", "share", "expected_share",
        "counted", "last_accept", "queue_full_since", "stalled", "incoming_cpu", "receive_queue"})
    EXPECT_FALSE(j["members"][0].contains(name)) << name;
}

TEST(ReuseportJson, TellsOfDatagramsAndPrograms) {
  auto g = test::judged_group();
  g.group.proto = model::Proto::udp;
  g.group.steering = model::Steering::ebpf;
  g.group.program = "pick\x01";
  g.group.program_id = 42;
  g.group.dev = 2;
  g.group.members[0].receive_buffer = 212992;
  const json j = json::parse(text_of(g));
  EXPECT_EQ(j["kind"], "datagram");
  EXPECT_EQ(j["steering"], "ebpf");
  EXPECT_EQ(j["program"], "pick\x01");
  EXPECT_EQ(j["program_id"], 42);
  EXPECT_EQ(j["dev"], "eth0");
  EXPECT_EQ(j["members"][0]["receive_buffer"], 212992);
}

TEST(ReuseportJson, ComesBackWhole) {
  const auto view = read_group(text_of(test::judged_group()));
  ASSERT_TRUE(view) << view.error().text;
  EXPECT_EQ(view->at.proto, "tcp");
  EXPECT_EQ(view->at.port, 443);
  EXPECT_EQ(view->at.user, "www-data");
  EXPECT_EQ(view->at.netns_name, "host");
  EXPECT_EQ(view->kind, "listener");
  EXPECT_EQ(view->counted_by, "queued");
  EXPECT_EQ(view->total, 981'220u);
  EXPECT_TRUE(view->since);
  EXPECT_DOUBLE_EQ(*view->skew, 1.044);
  EXPECT_DOUBLE_EQ(*view->p_value, 0.41);
  EXPECT_EQ(view->verdict, "stalled");
  EXPECT_EQ(view->advice, std::vector<std::string>{"restart nginx[813]"});
  ASSERT_EQ(view->members.size(), 4u);
  const MemberView& m = view->members[1];
  EXPECT_TRUE(m.stalled);
  EXPECT_TRUE(m.stalled_since);
  EXPECT_EQ(m.socket.backlog->current, 512u);
  EXPECT_EQ(m.drops, 4112u);
  EXPECT_EQ(m.per_second, 0);
  EXPECT_FALSE(m.selected);
  EXPECT_FALSE(view->members[0].queue_full_since); // it is not full
}

TEST(ReuseportJson, IsNotReadFromSomethingElse) {
  EXPECT_FALSE(read_group("[]"));
  EXPECT_FALSE(read_group(R"({"members":{}})"));
  EXPECT_FALSE(read_group(R"({"members":[{"share":"a quarter"}]})"));
  EXPECT_FALSE(read_group("{"));
}

} // namespace
} // namespace bindlens::protocol
