// What calibration promises about its surroundings. Needs root.

#include <bindlens/kernel/calibration.h>

#include <dirent.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>

namespace bindlens::kernel {
namespace {

size_t entries_of(const char* directory) {
  DIR* d = ::opendir(directory);
  size_t n = 0;
  while (d != nullptr && ::readdir(d) != nullptr)
    ++n;
  ::closedir(d);
  return n;
}

ino_t network_namespace() {
  struct stat st {};
  ::stat("/proc/thread-self/ns/net", &st);
  return st.st_ino;
}

TEST(Calibration, MeasuresEverythingHere) {
  const Calibration c = calibrate();
  EXPECT_EQ(c.variants.assumed, "");
  for (const rules::VariantLine& line : describe(c.variants))
    EXPECT_FALSE(line.assumed) << line.name << ": " << line.decided_by;
}

std::string told(const rules::Variants& v) {
  std::string out;
  for (const rules::VariantLine& line : describe(v)) {
    out += std::string(line.name) + " " + std::string(line.value);
    out += line.assumed ? " (assumed)\n" : "\n";
  }
  return out;
}

TEST(Calibration, AnswersAlwaysTheSame) {
  const std::string first = told(calibrate().variants);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(told(calibrate().variants), first);
}

TEST(Calibration, TakesLessThanATenthOfASecond) {
  // An emulated guest (tests/vm) is about ten times slower.
  const uint64_t limit = std::getenv("BINDLENS_VM") == nullptr ? 100'000'000 : 1'000'000'000;
  uint64_t best = ~uint64_t{0};
  for (int i = 0; i < 5; ++i)
    best = std::min(best, calibrate().duration_ns);
  EXPECT_LT(best, limit);
}

TEST(Calibration, LeavesNothingBehind) {
  const ino_t netns = network_namespace();
  const size_t descriptors = entries_of("/proc/self/fd");
  const size_t threads = entries_of("/proc/self/task");
  (void)calibrate();
  EXPECT_EQ(network_namespace(), netns);
  EXPECT_EQ(entries_of("/proc/self/fd"), descriptors);
  // A thread that was joined is shown for a moment longer: at both times.
  for (int i = 0; i < 100 && entries_of("/proc/self/task") > threads; ++i)
    ::usleep(10'000);
  EXPECT_LE(entries_of("/proc/self/task"), threads);
  EXPECT_EQ(::syscall(SYS_setfsuid, -1), 0) << "the user of the caller";
}

TEST(Calibration, SaysWhatItAssumesWhereItMayNotMakeANamespace) {
  Calibration c;
  // The user is given up by this thread alone, and by those it starts.
  std::thread([&c] {
    ::syscall(SYS_setresuid, 65534, 65534, 65534);
    c = calibrate();
  }).join();
  EXPECT_NE(c.variants.assumed.find("namespace"), std::string::npos) << c.variants.assumed;
  for (const rules::VariantLine& line : describe(c.variants)) {
    const bool needs_none = line.name == "socket-port-range" || line.name == "udplite";
    EXPECT_EQ(line.assumed, !needs_none) << line.name;
  }
}

} // namespace
} // namespace bindlens::kernel
