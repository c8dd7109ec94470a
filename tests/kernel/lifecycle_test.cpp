// Starting and ending: in bad conditions, and without leaving anything behind.

#include "actor.h"
#include "daemon.h"

#include <bindlens/kernel/attach_plan.h>

#include <gtest/gtest.h>

#include <bpf/bpf.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <grp.h>
#include <sched.h>
#include <set>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bindlens::test {
namespace {

namespace fs = std::filesystem;

// The BPF programs that a process has open, by id.
std::set<uint32_t> programs_of(pid_t pid) {
  std::set<uint32_t> ids;
  const fs::path dir = "/proc/" + std::to_string(pid) + "/fdinfo";
  for (const auto& entry : fs::directory_iterator(dir)) {
    std::ifstream file(entry.path());
    uint32_t id = 0;
    for (std::string line; std::getline(file, line);)
      if (std::sscanf(line.c_str(), "prog_id: %u", &id) == 1) ids.insert(id);
  }
  return ids;
}

bool exists(uint32_t program) {
  const int fd = ::bpf_prog_get_fd_by_id(program);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

void expect_gone(const std::set<uint32_t>& ids) {
  ASSERT_GT(ids.size(), 5u);
  for (const uint32_t id : ids)
    EXPECT_TRUE(eventually([&] { return !exists(id); })) << id;
}

TEST(Lifecycle, SecondDaemonOnTheSameSocket) {
  const Ended second = run_daemon({"--socket", shared_daemon().socket(), "--tier", wanted_tier()});
  EXPECT_EQ(second.status, 3) << second.output;
  EXPECT_NE(second.output.find(shared_daemon().socket()), std::string::npos) << second.output;
  EXPECT_EQ(shared_daemon().lines("/v1/status").size(), 1u) << "the first one carries on";
}

TEST(Lifecycle, StaleSocketFileIsReplaced) {
  const TempDir dir;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/stale", dir.path().c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(fd); // its file stays
  const Daemon daemon({}, wanted_tier(), address.sun_path);
  EXPECT_EQ(daemon.lines("/v1/status").size(), 1u);
}

TEST(Lifecycle, SocketPathTooLong) {
  const Ended run = run_daemon({"--socket", "/tmp/" + std::string(195, 'x')});
  EXPECT_NE(run.status, 0);
  EXPECT_NE(run.status, -1);
  EXPECT_NE(run.output.find("10"), std::string::npos) << "tells the limit: " << run.output;
}

TEST(Lifecycle, WithoutRoot) {
  const Ended run = run_daemon({"--socket", "sock"}, [] {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(65534, 65534, 65534) != 0 ||
        ::setresuid(65534, 65534, 65534) != 0 || ::chdir("/var/tmp") != 0)
      ::_exit(99);
  });
  if (run.status == 99 || run.status == 127)
    GTEST_SKIP() << "not run here: nobody cannot run the daemon from this directory";
  EXPECT_EQ(run.status, 3) << run.output;
  EXPECT_NE(run.output.find("root"), std::string::npos) << run.output;
}

TEST(Lifecycle, BadOptions) {
  EXPECT_EQ(run_daemon({"--nonsense"}).status, 2);
  EXPECT_EQ(run_daemon({"--tier", "fast"}).status, 2);
  EXPECT_EQ(run_daemon({"--disable-hook", "nonsense"}).status, 2);
  const Ended relative = run_daemon({"--state-dir", "x"});
  EXPECT_EQ(relative.status, 2);
  EXPECT_NE(relative.output.find("absolute path"), std::string::npos) << relative.output;
  const Ended file = run_daemon({"--check-config", "--state-dir", "/proc/self/exe"});
  EXPECT_EQ(file.status, 2);
  EXPECT_NE(file.output.find("not a directory"), std::string::npos) << file.output;
  const Ended small = run_daemon({"--check-config", "--history-max-size", "100K"});
  EXPECT_EQ(small.status, 2);
  EXPECT_NE(small.output.find("at least 4M"), std::string::npos) << small.output;
  EXPECT_EQ(run_daemon({"--check-config", "--history-max-age", "2 fortnights"}).status, 2);
  EXPECT_EQ(run_daemon({"--check-config", "--history-max-age", "-1d"}).status, 2);
  EXPECT_EQ(
      run_daemon({"--check-config", "--history-max-size", "1G", "--history-max-age", "30d"}).status,
      0);
}

TEST(Lifecycle, NothingStaysAfterTerm) {
  Daemon daemon;
  const auto programs = programs_of(daemon.pid());
  const std::string socket = daemon.socket();
  const int status = daemon.stop();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_FALSE(fs::exists(socket));
  expect_gone(programs);
}

TEST(Lifecycle, NothingStaysAfterKill) {
  Daemon daemon;
  const auto programs = programs_of(daemon.pid());
  daemon.kill();
  expect_gone(programs);
}

TEST(Lifecycle, KeepsSixCapabilities) {
  // DAC_READ_SEARCH, NET_ADMIN, SYS_PTRACE, SYS_ADMIN, PERFMON, BPF
  uint64_t wanted = 0;
  for (const int cap : {2, 12, 19, 21, 38, 39})
    wanted |= uint64_t{1} << cap;
  char expected[32];
  std::snprintf(expected, sizeof expected, "CapEff:\t%016llx",
                static_cast<unsigned long long>(wanted));
  const std::string path = "/proc/" + std::to_string(shared_daemon().pid()) + "/status";
  std::string found;
  EXPECT_TRUE(eventually([&] {
    std::ifstream file(path);
    while (std::getline(file, found) && !found.starts_with("CapEff:")) {
    }
    return found == expected;
  })) << found;
}

// Names without a route, and in an emulated machine every third of them.
std::vector<std::string> hooks_to_disable() {
  std::vector<std::string> names;
  size_t n = 0;
  for (const std::string& name : kernel::hook_names())
    if (name.find('/') == std::string::npos && (!in_vm() || n++ % 3 == 0)) names.push_back(name);
  return names;
}

class WithoutHook : public testing::TestWithParam<std::string> {};

TEST_P(WithoutHook, StartsAndSaysSo) {
  const Daemon daemon({"--disable-hook", GetParam()});
  const Json status = daemon.one("/v1/status");
  size_t disabled = 0;
  for (const Json& hook : status["hooks"]) {
    if (hook["state"] == "disabled") ++disabled;
    if (hook["name"] != GetParam()) continue;
    EXPECT_EQ(hook["state"], "disabled") << hook.dump();
    EXPECT_FALSE(hook.value("effect", "").empty()) << hook.dump();
  }
  EXPECT_EQ(disabled, 1u);
}

TEST(Lifecycle, WithoutTheWalkReadsOtherInterfaces) {
  const Daemon daemon({"--disable-hook", "walk"});
  EXPECT_NE(daemon.one("/v1/status")["table"]["source"], "walk");
}

// As on a kernel built without CONFIG_DEBUG_INFO_BTF, of which Debian has none.
void hide_btf() {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, "") != 0 ||
      ::mount("none", "/sys/kernel/btf", "tmpfs", 0, "") != 0)
    give_up_errno("hiding BTF");
}

TEST(Lifecycle, WithoutBtfReadsOtherInterfacesAndSaysSo) {
  const Daemon daemon({}, "auto", {}, hide_btf);
  const Json status = daemon.one("/v1/status");
  EXPECT_EQ(status["table"]["source"], "sock_diag");
  EXPECT_FALSE(status["hooks"].empty());
  for (const Json& hook : status["hooks"]) {
    EXPECT_EQ(hook["state"], "unavailable") << hook.dump();
    EXPECT_NE(hook.dump().find("no BTF"), std::string::npos) << hook.dump();
    EXPECT_FALSE(hook.value("effect", "").empty()) << hook.dump();
  }
  const Netns netns;
  Actor a(netns);
  const int fd = a.tcp();
  ASSERT_TRUE(a.bind(fd, "127.0.0.1", 3999).ok());
  ASSERT_TRUE(a.listen(fd).ok());
  const auto sockets = daemon.lines("/v1/sockets?port=3999&" + netns.query());
  ASSERT_EQ(sockets.size(), 1u);
  EXPECT_EQ(sockets[0]["holders"][0]["pid"], a.pid()) << sockets[0].dump();
}

TEST(Lifecycle, WithoutDirectLoadsStillWalks) {
  const Daemon daemon({"--disable-hook", "direct-loads"});
  const Json status = daemon.one("/v1/status");
  EXPECT_EQ(status["table"]["source"], "walk");
  EXPECT_EQ(daemon.one("/v1/verify")["differences"], 0);
}

INSTANTIATE_TEST_SUITE_P(Lifecycle, WithoutHook, testing::ValuesIn(hooks_to_disable()),
                         [](const auto& hook) {
                           std::string name = hook.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
} // namespace bindlens::test
