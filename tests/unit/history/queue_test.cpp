// What waits to be written, and which sockets leave it to be counted.

#include "../../../daemon/history/queue.h"

#include "scene.h"

namespace bindlens::history::test {
namespace {

using model::BoundBy;
using model::Event;
using model::EventType;

constexpr int64_t offset = 1'700'000'000'000'000'000;
constexpr uint64_t file_bytes = 256u << 20;

class QueueTest : public testing::Test {
 protected:
  // As the history does. True when the event was kept.
  bool add(const Event& e, bool hurried = false) {
    if (queue.count(e, hurried, offset)) return false;
    queue.push(e);
    return true;
  }
  // `n` sockets that come and go one after the other from `first` on, so many a second.
  void lives(size_t n, double first, double per_second, uint16_t port = 8080,
             BoundBy by = BoundBy::bind, bool hurried = false) {
    for (size_t i = 0; i < n; ++i) {
      const model::Socket s = socket(++next_, port);
      for (const EventType type : {EventType::bind, EventType::release}) {
        Event e = event(type, first + static_cast<double>(i) / per_second, s);
        e.bound_by = by;
        add(e, hurried);
      }
    }
  }
  struct Taken {
    std::vector<EventType> events;
    int64_t counted = 0;
    int64_t minute = 0; // of the last that was counted
  };
  Taken take() {
    Taken t;
    for (const Item& item : queue.take()) {
      if (const auto* e = std::get_if<Event>(&item)) t.events.push_back(e->type);
      if (const auto* c = std::get_if<Counted>(&item)) {
        t.counted += c->count;
        t.minute = c->minute;
      }
    }
    return t;
  }

  Queue queue{file_bytes};
  model::SocketId next_ = 1000;
};

TEST_F(QueueTest, KeepsTheOrder) {
  const model::Socket s = socket(7, 80);
  for (const EventType t : {EventType::bind, EventType::listen, EventType::release})
    EXPECT_TRUE(add(event(t, 1, s)));
  EXPECT_EQ(queue.size(), 3u);
  const std::vector<EventType> all = {EventType::bind, EventType::listen, EventType::release};
  EXPECT_EQ(take().events, all);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST_F(QueueTest, CountsAutoboundSocketsBeyondADayOfTheFile) {
  queue = Queue(4u << 20); // 0.16 a second, 97 at once
  lives(500, 60, 1e6, 40'000, BoundBy::autobind);
  // Those that asked for their port have an allowance of their own.
  lives(500, 60.1, 1e6, 8080);
  const Taken t = take();
  const auto stored = static_cast<int64_t>(t.events.size() / 2) - 500;
  EXPECT_GT(stored, 90);
  EXPECT_LT(stored, 100);
  EXPECT_EQ(t.counted, 500 - stored);
  EXPECT_EQ(t.minute * 60, 1'700'000'040);
}

TEST_F(QueueTest, KeepsTenThousandASecondThatAskedForTheirPort) {
  for (int second = 0; second < 30; ++second) {
    lives(10'000, 60 + second, 10'000);
    EXPECT_EQ(take().counted, 0) << second;
  }
}

TEST_F(QueueTest, CountsWhatComesFaster) {
  lives(15'000, 60, 15'000);
  lives(15'000, 61, 15'000);
  lives(15'000, 62, 15'000);
  lives(15'000, 63, 15'000);
  const Taken t = take();
  EXPECT_NEAR(static_cast<double>(t.events.size()) / 2, 60'000, 2)
      << "20,000 are saved up, and 10,000 more are allowed each second";
  lives(15'000, 64, 15'000);
  EXPECT_NEAR(static_cast<double>(take().counted), 5'000, 2);
}

TEST_F(QueueTest, KeepsFewOfAStorm) {
  lives(400'000, 60, 200'000);
  (void)take();
  lives(200'000, 62, 200'000);
  const Taken t = take();
  EXPECT_NEAR(static_cast<double>(t.events.size()) / 2, 500, 50)
      << "twenty times too many: a twentieth of the usual";
  EXPECT_EQ(t.counted + static_cast<int64_t>(t.events.size()) / 2, 200'000);
  for (int second = 63; second < 66; ++second) {
    (void)take();
    lives(5'000, second, 5'000);
  }
  EXPECT_EQ(take().counted, 0) << "and soon after it, all again";
}

TEST_F(QueueTest, CountsAllInAHurryButThoseThatLiveOn) {
  add(event(EventType::bind, 1, socket(5, 99)));
  lives(100, 2, 100, 8080, BoundBy::bind, true);
  const Taken t = take();
  EXPECT_EQ(t.counted, 100);
  EXPECT_EQ(t.events, std::vector{EventType::bind});
}

TEST_F(QueueTest, ForgetsAllThatWasToldOfACountedSocket) {
  const auto [counted, lasting] = std::pair(socket(7, 80), socket(8, 81));
  EXPECT_TRUE(add(event(EventType::bind, 1, counted)));
  EXPECT_TRUE(add(event(EventType::bind, 1, lasting)));
  EXPECT_TRUE(add(event(EventType::listen, 1, counted)));
  EXPECT_TRUE(add(event(EventType::reuseport_join, 1, counted)));
  EXPECT_TRUE(add(event(EventType::listen, 1, lasting)));
  EXPECT_FALSE(add(event(EventType::release, 1, counted), true));
  const Taken t = take();
  EXPECT_EQ(t.events, (std::vector{EventType::bind, EventType::listen}));
  EXPECT_EQ(t.counted, 1);
}

TEST_F(QueueTest, GivesMemoryBackAtOnce) {
  lives(1000, 2, 1000, 8080, BoundBy::bind, true);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_FALSE(queue.empty()) << "there is something to write";
}

TEST_F(QueueTest, KeepsTheEndOfWhatCameBefore) {
  add(event(EventType::bind, 1, socket(7, 80)));
  (void)take();
  EXPECT_TRUE(add(event(EventType::release, 1.5, socket(7, 80)), true));
}

TEST_F(QueueTest, KeepsTheEndOfWhatATableHas) {
  add(event(EventType::bind, 1, socket(7, 80)));
  TableAt table;
  table.time = 2'000'000'000;
  queue.push(std::move(table));
  EXPECT_TRUE(add(event(EventType::release, 3, socket(7, 80)), true)) << "it is in the table";
  // Told of late: the walk saw it before its record was read.
  add(event(EventType::bind, 1.9, socket(8, 81)));
  EXPECT_TRUE(add(event(EventType::release, 3, socket(8, 81)), true));
  add(event(EventType::bind, 2.1, socket(9, 82)));
  EXPECT_FALSE(add(event(EventType::release, 3, socket(9, 82)), true));
}

TEST_F(QueueTest, ASocketThatComesTwiceEndsOnce) {
  add(event(EventType::bind, 1, socket(7, 80))); // its end was not told of
  add(event(EventType::bind, 2, socket(7, 80)));
  EXPECT_FALSE(add(event(EventType::release, 3, socket(7, 80)), true));
  EXPECT_TRUE(add(event(EventType::release, 4, socket(7, 80)), true));
  EXPECT_EQ(take().events, (std::vector{EventType::bind, EventType::release}));
}

TEST_F(QueueTest, SizesFailuresWithWhatTheyHold) {
  Event e = event(EventType::fail, 1, {});
  const size_t bare = Queue::size_of(e);
  auto f = std::make_shared<model::Failure>();
  f->explanation = std::string(500, 'x');
  f->blockers.resize(2);
  e.failure = f;
  EXPECT_GE(Queue::size_of(e), bare + 500 + 2 * sizeof(model::Blocker));
}

} // namespace
} // namespace bindlens::history::test
