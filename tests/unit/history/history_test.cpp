// The history's thread, with disks that do not take what it writes.

#include "scene.h"

#include <bindlens/util/fd.h>

#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <future>
#include <mutex>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace bindlens::history::test {
namespace {

using namespace std::chrono_literals;
using model::EventType;
using State = Status::State;

template <typename Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(20ms);
  }
  return condition();
}

class HistoryTest : public Scene {
 protected:
  HistoryTest() {
    config.retry_after = 50ms;
    config.started = 0;
  }
  void TearDown() override { history.reset(); }

  void start(size_t queue_bytes = 64u << 20) {
    History::Hooks hooks;
    hooks.need_table = [this] { ++tables; };
    hooks.warn = [this](const std::string& text) {
      const std::scoped_lock guard(mutex);
      warnings.push_back(text);
    };
    history = std::make_unique<History>(config, hooks, queue_bytes);
    history->start();
  }
  [[nodiscard]] bool reaches(State state) {
    return eventually([&] { return history->status().state == state; });
  }
  void bind(uint16_t port) {
    model::Event e = event(EventType::bind, 0, socket(port, port));
    e.time = monotonic_now();
    history->append(e);
  }
  [[nodiscard]] bool is_stored(uint16_t port) {
    return eventually([&] {
      return number("SELECT count(*) FROM event WHERE port = " + std::to_string(port)) == 1;
    });
  }
  // A file system of its own on the directory, seen by this program alone.
  void mount_tmpfs(const char* options) {
    if (::geteuid() != 0) GTEST_SKIP() << "not run here: mounting needs root";
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", config.directory.c_str(), "tmpfs", 0, options) != 0)
      GTEST_SKIP() << "not run here: a tmpfs cannot be mounted: " << std::strerror(errno);
    mounted_ = true;
  }
  ~HistoryTest() override {
    if (mounted_) ::umount2(config.directory.c_str(), MNT_DETACH);
  }
  [[nodiscard]] size_t told() {
    const std::scoped_lock guard(mutex);
    return warnings.size();
  }

  std::unique_ptr<History> history;
  std::atomic<int> tables = 0;
  std::mutex mutex;
  std::vector<std::string> warnings;

 private:
  bool mounted_ = false;
};

TEST_F(HistoryTest, WritesWithinASecondAndOnRequest) {
  start();
  bind(80);
  EXPECT_TRUE(is_stored(80));
  bind(81);
  std::promise<Result<int64_t>> written;
  history->when_written([&](Result<int64_t> r) { written.set_value(std::move(r)); });
  const auto last = written.get_future().get();
  ASSERT_TRUE(last) << last.error().text;
  EXPECT_EQ(number("SELECT port FROM event WHERE id = " + std::to_string(*last)), 81);
  EXPECT_EQ(tables, 1);
  EXPECT_EQ(history->status().state, State::writing);
  EXPECT_EQ(history->status().written, 2u);
  history.reset();
  EXPECT_EQ(number("SELECT ended IS NOT NULL FROM run"), 1);
  EXPECT_EQ(told(), 0u);
}

TEST_F(HistoryTest, MakesItsDirectoryAndKeepsOthersOut) {
  config.directory += "/a/b";
  start();
  ASSERT_TRUE(reaches(State::writing));
  struct stat st {};
  ASSERT_EQ(::stat(config.directory.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 02750u);
  ASSERT_EQ(::stat(file().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0640u);
}

TEST_F(HistoryTest, WaitsForAnotherDaemonToEnd) {
  start();
  bind(80);
  ASSERT_TRUE(is_stored(80));
  auto first = std::move(history);
  start();
  bind(81);
  ASSERT_TRUE(reaches(State::waiting));
  EXPECT_NE(history->status().problem.find("in use by another bindlensd, process " +
                                           std::to_string(::getpid())),
            std::string::npos)
      << history->status().problem;
  first.reset();
  EXPECT_TRUE(reaches(State::writing));
  EXPECT_TRUE(is_stored(81)) << "what came meanwhile";
  EXPECT_EQ(told(), 2u) << "once that it waits, once that it goes on";
}

TEST_F(HistoryTest, SetsADamagedFileAsideAndBeginsAnew) {
  std::ofstream(file()) << std::string(10'000, 'x');
  start();
  bind(80);
  EXPECT_TRUE(is_stored(80));
  const std::string aside = history->status().set_aside;
  ASSERT_FALSE(aside.empty());
  EXPECT_EQ(std::filesystem::file_size(aside), 10'000u);
  EXPECT_TRUE(reaches(State::writing));
}

TEST_F(HistoryTest, FindsDamageWhileItRuns) {
  start();
  bind(80);
  ASSERT_TRUE(is_stored(80));
  auto db = Database::open(file(), Database::Mode::write);
  ASSERT_TRUE(db);
  db->execute("DROP TABLE socket");
  bind(81);
  EXPECT_TRUE(is_stored(81));
  EXPECT_FALSE(history->status().set_aside.empty());
  EXPECT_EQ(number("SELECT count(*) FROM event e JOIN gap g ON g.event = e.id WHERE g.cause = 2"),
            1)
      << "what was written before is not in this file";
  EXPECT_EQ(tables, 2) << "the new file needs the table";
}

TEST_F(HistoryTest, NoticesThatItsFileWasRemoved) {
  start();
  bind(80);
  ASSERT_TRUE(is_stored(80));
  std::filesystem::remove(file());
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(file()); }));
  bind(81);
  EXPECT_TRUE(is_stored(81));
  EXPECT_EQ(number("SELECT count(*) FROM gap"), 1);
}

TEST_F(HistoryTest, WaitsForAFullDisk) {
  mount_tmpfs("size=2m");
  if (IsSkipped()) return;
  start();
  bind(80);
  ASSERT_TRUE(is_stored(80));
  const std::string filler = config.directory + "/filler";
  std::ofstream(filler) << std::string(4u << 20, 'x');
  for (int i = 0; i < 5000; ++i)
    bind(static_cast<uint16_t>(10'000 + i));
  ASSERT_TRUE(reaches(State::waiting));
  EXPECT_NE(history->status().problem.find("full"), std::string::npos) << history->status().problem;
  const size_t once = told();
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(told(), once) << "told once, not at every try";
  std::filesystem::remove(filler);
  EXPECT_TRUE(reaches(State::writing));
  EXPECT_TRUE(is_stored(10'000));
  EXPECT_TRUE(is_stored(14'999));
  EXPECT_EQ(history->status().lost, 0u);
  EXPECT_EQ(value("PRAGMA integrity_check"), "ok");
}

TEST_F(HistoryTest, WaitsForAReadOnlyFileSystem) {
  mount_tmpfs("size=8m,ro");
  if (IsSkipped()) return;
  start();
  bind(80);
  ASSERT_TRUE(reaches(State::waiting));
  EXPECT_NE(history->status().problem.find("Read-only file system"), std::string::npos)
      << history->status().problem;
  ASSERT_EQ(::mount(nullptr, config.directory.c_str(), nullptr, MS_REMOUNT, "size=8m"), 0);
  EXPECT_TRUE(reaches(State::writing));
  EXPECT_TRUE(is_stored(80));
}

TEST_F(HistoryTest, WaitsWhileTheDirectoryBelongsToSomebodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "not run here: giving a directory away needs root";
  ASSERT_EQ(::chown(config.directory.c_str(), 65534, 65534), 0);
  start();
  bind(80);
  ASSERT_TRUE(reaches(State::waiting));
  EXPECT_NE(history->status().problem.find("belongs to user 65534"), std::string::npos)
      << history->status().problem;
  ASSERT_EQ(::chown(config.directory.c_str(), 0, 0), 0);
  EXPECT_TRUE(is_stored(80));
}

TEST_F(HistoryTest, CountsWhatItsQueueCannotTake) {
  const Fd lock(::open((config.directory + "/lock").c_str(), O_RDWR | O_CREAT, 0640));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  start(100'000);
  ASSERT_TRUE(reaches(State::waiting));
  for (int i = 0; i < 5000; ++i)
    bind(static_cast<uint16_t>(10'000 + i));
  const uint64_t lost = history->status().lost;
  EXPECT_GT(lost, 1000u);
  EXPECT_LE(history->status().pending_bytes, 100'000u);
  ASSERT_EQ(::flock(lock.get(), LOCK_UN), 0);
  ASSERT_TRUE(reaches(State::writing));
  ASSERT_TRUE(eventually([&] { return number("SELECT count(*) FROM gap") == 1; }));
  EXPECT_EQ(number("SELECT detail FROM event WHERE type = 10"), static_cast<int64_t>(lost));
  EXPECT_EQ(number("SELECT count(*) FROM event WHERE type = 0"), 5000 - static_cast<int64_t>(lost));
  EXPECT_EQ(number("SELECT cause FROM gap"), 2);
}

} // namespace
} // namespace bindlens::history::test
