#include "timewait_table.h"

#include <bindlens/protocol/json.h>
#include <bindlens/protocol/view.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace bindlens::protocol {
namespace {

using nlohmann::ordered_json;

class NoNames final : public Names {
 public:
  [[nodiscard]] std::string user(uint32_t) const override { return ""; }
  [[nodiscard]] std::string netns(uint32_t) const override { return "host"; }
  [[nodiscard]] std::string dev(uint32_t, uint32_t) const override { return ""; }
};

std::string text_of(const model::TimeWaitPort& p, bool complete = true) {
  std::string text;
  append_timewait(text, p, complete, NoNames());
  return text;
}

std::vector<std::string> keys(const ordered_json& object) {
  std::vector<std::string> out;
  for (const auto& [key, value] : object.items())
    out.push_back(key);
  return out;
}

TEST(TimeWaitJson, ComesBackWhole) {
  const std::string text = text_of(test::timewait_table().ports[1]);
  EXPECT_TRUE(text.ends_with("}\n"));
  const auto view = read_timewait(text);
  ASSERT_TRUE(view) << view.error().text;
  EXPECT_EQ(view->local.addr, "127.0.0.1");
  EXPECT_EQ(view->local.port, 8080);
  EXPECT_EQ(view->local.netns_name, "host");
  EXPECT_EQ(view->count, 37u);
  EXPECT_EQ(view->fin_wait2, 2u);
  EXPECT_TRUE(view->oldest);
  EXPECT_EQ(view->next_left_ms, 1'500u);
  EXPECT_EQ(view->last_left_ms, 41'000u);
  EXPECT_EQ(view->reuseaddr, 0u);
  ASSERT_EQ(view->owners.size(), 1u);
  EXPECT_EQ(view->owners[0].process.unit, "app.service");
  EXPECT_EQ(view->owners[0].count, 30u);
  EXPECT_EQ(view->bind_reuses, 5u);
  EXPECT_EQ(view->connect_reuses, 0u);
  ASSERT_EQ(view->reuses.size(), 1u);
  EXPECT_EQ(view->reuses[0].kind, "bind");
  EXPECT_EQ(view->reuses[0].sockets, 3u);
  EXPECT_EQ(view->reuses[0].left_out, 4u);
  EXPECT_TRUE(view->reuses[0].harmless);
  EXPECT_EQ(view->reuses[0].evidence, "observed");
  EXPECT_EQ(view->reuses[0].process->pid, 812u);
  EXPECT_EQ(view->linger_zero, 1u);
  EXPECT_TRUE(view->complete);
  EXPECT_FALSE(read_timewait(text_of(test::timewait_table().ports[1], false))->complete);
}

TEST(TimeWaitJson, LeavesOutWhatIsNotKnown) {
  const auto json = ordered_json::parse(text_of(test::timewait_table().ports[0]));
  EXPECT_EQ(keys(json),
            (std::vector<std::string>{"proto", "family", "addr", "port", "netns", "netns_name",
                                      "count", "fin_wait2", "reuseaddr", "reuseport", "owners",
                                      "reuse_counts", "reuses", "linger_zero"}));
  EXPECT_EQ(json["reuse_counts"]["syn"], 1);
  EXPECT_FALSE(read_timewait("[]"));
  EXPECT_FALSE(read_timewait(R"({"count":"1"})"));
  EXPECT_FALSE(read_timewait(R"({"reuses":{}})"));
}

TEST(TimeWaitJson, EventOfAReuse) {
  model::TimeWaitReuse r = test::timewait_table().ports[1].recent[0];
  r.socket.peer = *model::parse_endpoint("10.0.0.9:5555");
  r.harmless = false;
  model::Event e;
  e.type = model::EventType::timewait_reuse;
  e.time = 2;
  e.socket = r.socket;
  e.process = r.process;
  e.reuse = std::make_shared<const model::TimeWaitReuse>(r);
  std::string text;
  append_event(text, e, NoNames());
  const auto view = read_event(text);
  ASSERT_TRUE(view) << view.error().text;
  ASSERT_TRUE(view->reuse);
  EXPECT_EQ(view->reuse->kind, "bind");
  EXPECT_EQ(view->reuse->evidence, "observed");
  EXPECT_EQ(view->reuse->sockets, 3u);
  EXPECT_FALSE(view->reuse->harmless);
  EXPECT_EQ(view->reuse->left_out, 4u);
  EXPECT_EQ(view->socket.port, 8080);
  EXPECT_EQ(view->socket.peer, "10.0.0.9:5555");
  EXPECT_EQ(view->process->comm, "app");
}

} // namespace
} // namespace bindlens::protocol
