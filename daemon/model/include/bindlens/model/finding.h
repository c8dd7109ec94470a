#pragma once

#include <bindlens/model/failure.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::model {

// What the audit looks for. The names are part of the interface; docs/audit.md
// has a page for each.
enum class FindingId : uint8_t {
  wildcard_conflict,
  dual_stack_overlap,
  udp_shared_port,
  reuseport_single_user_hijack,
  reuseport_stalled_member,
  ephemeral_overlap,
  ephemeral_near_exhaustion,
  time_wait_blocks_restart,
  leaked_descriptor,
  bound_not_listening,
  linger_zero,
  privileged_by_unprivileged,
  reuseport_skew,
  time_wait_reuse,
};

enum class Severity : uint8_t { info, warning, critical };

// Where what is sent to one destination arrives.
struct Delivery {
  std::string destination; // "127.0.0.1", "any other IPv4 address on eth0"
  std::string receiver;    // "nginx[812] (nginx.service)"
};

struct Finding {
  FindingId id = FindingId::wildcard_conflict;
  Severity severity = Severity::info;
  std::string summary; // what is there, without a final dot
  std::string detail;  // what will happen, in sentences
  Proto proto = Proto::tcp;
  uint16_t port = 0; // 0: it is about no one port
  uint32_t netns = 0;
  // What it is about in words that stay the same when the programs are started
  // again: "tcp 8080 nginx,node".
  std::string subject;
  std::vector<Delivery> deliveries;
  std::vector<Blocker> sockets; // those concerned, with their processes
  uint64_t sockets_left_out = 0;
  std::vector<std::string> advice; // without final dots; the best first
};

[[nodiscard]] std::string_view to_string(FindingId id); // "wildcard-conflict"
[[nodiscard]] std::string_view to_string(Severity s);   // "warning"
[[nodiscard]] std::optional<FindingId> parse_finding_id(std::string_view text);
[[nodiscard]] std::optional<Severity> parse_severity(std::string_view text);
[[nodiscard]] std::span<const FindingId> all_finding_ids();

} // namespace bindlens::model
