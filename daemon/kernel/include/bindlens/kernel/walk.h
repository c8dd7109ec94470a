#pragma once

#include <bindlens/kernel/session.h>
#include <bindlens/model/bucket.h>
#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <functional>
#include <memory>
#include <span>

struct bl_walk;

namespace bindlens::kernel {

struct WalkRequest {
  std::vector<model::Proto> protos = {model::Proto::tcp, model::Proto::udp, model::Proto::udplite};
  uint16_t port = 0;  // 0 = all
  uint32_t netns = 0; // inode number, 0 = all
};

struct WalkReport {
  uint64_t duration_ns = 0;
  uint32_t runs = 0;    // of the program; at most 256 steps each
  uint32_t retries = 0; // buckets read again because they changed meanwhile
};

// Reads the kernel's bind tables by running the `walk` program. One at a time;
// not for use by two threads.
class Walker {
public:
  // Needs the session for as long as it lives. Opens one socket per protocol,
  // never bound, to find the tables by.
  [[nodiscard]] static Result<std::unique_ptr<Walker>> open(Session& session);
  ~Walker();
  Walker(const Walker&) = delete;
  Walker& operator=(const Walker&) = delete;

  // Called now and then during a long walk, so that the ring does not fill up
  // meanwhile. May be empty.
  using Pause = std::function<void()>;
  [[nodiscard]] Result<model::PortView> walk(const WalkRequest& request, const Pause& pause = {});

  [[nodiscard]] const WalkReport& last() const { return report_; }

private:
  Walker() = default;
  Result<void> walk_table(model::Proto proto, const WalkRequest& request, const Pause& pause,
                          model::PortView& view);
  Result<void> run_once();
  void learn_jiffies();

  Session* session_ = nullptr;
  int program_ = -1;
  bl_walk* cursor_ = nullptr;   // mapped
  const bl_row* rows_ = nullptr; // mapped
  Fd tcp_, udp_, udplite_;
  WalkReport report_;
};

} // namespace bindlens::kernel
