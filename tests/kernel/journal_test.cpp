// Refused calls in systemd's journal: what is sent, how much, and when not.

#include "world.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <sched.h>
#include <unistd.h>

namespace bindlens::test {
namespace {

namespace fs = std::filesystem;

using Entry = std::multimap<std::string, std::string>;

// The journal's native protocol: NAME=value, or NAME, the value's length in eight
// bytes, and the value.
Entry parse_entry(const std::string& text) {
  Entry entry;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    const size_t equals = line.find('=');
    if (equals != std::string::npos) {
      entry.emplace(line.substr(0, equals), line.substr(equals + 1));
      at = end + 1;
      continue;
    }
    uint64_t length = 0;
    std::memcpy(&length, text.data() + end + 1, sizeof length);
    entry.emplace(line, text.substr(end + 1 + sizeof length, length));
    at = end + 1 + sizeof length + length + 1;
  }
  return entry;
}

std::string one(const Entry& entry, const std::string& name) {
  return entry.count(name) == 1 ? entry.find(name)->second : "";
}

// A mount namespace with a /run of its own, in which `directory` is the journal's.
void see_journal_at(const std::string& directory) {
  const bool done =
      ::unshare(CLONE_NEWNS) == 0 &&
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
      ::mount("tmpfs", "/run", "tmpfs", 0, nullptr) == 0 && ::mkdir("/run/systemd", 0755) == 0 &&
      ::mkdir("/run/systemd/journal", 0755) == 0 &&
      ::mount(directory.c_str(), "/run/systemd/journal", nullptr, MS_BIND, nullptr) == 0;
  if (!done) give_up_errno("mounting a journal");
}

// What systemd sets for a service whose standard error goes to the journal.
void set_journal_stream() {
  struct stat st {};
  ::fstat(STDERR_FILENO, &st);
  const std::string stream = std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino);
  ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
}

// The journal's end of its socket.
class Receiver {
 public:
  Receiver() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", dir_.path().c_str());
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      give_up_errno("binding the journal's socket");
  }
  [[nodiscard]] std::function<void()> in_child() const {
    return [directory = dir_.path()] {
      see_journal_at(directory);
      set_journal_stream();
    };
  }
  // The next entry; empty when there is none now.
  Entry poll() {
    std::string text(256 * 1024, '\0');
    const ssize_t n = ::recv(fd_.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return parse_entry(text);
  }

 private:
  TempDir dir_;
  Fd fd_;
};

class Journal : public World {
 protected:
  // The tests start daemons of their own.
  void SetUp() override {}

  // `a` listens; each call of refuse() is one refusal of `b`.
  void listen_on(uint16_t port) {
    held_ = a.tcp();
    ASSERT_TRUE(a.bind(held_, "127.0.0.1", port).ok());
    ASSERT_TRUE(a.listen(held_).ok());
  }
  void refuse(uint16_t port) {
    const int fd = b.tcp();
    EXPECT_EQ(b.bind(fd, "0.0.0.0", port).error, EADDRINUSE);
    b.close(fd);
  }
  int held_ = -1;
};

TEST_F(Journal, GetsEveryRefusalWithItsFields) {
  Receiver receiver;
  const Daemon daemon({}, wanted_tier(), {}, receiver.in_child());
  listen_on(8080);
  // Whoever else is refused on this machine has a part of what is told.
  Entry e;
  (void)eventually([&] {
    e = receiver.poll();
    if (e.empty()) refuse(8080);
    return one(e, "BINDLENS_NETNS") == std::to_string(netns.inode());
  });
  ASSERT_FALSE(e.empty()) << daemon.log();
  EXPECT_EQ(one(e, "SYSLOG_IDENTIFIER"), "bindlensd");
  EXPECT_EQ(one(e, "MESSAGE_ID"), "62706a3eb79a490bbac428d1c55c93f1");
  EXPECT_EQ(one(e, "PRIORITY"), "4");
  EXPECT_EQ(one(e, "BINDLENS_CALL"), "bind");
  EXPECT_EQ(one(e, "BINDLENS_ERRNO"), "EADDRINUSE");
  EXPECT_EQ(one(e, "BINDLENS_PROTO"), "tcp");
  EXPECT_EQ(one(e, "BINDLENS_ADDR"), "0.0.0.0");
  EXPECT_EQ(one(e, "BINDLENS_PORT"), "8080");
  EXPECT_EQ(one(e, "BINDLENS_RULE"), "listener");
  EXPECT_EQ(one(e, "BINDLENS_NETNS"), std::to_string(netns.inode()));
  EXPECT_EQ(one(e, "BINDLENS_PID"), std::to_string(b.pid()));
  EXPECT_EQ(one(e, "BINDLENS_COMM"), "kt-b");
  EXPECT_EQ(one(e, "BINDLENS_HOLDER_PID"), std::to_string(a.pid()));
  EXPECT_EQ(one(e, "BINDLENS_HOLDER_COMM"), "kt-a");
  EXPECT_TRUE(one(e, "MESSAGE").starts_with("bind tcp 0.0.0.0:8080 by kt-b[")) << one(e, "MESSAGE");
}

TEST_F(Journal, IsToldAtALimitedRateAndHowManyWereLeftOut) {
  Receiver receiver;
  const Daemon daemon({}, wanted_tier(), {}, receiver.in_child());
  constexpr uint64_t refusals = 101;
  listen_on(8081);
  for (uint64_t i = 0; i < refusals; ++i)
    refuse(8081);
  uint64_t told = 0;
  uint64_t left_out = 0;
  // The last of it comes by itself after five seconds.
  EXPECT_TRUE(eventually(
      [&] {
        const Entry e = receiver.poll();
        if (e.empty()) return false;
        told += e.contains("BINDLENS_PORT") ? 1u : 0u;
        if (e.contains("BINDLENS_LEFT_OUT")) left_out += std::stoull(one(e, "BINDLENS_LEFT_OUT"));
        return told + left_out >= refusals;
      },
      patience() + std::chrono::seconds(10)))
      << told << " + " << left_out;
  EXPECT_GE(told, 20u);
  EXPECT_LT(told, 60u) << "two more in each second";
}

TEST_F(Journal, GetsNothingWhenStandardErrorGoesElsewhere) {
  Receiver receiver;
  const auto mounted = receiver.in_child();
  for (const char* stream : {"", "1:1", "x"}) {
    Daemon daemon({}, wanted_tier(), {}, [&] {
      mounted();
      *stream == '\0' ? ::unsetenv("JOURNAL_STREAM") : ::setenv("JOURNAL_STREAM", stream, 1);
    });
    listen_on(8082);
    refuse(8082);
    EXPECT_TRUE(eventually([&] { return !daemon.lines("/v1/failures").empty(); }));
    daemon.stop(); // what waited has been sent by then
    EXPECT_TRUE(receiver.poll().empty()) << stream;
    a.close(held_);
  }
}

TEST_F(Journal, ThatDoesNotReadDoesNotStopTheDaemon) {
  Receiver receiver; // its queue is full after net.unix.max_dgram_qlen entries
  Daemon daemon({}, wanted_tier(), {}, receiver.in_child());
  listen_on(8083);
  for (int i = 0; i < 300; ++i)
    refuse(8083);
  EXPECT_TRUE(eventually([&] {
    int seen = 0; // alike in a row are one
    for (const Json& f : daemon.lines("/v1/failures?port=8083&" + netns.query()))
      seen += f["count"].get<int>();
    return seen == 300;
  }));
  EXPECT_EQ(daemon.stop(), 0);
}

// systemd-journald itself, in a mount namespace with a /run of its own.
Child start_journald() {
  return Child::fork([] {
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(null, STDERR_FILENO);
    const bool done = ::unshare(CLONE_NEWNS) == 0 &&
                      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                      ::mount("tmpfs", "/run", "tmpfs", 0, nullptr) == 0 &&
                      ::mkdir("/run/log", 0755) == 0 && ::mkdir("/run/log/journal", 0755) == 0;
    if (done) ::execl("/lib/systemd/systemd-journald", "systemd-journald", nullptr);
    return 1;
  });
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char piece[4096];
  while (const size_t n = std::fread(piece, 1, sizeof piece, pipe))
    text.append(piece, n);
  ::pclose(pipe);
  return text;
}

TEST_F(Journal, IsSearchedByFieldWithJournalctl) {
  if (!fs::exists("/lib/systemd/systemd-journald") || !fs::exists("/usr/bin/journalctl") ||
      !fs::exists("/etc/machine-id"))
    GTEST_SKIP() << "not run here: systemd-journald is not installed";
  const Child journald = start_journald();
  const std::string root = "/proc/" + std::to_string(journald.pid()) + "/root";
  ASSERT_TRUE(eventually([&] { return fs::exists(root + "/run/systemd/journal/socket"); }));
  const std::string ns = "/proc/" + std::to_string(journald.pid()) + "/ns/mnt";
  const Daemon daemon({}, wanted_tier(), {}, [&] {
    const Fd fd(::open(ns.c_str(), O_RDONLY | O_CLOEXEC));
    if (::setns(fd.get(), CLONE_NEWNS) != 0) give_up_errno("entering the journal's namespace");
    set_journal_stream();
  });
  listen_on(8084);
  const std::string journalctl =
      "/usr/bin/journalctl -D " + root + "/run/log/journal -q --no-pager ";
  std::string found;
  (void)eventually([&] {
    refuse(8084);
    found = output_of(journalctl + "-n 1 -o json -t bindlensd BINDLENS_PORT=8084");
    return !found.empty();
  });
  ASSERT_FALSE(found.empty()) << daemon.log();
  const Json entry = Json::parse(found);
  EXPECT_EQ(entry["BINDLENS_HOLDER_COMM"], "kt-a");
  EXPECT_EQ(entry["OBJECT_COMM"], "kt-b") << "the journal looked the process up";
  EXPECT_EQ(output_of(journalctl + "-o json BINDLENS_PORT=8085"), "");
}

} // namespace
} // namespace bindlens::test
