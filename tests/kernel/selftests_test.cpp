// The kernel's own tests of binding and of sharing ports, run beside the daemon: they end as
// without it, what they are refused is explained, and no event is lost. tests/selftests/build
// makes the programs; env BINDLENS_SELFTESTS is the directory that they are in.

#include "daemon.h"

#include <bindlens/util/fd.h>

#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <sstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bindlens::test {
namespace {

struct Selftest {
  std::string name;
  std::vector<std::string> arguments;
  std::map<std::string, std::string> sysctls; // below /proc/sys/net
  bool is_refused = false;                    // some of its binds and listens, with EADDRINUSE
  rlim_t descriptors = 4096;
};

void PrintTo(const Selftest& t, std::ostream* out) {
  *out << t.name;
}

// As the scripts beside them call them.
const std::vector<Selftest> selftests = {
    {"bind_bhash", {"443", "ipv4", "127.0.0.1"}, {}, true, 24'100},
    {"bind_timewait", {}, {}, true},
    {"bind_wildcard", {}, {}, true},
    {"ip_local_port_range", {}, {{"ipv4/ip_local_port_range", "40000 49999"}}, true},
    {"reuseaddr_conflict", {}, {}, true},
    {"reuseaddr_ports_exhausted",
     {},
     {{"ipv4/ip_local_port_range", "32768 32768"}, {"ipv4/ip_autobind_reuse", "1"}},
     true},
    {"reuseport_addr_any", {}, {}},
    {"reuseport_bpf", {}, {}, true},
    {"reuseport_bpf_cpu", {}, {}},
    {"reuseport_dualstack", {}, {}},
    {"sk_bind_sendto_listen", {}, {}},
    {"sk_connect_zero_addr", {}, {}},
    {"so_incoming_cpu", {}, {}},
    {"stress_reuseport_listen", {"100", "80"}, {{"ipv6/ip_nonlocal_bind", "1"}}, false, 8'100},
};

constexpr size_t comm_length = 15; // TASK_COMM_LEN without its end

std::string directory() {
  const char* dir = std::getenv("BINDLENS_SELFTESTS");
  return dir == nullptr ? "" : dir;
}

rlim_t most_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max;
}

// In the child: everything but the program itself.
void arrange(const Selftest& t, const Netns& netns, const std::string& log) {
  netns.enter();
  for (const auto& [name, value] : t.sysctls)
    std::ofstream("/proc/sys/net/" + name) << value; // what is missing shows in the outcome
  const rlimit limit{t.descriptors, most_descriptors()};
  ::setrlimit(RLIMIT_NOFILE, &limit);
  // Before 5.11 what the daemon has loaded counts for this user, too (docs/architecture.md).
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
  const Fd out(::open(log.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600));
  ::dup2(out.get(), STDOUT_FILENO);
  ::dup2(out.get(), STDERR_FILENO);
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

Ended run_selftest(const Selftest& t, const Netns& netns) {
  const TempDir dir;
  const std::string log = dir.path() + "/log";
  const std::string program = directory() + "/" + t.name;
  Child child = Child::fork([&] {
    arrange(t, netns, log);
    std::vector<char*> words{const_cast<char*>(program.c_str())};
    for (const std::string& a : t.arguments)
      words.push_back(const_cast<char*>(a.c_str()));
    words.push_back(nullptr);
    ::execv(program.c_str(), words.data());
    return 127;
  });
  const int status = child.wait(6 * patience());
  return {status, text_of(log)};
}

// The verdicts of its cases, without the words that differ from run to run.
std::vector<std::string> verdicts(const Ended& ended) {
  std::vector<std::string> all{"status " + std::to_string(ended.status)};
  std::istringstream text(ended.output);
  for (std::string line; std::getline(text, line);)
    if (line.starts_with("ok ") || line.starts_with("not ok ")) all.push_back(line);
  return all;
}

bool is_explained(const Json& failure) {
  return !failure.value("holders", Json::array()).empty() ||
         failure.value("rule", "") == "ephemeral-exhausted";
}

// By --gtest_filter: what will not be compared need not run.
bool is_selected(const Selftest& t) {
  const testing::TestSuite* suite = testing::UnitTest::GetInstance()->current_test_suite();
  for (int i = 0; i < suite->total_test_count(); ++i) {
    const testing::TestInfo* info = suite->GetTestInfo(i);
    if (std::string(info->name()).ends_with("/" + t.name)) return info->should_run();
  }
  return false;
}

class Selftests : public testing::TestWithParam<Selftest> {
 protected:
  static void SetUpTestSuite() {
    if (directory().empty()) return;
    for (const Selftest& t : selftests)
      if (is_selected(t) && t.descriptors <= most_descriptors())
        without.emplace(t.name, run_selftest(t, Netns()));
    daemon = std::make_unique<Daemon>();
  }
  static void TearDownTestSuite() { daemon.reset(); }

  // By name: some make namespaces of their own.
  static std::vector<Json> refusals(const Selftest& t, const std::string& since) {
    auto all = daemon->lines("/v1/failures?since=" + since);
    std::erase_if(all, [&](const Json& f) {
      return f["errno"] != "EADDRINUSE" || f["process"]["comm"] != t.name.substr(0, comm_length);
    });
    return all;
  }

  static inline std::map<std::string, Ended> without; // as they end when nobody looks on
  static inline std::unique_ptr<Daemon> daemon;
};

TEST_P(Selftests, DoesAsWithoutTheDaemonAndIsExplained) {
  const Selftest& t = GetParam();
  if (directory().empty())
    GTEST_SKIP() << "not run here: env BINDLENS_SELFTESTS is not set; tests/selftests/build makes "
                    "the programs and says where";
  if (t.descriptors > most_descriptors())
    GTEST_SKIP() << "not run here: needs " << t.descriptors << " descriptors, and a process may "
                 << "have " << most_descriptors();
  const Ended& alone = without.at(t.name);
  ASSERT_NE(alone.status, 127 << 8) << "no program " << directory() << "/" << t.name;
  const std::string start = now_text();
  const Ended watched = run_selftest(t, Netns());
  EXPECT_EQ(verdicts(watched), verdicts(alone)) << watched.output;
  // Those of the test before may have been many, and still be looked into.
  std::vector<Json> refused;
  const bool any =
      eventually([&] { return !(refused = refusals(t, start)).empty(); },
                 t.is_refused && alone.status == 0 ? patience() : std::chrono::milliseconds(0));
  for (const Json& f : refused)
    EXPECT_TRUE(is_explained(f)) << f.dump(1);
  if (alone.status == 0) {
    EXPECT_EQ(any, t.is_refused) << "of these since " << start << ":\n"
                                 << Json(daemon->lines("/v1/failures")).dump(1);
  }
  // A preemptible kernel leaves runs of trampolines out, which is told (docs/architecture.md).
  const Json events = daemon->one("/v1/status")["events"];
  EXPECT_EQ(events["lost"], events["skipped_runs"]) << events.dump();
  EXPECT_EQ(daemon->one("/v1/verify")["differences"], 0);
  if (alone.status != 0)
    GTEST_SKIP() << "fails on this kernel without the daemon, too, and in the same way";
}

INSTANTIATE_TEST_SUITE_P(OfTheKernel, Selftests, testing::ValuesIn(selftests),
                         [](const auto& one) { return one.param.name; });

} // namespace
} // namespace bindlens::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  return RUN_ALL_TESTS();
}
