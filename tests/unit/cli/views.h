#pragma once

#include <bindlens/protocol/view.h>

namespace bindlens::test {

inline protocol::ProcessView view_of(uint32_t pid, std::string comm, std::optional<int> fd = {},
                                     std::string unit = {}, std::string user = {}) {
  protocol::ProcessView p;
  p.pid = pid;
  p.comm = std::move(comm);
  p.fd = fd;
  p.unit = std::move(unit);
  p.user = std::move(user);
  return p;
}

} // namespace bindlens::test
