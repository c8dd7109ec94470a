#include "follow.h"

#include "scripted_backend.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bindlens::server {
namespace {

model::Event event(uint64_t id) {
  model::Event e;
  e.id = id;
  e.socket = test::listener(80);
  return e;
}

// What happened before.
class Told final : public Source {
 public:
  Told(std::vector<model::Event> events, const protocol::Names& names)
      : events_(std::move(events)), names_(names) {}
  State fill(std::string& out, size_t slice) override {
    const size_t enough = out.size() + slice;
    while (next_ < events_.size() && out.size() < enough)
      protocol::append_event(out, events_[next_++], names_);
    return next_ < events_.size() ? State::more : State::done;
  }

 private:
  std::vector<model::Event> events_;
  const protocol::Names& names_;
  size_t next_ = 0;
};

class FollowTest : public testing::Test {
 protected:
  FollowSource& follow(std::vector<model::Event> history = {}) {
    source_ = std::make_unique<FollowSource>(context_, model::Filter{});
    if (!history.empty())
      source_->set_before(std::make_unique<Told>(std::move(history), context_->names));
    return *source_;
  }
  test::ScriptedBackend backend_;
  std::shared_ptr<Context> context_ = std::make_shared<Context>(backend_, Options{});
  std::unique_ptr<FollowSource> source_;
};

TEST_F(FollowTest, WakesOnceForManyEvents) {
  auto& source = follow();
  std::string out;
  EXPECT_EQ(source.fill(out, 1000), Source::State::waiting);
  int woken = 0;
  source.on_ready([&] { ++woken; });
  backend_.emit(event(1));
  backend_.emit(event(2));
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(source.fill(out, 1000), Source::State::more);
  EXPECT_EQ(std::ranges::count(out, '\n'), 2);
  EXPECT_EQ(source.fill(out, 1000), Source::State::waiting);
}

TEST_F(FollowTest, WakesForAnEventThatCameWhileHistoryWasWritten) {
  auto& source = follow({event(1)});
  std::string out;
  EXPECT_EQ(source.fill(out, 1000), Source::State::waiting);
  EXPECT_FALSE(out.empty());
  backend_.emit(event(2));
  int woken = 0;
  source.on_ready([&] { ++woken; });
  EXPECT_EQ(woken, 1);
}

TEST_F(FollowTest, SlicesItsHistory) {
  std::vector<model::Event> history;
  for (uint64_t id = 1; id <= 100; ++id)
    history.push_back(event(id));
  auto& source = follow(std::move(history));
  std::string all;
  while (true) {
    std::string out;
    const auto state = source.fill(out, 1000);
    EXPECT_LT(out.size(), 2000u);
    all += out;
    if (state == Source::State::waiting) break;
  }
  EXPECT_EQ(std::ranges::count(all, '\n'), 100);
}

TEST_F(FollowTest, EndsItsSubscription) {
  follow();
  EXPECT_EQ(backend_.subscribers(), 1u);
  EXPECT_EQ(context_->followers, 1u);
  source_.reset();
  EXPECT_EQ(backend_.subscribers(), 0u);
  EXPECT_EQ(context_->followers, 0u);
}

} // namespace
} // namespace bindlens::server
