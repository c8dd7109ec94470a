#include "scene.h"

namespace bindlens::history::test {
namespace {

using model::EventType;

class StoreTest : public Scene {};

TEST_F(StoreTest, WritesTheLifeOfASocket) {
  open();
  write({event(EventType::bind, 1.5, socket(7, 8080)),
         event(EventType::listen, 1.6, socket(7, 8080, model::State::listen)),
         event(EventType::release, 1.7, socket(7, 8080, model::State::listen))});
  EXPECT_EQ(value("SELECT group_concat(type) FROM (SELECT type FROM events ORDER BY id)"),
            "start,bind,listen,release");
  EXPECT_EQ(number("SELECT count(*) FROM socket"), 1);
  EXPECT_EQ(number("SELECT released - since FROM socket"), 200'000'000);
  EXPECT_EQ(value("SELECT time FROM events WHERE type = 'bind'"), "2023-11-14T22:13:21.500000000Z");
  EXPECT_EQ(value("SELECT comm || addr || port FROM events WHERE type = 'release'"),
            "nginx127.0.0.18080");
}

} // namespace
} // namespace bindlens::history::test
