#pragma once

// What a client reads out of the daemon's answers, for showing it. The members
// are those of the JSON; empty strings and nullopt mean "not known".

#include <bindlens/protocol/time_text.h>
#include <bindlens/util/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::protocol {

struct ProcessView {
  uint32_t pid = 0;
  std::optional<int> fd;
  uint32_t tid = 0; // 0 = not given
  std::string comm, exe, user, cgroup, unit, container;
  std::optional<uint32_t> uid;
  uint32_t ppid = 0; // 0 = not known
};

struct BucketView {
  int fastreuse = 0, fastreuseport = 0;
  uint32_t fastuid = 0;
  std::string open_to;
  std::optional<uint32_t> open_uid; // reuseport: whose
  std::string because;
};

struct SocketView {
  std::string proto, family, addr;
  uint16_t port = 0;
  std::optional<bool> v6only; // IPv6 only
  std::string dev, state, peer;
  bool reuseaddr = false, reuseport = false;
  std::optional<uint32_t> linger; // seconds; nullopt = off
  std::optional<uint32_t> timewait_left_ms;
  std::optional<uint32_t> uid;
  std::string user;
  uint32_t netns = 0;
  std::string netns_name, cookie;
  bool kernel = false, orphan = false;
  std::string bound_by;
  std::optional<WallNs> bound_at;
  std::optional<WallNs> released_at; // of a holder: after the refusal
  std::optional<ProcessView> binder;
  bool binder_exited = false;
  std::optional<std::vector<ProcessView>> holders;
  struct Backlog {
    uint32_t current = 0, max = 0;
  };
  std::optional<Backlog> backlog;
  std::optional<BucketView> bucket;
  // Of a holder that stands in the way:
  std::string relation, rule;
  bool necessary = true;
  std::string uncertain; // of the past: why it is; empty = it is certain
};

struct FailureView {
  uint64_t id = 0;
  WallNs time = 0, first_time = 0;
  uint64_t count = 1;
  std::string call, error; // "bind", "EADDRINUSE"
  SocketView asked;        // the request: its address, flags, uid, namespace
  std::optional<ProcessView> process;
  std::string rule, explanation;
  std::vector<SocketView> holders;
  std::vector<std::string> advice;
  std::optional<BucketView> bucket;
  std::string evidence;
  bool complete = true;
};

struct FindingView {
  std::string id, severity, summary, detail, proto;
  uint16_t port = 0; // 0 = about no one port
  uint32_t netns = 0;
  std::string netns_name, key;
  struct Delivery {
    std::string destination, receiver;
  };
  std::vector<Delivery> delivery;
  std::vector<SocketView> sockets;
  uint64_t sockets_left_out = 0;
  std::vector<std::string> advice;
};

struct EventView {
  uint64_t id = 0; // 0 for what the daemon says about this stream itself
  WallNs time = 0;
  std::string type;
  SocketView socket;                  // all but fail, audit and gap
  std::optional<ProcessView> process; // who called
  std::optional<FailureView> failure; // fail
  std::optional<FindingView> finding; // audit
  bool resolved = false;              // audit: it is not there any more
  uint64_t lost = 0;                  // gap
  std::string reason;                 // gap
  std::string missing;                // gap in the history: "not-running" and so on
  WallNs until = 0;                   // …: its end; it begins at `time`
  uint64_t counted = 0;               // …: sockets that are only counted
  struct Reuse {
    std::string kind, evidence;
    uint64_t sockets = 0;
    bool harmless = true;
    uint64_t left_out = 0;
  };
  std::optional<Reuse> reuse; // timewait-reuse
};

struct StatusView {
  std::string version, tier, tier_reason, history;
  uint64_t uptime_ns = 0;
  uint64_t sockets = 0, namespaces = 0;
  bool complete = true;
  std::string source;
  uint64_t snapshot_ns = 0;
  std::optional<uint64_t> verified_ago_ns;
  uint64_t differences = 0;
  uint64_t events_seen = 0, events_lost = 0, skipped_runs = 0, uncounted = 0, resyncs = 0,
           events_kept = 0;
  uint64_t failures_seen = 0, failures_kept = 0;
  struct Audit {
    uint32_t interval_s = 0; // 0: only when asked
    uint64_t runs = 0, cpu_ns = 0, findings = 0;
  };
  std::optional<Audit> audit;
  struct HistoryFile {
    std::string state, path, problem, set_aside;
    uint64_t bytes = 0, max_bytes = 0, events = 0, pending_bytes = 0, written = 0, lost = 0;
    std::optional<WallNs> oldest;
  };
  std::optional<HistoryFile> history_file; // absent: in memory alone
  struct Hook {
    std::string name, tier, state, detail, effect;
  };
  std::vector<Hook> hooks;
  std::vector<std::string> observed, reconstructed;
  struct Variant {
    std::string name, value, decided_by;
    bool assumed = false;
  };
  std::vector<Variant> rules;
  uint64_t calibration_ns = 0;
};

struct DifferenceView {
  std::string kind, detail;
  SocketView socket;
};

struct VerifyView {
  uint64_t differences = 0, sockets = 0, duration_ns = 0;
  std::string source;
  std::vector<DifferenceView> list;
};

struct CheckView {
  bool would_succeed = false;
  std::string error, rule, explanation;
  std::vector<SocketView> holders;
  std::vector<std::string> advice, minimal_change, unknown;
  std::optional<BucketView> bucket;
};

// One reuse of TIME_WAIT: of `bindlens timewait`, and of an event.
struct ReuseView {
  WallNs time = 0;
  std::string kind, evidence; // "bind", "connect", "syn"
  SocketView socket;
  std::optional<ProcessView> process;
  uint64_t sockets = 0;
  bool harmless = true;
  uint64_t left_out = 0;
};

struct TimeWaitView {
  SocketView local; // proto, address, port, namespace
  uint64_t count = 0, fin_wait2 = 0;
  std::optional<WallNs> oldest;
  std::optional<uint32_t> next_left_ms, last_left_ms;
  uint64_t reuseaddr = 0, reuseport = 0;
  struct Owner {
    ProcessView process;
    uint64_t count = 0;
  };
  std::vector<Owner> owners;
  uint64_t bind_reuses = 0, connect_reuses = 0, syn_reuses = 0;
  std::vector<ReuseView> reuses; // newest first
  uint64_t linger_zero = 0;
  bool complete = true;
};

struct PortRangeView {
  uint16_t first = 0, last = 0;
};

struct ProcessPortsView {
  ProcessView process;
  uint64_t ports = 0;
};

struct DestinationView {
  std::string from, to;
  uint64_t connections = 0, time_wait = 0, time_wait_reusable = 0, used = 0, left = 0;
  double share = 0;
  std::string severity;
  std::optional<double> rate_per_s, growth_per_s, exhausted_in_s;
  std::optional<std::vector<ProcessPortsView>> processes;
};

// Ports that the kernel gives out by itself, of one namespace.
struct PortUseView {
  uint32_t netns = 0;
  std::string netns_name;
  PortRangeView range;
  std::vector<PortRangeView> reserved;
  uint64_t ports = 0;
  struct Tcp {
    uint64_t listening = 0, bound = 0, connected = 0, time_wait = 0, used = 0, free = 0;
    double share = 0;
    std::string severity;
    uint64_t closed = 0; // closed_to_connect
    std::string closed_severity;
    std::optional<std::vector<ProcessPortsView>> closers;
  } tcp;
  struct Udp {
    uint64_t used = 0, free = 0;
    double share = 0;
    std::string severity;
  } udp;
  std::vector<DestinationView> destinations;
  uint64_t destinations_left_out = 0;
};

struct PortReportView {
  WallNs time = 0;
  std::optional<double> window_s;
  bool complete = true;
  std::vector<PortUseView> namespaces;
  std::vector<uint32_t> unknown;
};

// A socket among which the kernel distributes, with what came to it.
struct MemberView {
  SocketView socket;
  std::optional<int> incoming_cpu;
  std::optional<uint32_t> receive_queue, receive_buffer; // bytes
  bool counted_from_start = false;
  std::optional<WallNs> since;
  std::optional<uint64_t> selected, queued, accepted, datagrams, drops, migrated, lost_at_close;
  std::optional<uint32_t> backlog_peak;
  std::optional<WallNs> last_accept, queue_full_since, stalled_since;
  std::optional<double> per_second;
  std::optional<uint64_t> counted;
  std::optional<double> share, expected_share;
  bool stalled = false;
};

struct GroupView {
  SocketView at; // proto, address, dev, netns and uid of the group
  std::string kind, steering, program;
  uint32_t program_id = 0; // 0 = not known
  bool migrates = false;
  uint32_t closed = 0;
  std::vector<MemberView> members;
  std::string counted_by; // empty: nothing is
  uint64_t total = 0;
  std::optional<WallNs> since;
  std::optional<double> skew, p_value;
  std::string verdict, cause, explanation;
  std::vector<std::string> advice;
};

// One line, or one document, of an answer. They fail on what is no JSON object
// or has a member of the wrong type; unknown members are passed over, so that a
// newer daemon can be read.
[[nodiscard]] Result<SocketView> read_socket(std::string_view json);
[[nodiscard]] Result<FailureView> read_failure(std::string_view json);
[[nodiscard]] Result<EventView> read_event(std::string_view json);
// What an answer from the history lacks, where a line of it says that.
[[nodiscard]] std::optional<EventView> read_missing(std::string_view json);
[[nodiscard]] Result<StatusView> read_status(std::string_view json);
[[nodiscard]] Result<VerifyView> read_verify(std::string_view json);
[[nodiscard]] Result<CheckView> read_check(std::string_view json);
[[nodiscard]] Result<FindingView> read_finding(std::string_view json);
[[nodiscard]] Result<TimeWaitView> read_timewait(std::string_view json);
[[nodiscard]] Result<PortReportView> read_ports(std::string_view json);
[[nodiscard]] Result<GroupView> read_group(std::string_view json);

} // namespace bindlens::protocol
