#pragma once

// The BPF programs without the hooks: what reads the kernel on demand.

#include "place.h"

#include <bindlens/kernel/session.h>

#include <memory>

namespace bindlens::test {

[[nodiscard]] inline std::unique_ptr<kernel::Session> open_bare_session() {
  auto opened = kernel::Session::open({.wishes = kernel::without_hooks()});
  if (!opened) give_up(opened.error().text);
  return *std::move(opened);
}

} // namespace bindlens::test
