#pragma once

#include "audit_watch.h"
#include "auditor.h"
#include "core.h"
#include "past.h"
#include "recorder.h"
#include "reuseport.h"
#include "share_judge.h"

#include <bindlens/kernel/calibration.h>
#include <bindlens/server/backend.h>

namespace bindlens::app {

// Answers the API's questions from the core.
class DaemonBackend : public server::Backend {
 public:
  DaemonBackend(boost::asio::io_context& io, Core& core, kernel::Session& session,
                kernel::Namespaces& namespaces, const kernel::Calibration& calibration,
                uint32_t audit_interval_s, Recorder* recorder);

  // Begins to look for findings by itself, if that was asked for.
  void watch_findings();
  // Begins to count what members of reuseport groups get.
  void count_shares();

  void list_sockets(SocketQuery query, Done<std::unique_ptr<server::SocketCursor>> done) override;
  std::vector<model::Event> events(const model::Filter& f) override;
  void past(PastQuery query, Done<std::unique_ptr<server::PastCursor>> done) override;
  [[nodiscard]] std::shared_ptr<void> subscribe(EventSink sink) override;
  protocol::Status status() override;
  void verify(Done<protocol::VerifyReport> done) override;
  void check(const protocol::CheckRequest& request, server::Peer peer,
             Done<protocol::CheckReply> done) override;
  void audit(AuditQuery query, Done<std::vector<model::Finding>> done) override;
  void timewait(model::Filter filter, Done<model::TimeWaitTable> done) override;
  void ports(PortsQuery query, Done<model::PortReport> done) override;
  void reuseport(model::Filter filter, Done<std::vector<model::JudgedGroup>> done) override;
  Result<uint32_t> resolve_user(std::string_view name_or_uid) override;
  Result<uint32_t> resolve_netns(std::string_view text) override;
  std::string netns_name(uint32_t netns) override;
  std::string user_name(uint32_t uid) override;
  std::string dev_name(uint32_t netns, uint32_t index) override;

 private:
  void list_port(SocketQuery query, Done<std::unique_ptr<server::SocketCursor>> done);
  void list_all(SocketQuery query, Done<std::unique_ptr<server::SocketCursor>> done);

  Core& core_;
  kernel::Session& session_;
  kernel::Namespaces& namespaces_;
  const kernel::Calibration& calibration_;
  Recorder* recorder_; // null: everything in memory
  Past past_;
  MonoNs started_at_;
  Auditor auditor_;
  AuditWatch watch_;
  Reuseport reuseport_;
  ShareJudge judge_;
};

} // namespace bindlens::app
