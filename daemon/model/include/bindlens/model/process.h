#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace bindlens::model {

// A process as it was when it did something, or as it is now. Empty strings:
// not known (the process was gone before it could be asked).
struct Process {
  uint32_t pid = 0;        // initial pid namespace
  uint64_t start_time = 0; // ns since boot; 0 = not known
  uint32_t uid = 0;        // effective
  std::string user;        // name of uid, empty when it has none
  std::string comm;
  std::string exe;
  std::string cgroup;    // path below the hierarchy's root
  std::string unit;      // systemd unit, "nginx.service"
  std::string container; // id, as long as the cgroup path gives it
  uint32_t ppid = 0;
};
using ProcessRef = std::shared_ptr<const Process>; // null = not known

// One open descriptor of a socket.
struct Holder {
  ProcessRef process; // never null
  int fd = -1;
};

} // namespace bindlens::model
