#pragma once

#include <cstddef>

namespace bindlens::bench {

// How many times the bind hook of bindlens is loaded in this kernel, by whomever.
// A comparison of "with" and "without" is worth nothing when another daemon or
// test has its own hooks attached.
[[nodiscard]] size_t loaded_bind_hooks();

// Waits until there are exactly so many; false after `seconds`.
[[nodiscard]] bool wait_for_bind_hooks(size_t count, double seconds);

} // namespace bindlens::bench
