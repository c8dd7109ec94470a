#pragma once

namespace bindlens::cli {

// Reads the command line, runs what it asks for and returns the exit code.
// Complaints go to standard error.
int run(int argc, const char* const* argv);

} // namespace bindlens::cli
