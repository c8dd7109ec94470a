// A simulated kernel binds, listens and closes in random order, addresses of
// sockets come again at once, the records of it reach the table late but in
// order, and a walk reads one bucket at a time in between. Whatever happens:
// once all records are applied, the table is the kernel's.

#include "worlds.h"

#include <bindlens/model/table.h>

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

namespace bindlens::model {
namespace {

constexpr SocketId addresses = 6; // few, so that they are reused all the time
constexpr uint16_t ports = 3;

struct Record {
  enum class Kind { bind, listen, release, stop_listening } kind;
  Socket socket;
  MonoNs time;
  uint32_t pid;
};

class World {
 public:
  explicit World(uint32_t seed) : random_(seed) {}

  bool chance(unsigned percent) { return random_() % 100 < percent; }

  // One system call of somebody, and its record.
  void step() {
    now_ += 1 + random_() % 3;
    const SocketId id = 1 + random_() % addresses;
    const auto it = kernel_.find(id);
    if (it == kernel_.end())
      bind(id);
    else if (it->second.socket.state == State::listen && chance(40))
      change(it->second, State::bound, Record::Kind::stop_listening);
    else if (it->second.socket.state == State::bound && chance(40))
      change(it->second, State::listen, Record::Kind::listen);
    else
      close(it);
  }

  void deliver(bool all) {
    for (size_t n = all ? ring_.size() : random_() % (ring_.size() + 1); n > 0; --n) {
      apply(ring_.front());
      ring_.pop_front();
    }
  }
  void lose_some() {
    std::erase_if(ring_, [&](const Record&) { return chance(50); });
  }
  void forget_binders() { binder_known_ = false; }

  // `busy`: system calls go on, and some of their records come, while it runs.
  BindTable::MergeReport walk(bool busy, bool all_delivered) {
    table_.begin_walk(now_);
    std::vector<Bucket> rows;
    for (SocketId id = 1; id <= addresses; ++id) {
      while (busy && chance(60))
        step();
      if (busy && chance(50)) deliver(false);
      if (const auto it = kernel_.find(id); it != kernel_.end())
        rows.push_back(test::bucket_of({it->second.socket}));
    }
    if (all_delivered) deliver(true);
    return table_.merge(rows);
  }

  void expect_equal() const {
    ASSERT_EQ(table_.size(), kernel_.size());
    for (const auto& [id, owned] : kernel_) {
      const Binding* b = table_.find(id);
      ASSERT_NE(b, nullptr);
      EXPECT_EQ(b->socket.cookie, owned.socket.cookie);
      EXPECT_EQ(b->socket.local.port, owned.socket.local.port);
      EXPECT_EQ(b->socket.state, owned.socket.state);
      EXPECT_TRUE(b->binder != nullptr || !binder_known_);
      const uint32_t binder = b->binder ? b->binder->pid : owned.pid;
      EXPECT_EQ(binder, owned.pid) << "bound by somebody else";
    }
  }

 private:
  struct Owned {
    Socket socket;
    uint32_t pid;
  };
  using Kernel = std::map<SocketId, Owned>;

  void bind(SocketId id) {
    const auto port = static_cast<uint16_t>(80 + random_() % ports);
    const Owned o{test::SocketOf(id, port).cookie(++cookies_), 1 + static_cast<uint32_t>(cookies_)};
    kernel_.emplace(id, o);
    ring_.push_back({Record::Kind::bind, o.socket, now_, o.pid});
  }
  void change(Owned& o, State state, Record::Kind kind) {
    o.socket.state = state;
    ring_.push_back({kind, o.socket, now_, o.pid});
  }
  void close(Kernel::iterator it) {
    ring_.push_back({Record::Kind::release, it->second.socket, now_, it->second.pid});
    kernel_.erase(it);
  }
  void apply(const Record& r) {
    switch (r.kind) {
    case Record::Kind::bind:
      table_.acquire(r.socket, r.time, BoundBy::bind, test::process(r.pid));
      break;
    case Record::Kind::listen:
      table_.acquire(r.socket, r.time, BoundBy::unknown, test::process(r.pid));
      break;
    case Record::Kind::release:
      table_.release(r.socket.id, r.time);
      break;
    case Record::Kind::stop_listening:
      table_.stop_listening(r.socket.id, r.time);
      break;
    }
  }

  std::mt19937 random_;
  MonoNs now_ = 1000;
  uint64_t cookies_ = 0;
  Kernel kernel_;
  std::deque<Record> ring_;
  BindTable table_;
  bool binder_known_ = true;
};

void run(World& w, int steps) {
  for (int i = 0; i < steps; ++i) {
    w.step();
    if (w.chance(30)) w.deliver(false);
  }
}

template <typename Round>
void for_seeds(uint32_t count, Round round) {
  for (uint32_t seed = 1; seed <= count; ++seed) {
    World w(seed);
    round(w);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

TEST(TableProperty, EventsAloneKeepTheTableRight) {
  for_seeds(2000, [](World& w) {
    run(w, 40);
    w.deliver(true);
    w.expect_equal();
  });
}

TEST(TableProperty, AWalkAmidEventsFindsNothingAndBreaksNothing) {
  for_seeds(3000, [](World& w) {
    run(w, 20);
    w.deliver(true);
    for (int walks = 0; walks < 3; ++walks) {
      const auto report = w.walk(true, true);
      EXPECT_EQ(report.differences(), 0u);
      run(w, 5);
      w.deliver(true);
    }
    w.expect_equal();
  });
}

// The start: sockets that were there before any record, and records that wait.
TEST(TableProperty, AWalkMayComeBeforeRecordsOlderThanItself) {
  for_seeds(3000, [](World& w) {
    run(w, 20);
    w.walk(true, false);
    run(w, 10);
    w.deliver(true);
    w.expect_equal();
  });
}

TEST(TableProperty, AWalkRepairsWhatLostRecordsLeft) {
  for_seeds(3000, [](World& w) {
    w.forget_binders(); // unknown is allowed, wrong is not
    run(w, 30);
    w.lose_some();
    run(w, 10);
    w.deliver(true); // only then is it certain that something was lost
    w.walk(true, true);
    run(w, 10);
    w.deliver(true);
    w.expect_equal();
  });
}

} // namespace
} // namespace bindlens::model
