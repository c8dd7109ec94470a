#pragma once

#include "auditor.h"

#include <bindlens/audit/upkeep.h>
#include <bindlens/protocol/types.h>

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <string>

namespace bindlens::app {

// Audits the host again and again as sockets come and go, and tells which
// findings are new and which are gone: as events, and each once in the log.
class AuditWatch {
 public:
  // `interval_s` 0: never.
  AuditWatch(boost::asio::io_context& io, Core& core, Auditor& auditor, uint32_t interval_s)
      : core_(core), auditor_(auditor), interval_s_(interval_s), timer_(io) {}

  void start();
  // Something changed that is no event: as if a socket had come or gone.
  void note_change(MonoNs time);
  [[nodiscard]] protocol::Status::Audit status() const;

 private:
  void note(const model::Event& e);
  void wait();
  void run();
  void take(Result<Auditor::Answer> answer, uint64_t cpu_before);
  void tell(const audit::Known::Change& change);
  [[nodiscard]] std::string place_of(const model::Finding& f) const;

  Core& core_;
  Auditor& auditor_;
  uint32_t interval_s_;
  boost::asio::steady_timer timer_;
  std::optional<audit::Turns> turns_; // empty: not watching
  audit::Known known_;
  std::shared_ptr<void> subscription_;
  bool running_ = false;
  bool failing_ = false;
  uint64_t runs_ = 0;
  uint64_t cpu_ns_ = 0;
};

} // namespace bindlens::app
