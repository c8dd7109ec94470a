#include "daemon.h"

#include <gtest/gtest.h>

#include <csignal>

namespace {

class StopDaemon : public testing::Environment {
 public:
  void TearDown() override { bindlens::test::stop_shared_daemon(); }
};

} // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::AddGlobalTestEnvironment(new StopDaemon); // gtest deletes it
  std::signal(SIGPIPE, SIG_IGN);
  return RUN_ALL_TESTS();
}
