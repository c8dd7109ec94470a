#pragma once

#include <bindlens/model/bucket.h>
#include <bindlens/util/result.h>

#include <functional>
#include <string_view>
#include <vector>

namespace bindlens::kernel {

struct WalkRequest {
  std::vector<model::Proto> protos = {model::Proto::tcp, model::Proto::udp, model::Proto::udplite};
  uint16_t port = 0;  // 0 = all
  uint32_t netns = 0; // inode number, 0 = all
  // Also what is known of a socket's file: inode, its uid, references. Rules and
  // quick_owners() need them; a walk without is a third faster.
  bool files = true;
  bool timewait = false; // TCP: TIME_WAIT sockets alone
};

struct WalkReport {
  uint64_t duration_ns = 0;
  uint32_t runs = 0;    // of the program that walks
  uint32_t retries = 0; // buckets read again because they changed meanwhile
};

// Where the sockets that hold ports are read from. Not for use by two threads.
class TableSource {
 public:
  virtual ~TableSource() = default;
  // Called now and then during a long walk, so that the ring does not fill up
  // meanwhile. May be empty.
  using Pause = std::function<void()>;
  [[nodiscard]] virtual Result<model::PortView> walk(const WalkRequest& request,
                                                     const Pause& pause = {}) = 0;
  // The same, bucket by bucket as they are read, for who does not want to keep
  // them all. Returns whether they were read whole (not PortView::torn).
  using Visit = std::function<void(const model::Bucket&)>;
  [[nodiscard]] virtual Result<bool> for_each(const WalkRequest& request, const Visit& visit,
                                              const Pause& pause = {}) = 0;
  // "walk" or "sock_diag".
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] const WalkReport& last() const { return report_; }

 protected:
  WalkReport report_;
};

} // namespace bindlens::kernel
