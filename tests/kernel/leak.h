#pragma once

// A descriptor that outlives the program it was made for.

#include "place.h"

#include <chrono>
#include <cstdint>

namespace bindlens::test {

struct Leaked {
  Child server; // "kt-server"
  Child program;
};

// A server with a listener on 127.0.0.1:`port` that starts `sleep`, a child of the test,
// with that listener still open, and ends when so much time has passed.
[[nodiscard]] Leaked leak_into_a_program(const Netns& netns, uint16_t port,
                                         std::chrono::milliseconds lives_on = {});

} // namespace bindlens::test
