#pragma once

// What travels between daemon and clients, apart from its encoding (json.h).

#include <bindlens/model/bucket.h>
#include <bindlens/model/event.h>
#include <bindlens/model/finding.h>
#include <bindlens/model/process.h>
#include <bindlens/model/socket.h>
#include <bindlens/util/clock.h>

#include <optional>
#include <string>
#include <vector>

namespace bindlens::protocol {

// One line of /v1/sockets. Views point into the producer and are valid until
// the next row is asked for.
struct SocketRow {
  model::Socket socket;
  model::BoundBy bound_by = model::BoundBy::unknown;
  MonoNs bound_at = 0; // 0 = not known
  model::ProcessRef binder;
  std::vector<model::Holder> holders;
  bool holders_known = true;                  // false: the member is left out of the JSON
  std::string_view user;                      // name of socket.uid, may be empty
  std::string_view netns_name;                // may be empty
  std::string_view dev;                       // interface name, may be empty
  const model::BucketState* bucket = nullptr; // TCP, and only when asked for (wide)
  std::string_view uncertain;                 // of the past: why it is; empty = it is certain
};

enum class HookState : uint8_t { attached, disabled, unavailable, failed };

struct HookStatus {
  std::string name; // as --disable-hook takes it: "bind", "listen", …
  std::string tier; // "trampoline", "kprobe", "tracepoint", "cgroup"; empty when none
  HookState state = HookState::unavailable;
  std::string detail; // the program or tracepoint, or why it is missing
  std::string effect; // what is reconstructed or lost without it, empty when nothing
};

struct Status {
  std::string version;
  std::string tier;        // the best tier in use
  std::string tier_reason; // why no better one, empty for the best
  uint64_t uptime_ns = 0;
  uint64_t sockets = 0; // in the table
  uint64_t namespaces = 0;
  uint64_t events_seen = 0;
  uint64_t events_lost = 0;
  uint64_t skipped_runs = 0; // of events_lost: the kernel did not run the program
  uint64_t uncounted = 0;    // what the figures of reuseport members lack
  uint64_t resyncs = 0;
  uint64_t failures = 0;      // seen since the start
  uint64_t failures_kept = 0; // in memory now, identical ones folded
  uint64_t events_kept = 0;
  bool complete = true;         // the table was complete when asked
  std::string snapshot_source;  // "walk" or "iterators"
  uint64_t snapshot_ns = 0;     // how long the last whole one took
  uint64_t verified_ago_ns = 0; // 0 = not yet
  uint64_t verify_differences = 0;
  // Audits that the daemon makes by itself.
  struct Audit {
    uint32_t interval_s = 0; // 0: it makes none
    uint64_t runs = 0;
    uint64_t cpu_ns = 0; // of one processor, all of them together
    uint64_t findings = 0;
  };
  Audit audit;
  std::string history; // "memory" while nothing is written to disk, else "disk"
  struct HistoryFile {
    std::string state; // "opening", "writing", "waiting" for the disk
    std::string path;
    std::string problem;   // a sentence, empty when all is well
    std::string set_aside; // where a damaged file was put
    uint64_t bytes = 0, max_bytes = 0;
    uint64_t events = 0; // in the file
    int64_t oldest = 0;  // wall time, ns; 0 = none
    uint64_t pending_bytes = 0;
    uint64_t written = 0, lost = 0; // events, since the start
  };
  std::optional<HistoryFile> history_file; // absent: --state-dir none
  std::vector<HookStatus> hooks;
  std::vector<std::string> observed;
  std::vector<std::string> reconstructed;
  struct Variant {
    std::string name, value, decided_by;
    bool assumed = false;
  };
  std::vector<Variant> rules; // kernel rules in force
  uint64_t calibration_ns = 0;
  struct Program { // as the kernel accounts for it
    std::string name;
    uint64_t run_count = 0, run_ns = 0; // 0 unless kernel.bpf_stats_enabled
    uint32_t verified_insns = 0;
  };
  std::vector<Program> programs;
};

struct Difference {
  std::string kind; // "missing" (kernel has it, table not), "stale", "changed"
  model::Socket socket;
  std::string detail;
};

struct VerifyReport {
  uint64_t sockets = 0;
  uint64_t differences = 0;
  uint64_t duration_ns = 0;
  std::string source;
  std::vector<Difference> list; // the first 1,000
};

// What POST /v1/check carries; the names are the flags of `bindlens check`.
struct CheckRequest {
  model::Proto proto = model::Proto::tcp;
  model::Endpoint at;
  bool reuseaddr = false, reuseport = false, listen = false, freebind = false, transparent = false;
  std::optional<bool> v6only;
  std::optional<uint32_t> uid; // absent: the peer of the socket
  std::string dev, netns, os;
};

struct CheckReply {
  bool would_succeed = false;
  int error = 0;
  model::Rule rule = model::Rule::none;
  std::string explanation;
  std::vector<model::Blocker> holders;
  std::vector<std::string> advice;
  std::vector<std::string> minimal_change;
  std::vector<std::string> unknown;
  std::optional<model::BucketState> bucket; // TCP: of the port, when somebody holds it
};

} // namespace bindlens::protocol
