// What calibration promises about its surroundings. Needs root.

#include <bindlens/kernel/calibration.h>

#include <dirent.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

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

TEST(Calibration, AnswersAlwaysTheSame) {
  const Calibration first = calibrate();
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(calibrate().variants, first.variants);
}

TEST(Calibration, TakesLessThanATenthOfASecond) {
  uint64_t best = ~uint64_t{0};
  for (int i = 0; i < 5; ++i)
    best = std::min(best, calibrate().duration_ns);
  EXPECT_LT(best, 100'000'000u);
}

TEST(Calibration, LeavesNothingBehind) {
  const ino_t netns = network_namespace();
  const size_t descriptors = entries_of("/proc/self/fd");
  const size_t threads = entries_of("/proc/self/task");
  (void)calibrate();
  EXPECT_EQ(network_namespace(), netns);
  EXPECT_EQ(entries_of("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries_of("/proc/self/task"), threads);
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
