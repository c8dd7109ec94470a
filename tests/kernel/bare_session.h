#pragma once

// The BPF programs without the hooks: what reads the kernel on demand.

#include "place.h"

#include <bindlens/kernel/session.h>

#include <memory>

namespace bindlens::test {

[[nodiscard]] inline std::unique_ptr<kernel::Session> open_bare_session() {
  kernel::SessionOptions options;
  for (const std::string& name : kernel::hook_names())
    options.wishes.disabled.insert(name);
  auto opened = kernel::Session::open(options);
  if (!opened) give_up(opened.error().text);
  return *std::move(opened);
}

} // namespace bindlens::test
