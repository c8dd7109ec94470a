#include "status.h"

namespace bindlens::app {

namespace {

protocol::HookStatus hook_status(const kernel::PlannedHook& h) {
  protocol::HookStatus s;
  s.name = h.name;
  s.tier = h.route;
  s.state = h.attached   ? protocol::HookState::attached
            : h.disabled ? protocol::HookState::disabled
            : h.failed   ? protocol::HookState::failed
                         : protocol::HookState::unavailable;
  s.detail = h.reason;
  for (const kernel::Attachment& a : h.attachments)
    s.detail += (s.detail.empty() ? "" : ", ") + a.target;
  s.effect = h.effect;
  return s;
}

void add_hooks(protocol::Status& s, const kernel::AttachPlan& plan) {
  for (const kernel::PlannedHook& h : plan.hooks) {
    s.hooks.push_back(hook_status(h));
    if (h.name == "mark") continue; // a means, not something to observe
    if (h.attached)
      s.observed.push_back(h.name);
    else
      s.reconstructed.push_back(h.name);
  }
  // No hook of any tier sees every datagram sent: that would cost each of them.
  s.reconstructed.emplace_back("udp-autobind");
}

void add_programs(protocol::Status& s, const kernel::Session& session) {
  for (const kernel::ProgramStats& p : session.program_stats())
    s.programs.push_back({p.name, p.run_count, p.run_ns, p.verified_insns});
}

void add_rules(protocol::Status& s, const kernel::Calibration& calibration) {
  for (const rules::VariantLine& line : rules::describe(calibration.variants))
    s.rules.push_back({std::string(line.name), std::string(line.value),
                       std::string(line.decided_by), line.assumed});
  s.calibration_ns = calibration.duration_ns;
}

} // namespace

protocol::Status make_status(const Core& core, const kernel::Session& session,
                             const kernel::Calibration& calibration, MonoNs started_at) {
  const Core::Health& h = core.health();
  const MonoNs now = monotonic_now();
  protocol::Status s;
  s.version = BINDLENS_VERSION;
  s.tier = to_string(session.plan().tier);
  s.tier_reason = session.plan().tier_reason;
  s.uptime_ns = now - started_at;
  s.sockets = core.table().size();
  s.namespaces = core.table().namespaces();
  s.events_seen = h.records;
  s.events_lost = h.lost + h.undecodable;
  s.skipped_runs = session.skipped_runs();
  s.uncounted = session.uncounted();
  s.resyncs = h.resyncs;
  s.failures = core.failures().seen();
  s.failures_kept = core.failures().size();
  s.events_kept = core.events().size();
  s.complete = h.complete;
  s.snapshot_source = core.source().name();
  s.snapshot_ns = h.snapshot_ns;
  s.verified_ago_ns = h.verified_at == 0 ? 0 : now - h.verified_at;
  s.verify_differences = h.verify_differences;
  s.history = "memory";
  add_hooks(s, session.plan());
  add_rules(s, calibration);
  add_programs(s, session);
  return s;
}

void add_history_status(protocol::Status& s, const history::Status& h) {
  s.history = h.state == history::Status::State::writing ? "disk" : "memory";
  protocol::Status::HistoryFile f;
  f.state = to_string(h.state);
  f.path = h.path;
  f.problem = h.problem;
  f.set_aside = h.set_aside;
  f.bytes = h.totals.bytes;
  f.max_bytes = h.max_bytes;
  f.events = h.totals.rows;
  f.oldest = h.totals.oldest;
  f.pending_bytes = h.pending_bytes;
  f.written = h.written;
  f.lost = h.lost;
  s.history_file = std::move(f);
}

} // namespace bindlens::app
