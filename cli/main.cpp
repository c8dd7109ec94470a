#include "options.h"

#include <csignal>

int main(int argc, char** argv) {
  // A reader that goes away is seen as EPIPE where we write.
  std::signal(SIGPIPE, SIG_IGN);
  return bindlens::cli::run(argc, argv);
}

#if defined(__SANITIZE_ADDRESS__)
// ncurses keeps its description of the terminal until the end of the process.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libtinfo\nleak:libncursesw\n";
}
extern "C" const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() {
  return "print_suppressions=0";
}
#endif
