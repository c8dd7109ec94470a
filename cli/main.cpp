#include "options.h"

#include <csignal>

int main(int argc, char** argv) {
  // A reader that goes away is seen as EPIPE where we write.
  std::signal(SIGPIPE, SIG_IGN);
  return bindlens::cli::run(argc, argv);
}
