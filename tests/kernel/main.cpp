#include "daemon.h"

#include <gtest/gtest.h>

#include <csignal>

namespace {

// The daemon is there before the first test: what happens earlier, it does not see.
class SharedDaemon : public testing::Environment {
 public:
  void SetUp() override { (void)bindlens::test::shared_daemon(); }
  void TearDown() override { bindlens::test::stop_shared_daemon(); }
};

} // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::AddGlobalTestEnvironment(new SharedDaemon); // gtest deletes it
  std::signal(SIGPIPE, SIG_IGN);
  return RUN_ALL_TESTS();
}
