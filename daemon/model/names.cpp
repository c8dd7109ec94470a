// Every enum of the model with the names that users, scripts and documents know.

#include <bindlens/model/bucket_state.h>
#include <bindlens/model/distribution.h>
#include <bindlens/model/event.h>
#include <bindlens/model/finding.h>
#include <bindlens/model/past.h>
#include <bindlens/model/reuseport.h>
#include <bindlens/model/rule.h>

#include <algorithm>
#include <array>
#include <utility>

namespace bindlens::model {

namespace {

template <typename E>
using Names = std::initializer_list<std::pair<E, std::string_view>>;

template <typename E>
std::string_view name_of(const Names<E>& names, E value) {
  for (const auto& [v, name] : names)
    if (v == value) return name;
  return "";
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

template <typename E>
std::optional<E> value_of(const Names<E>& names, std::string_view text) {
  for (const auto& [v, name] : names)
    if (!name.empty() && same_ignoring_case(name, text)) return v;
  return std::nullopt;
}

const Names<Proto> protos = {
    {Proto::tcp, "tcp"}, {Proto::udp, "udp"}, {Proto::udplite, "udplite"}, {Proto::mptcp, "mptcp"}};

const Names<State> states = {{State::established, "ESTABLISHED"},
                             {State::syn_sent, "SYN_SENT"},
                             {State::syn_recv, "SYN_RECV"},
                             {State::fin_wait1, "FIN_WAIT1"},
                             {State::fin_wait2, "FIN_WAIT2"},
                             {State::time_wait, "TIME_WAIT"},
                             {State::bound, "BOUND"},
                             {State::close_wait, "CLOSE_WAIT"},
                             {State::last_ack, "LAST_ACK"},
                             {State::listen, "LISTEN"},
                             {State::closing, "CLOSING"}};

const Names<BoundBy> bound_bys = {{BoundBy::unknown, ""},
                                  {BoundBy::bind, "bind"},
                                  {BoundBy::autobind, "autobind"},
                                  {BoundBy::connect, "connect"},
                                  {BoundBy::accept, "accept"}};

const Names<Call> calls = {{Call::bind, "bind"},
                           {Call::listen, "listen"},
                           {Call::connect, "connect"},
                           {Call::send, "send"}};

const Names<Evidence> evidences = {{Evidence::observed, "observed"},
                                   {Evidence::reconstructed, "reconstructed"}};

const Names<Rule> rules = {{Rule::none, ""},
                           {Rule::listener, "listener"},
                           {Rule::holder_no_reuseaddr, "holder-no-reuseaddr"},
                           {Rule::requester_no_reuseaddr, "requester-no-reuseaddr"},
                           {Rule::holder_no_reuseport, "holder-no-reuseport"},
                           {Rule::requester_no_reuseport, "requester-no-reuseport"},
                           {Rule::reuseport_uid, "reuseport-uid"},
                           {Rule::time_wait, "time-wait"},
                           {Rule::connected_child, "connected-child"},
                           {Rule::bucket_connect_only, "bucket-connect-only"},
                           {Rule::udp_no_reuse, "udp-no-reuse"},
                           {Rule::udp_reuseport_uid, "udp-reuseport-uid"},
                           {Rule::ephemeral_exhausted, "ephemeral-exhausted"},
                           {Rule::tuple_in_use, "tuple-in-use"},
                           {Rule::privileged_port, "privileged-port"},
                           {Rule::address_not_local, "address-not-local"},
                           {Rule::already_bound, "already-bound"},
                           {Rule::reserved_port, "reserved-port"},
                           {Rule::policy, "policy"},
                           {Rule::invalid_argument, "invalid-argument"}};

const Names<Relation> relations = {{Relation::none, ""},
                                   {Relation::same, "same"},
                                   {Relation::holder_is_wildcard, "holder-is-wildcard"},
                                   {Relation::requester_is_wildcard, "requester-is-wildcard"},
                                   {Relation::v6_wildcard_covers_v4, "v6-wildcard-covers-v4"},
                                   {Relation::v4_mapped, "v4-mapped"}};

const Names<EventType> event_types = {{EventType::bind, "bind"},
                                      {EventType::autobind, "autobind"},
                                      {EventType::listen, "listen"},
                                      {EventType::connect, "connect"},
                                      {EventType::release, "release"},
                                      {EventType::fail, "fail"},
                                      {EventType::timewait_reuse, "timewait-reuse"},
                                      {EventType::reuseport_join, "reuseport-join"},
                                      {EventType::reuseport_leave, "reuseport-leave"},
                                      {EventType::audit, "audit"},
                                      {EventType::gap, "gap"},
                                      {EventType::start, "start"},
                                      {EventType::stop, "stop"}};

const Names<GapCause> gap_causes = {
    {GapCause::kernel, "kernel"}, {GapCause::queue, "queue"}, {GapCause::disk, "disk"}};

const Names<Missing::Why> missings = {{Missing::Why::not_kept, "not-kept"},
                                      {Missing::Why::not_running, "not-running"},
                                      {Missing::Why::lost, "lost"},
                                      {Missing::Why::counted, "counted"},
                                      {Missing::Why::unavailable, "unavailable"}};

const Names<Steering> steerings = {
    {Steering::hash, "hash"}, {Steering::cbpf, "cbpf"}, {Steering::ebpf, "ebpf"}};

const Names<Verdict> verdicts = {
    {Verdict::unknown, ""},        {Verdict::idle, "idle"},
    {Verdict::even, "even"},       {Verdict::uneven_by_chance, "uneven by chance"},
    {Verdict::steered, "steered"}, {Verdict::skewed, "skewed"},
    {Verdict::stalled, "stalled"}};

const Names<Cause> causes = {{Cause::none, ""},
                             {Cause::joined_late, "joined-late"},
                             {Cause::connected_member, "connected-member"},
                             {Cause::few_flows, "few-flows"},
                             {Cause::cpu_pinning, "cpu-pinning"},
                             {Cause::program, "program"},
                             {Cause::program_never_selects, "program-never-selects"},
                             {Cause::slow_process, "slow-process"},
                             {Cause::hung_process, "hung-process"},
                             {Cause::overload, "overload"}};

const Names<Measure> measures = {{Measure::none, ""},
                                 {Measure::selected, "selected"},
                                 {Measure::queued, "queued"},
                                 {Measure::accepted, "accepted"},
                                 {Measure::datagrams, "datagrams"}};

const Names<ReuseKind> reuse_kinds = {
    {ReuseKind::bind, "bind"}, {ReuseKind::connect, "connect"}, {ReuseKind::syn, "syn"}};

const Names<Severity> severities = {
    {Severity::info, "info"}, {Severity::warning, "warning"}, {Severity::critical, "critical"}};

const Names<FindingId> finding_ids = {
    {FindingId::wildcard_conflict, "wildcard-conflict"},
    {FindingId::dual_stack_overlap, "dual-stack-overlap"},
    {FindingId::udp_shared_port, "udp-shared-port"},
    {FindingId::reuseport_single_user_hijack, "reuseport-single-user-hijack"},
    {FindingId::reuseport_stalled_member, "reuseport-stalled-member"},
    {FindingId::ephemeral_overlap, "ephemeral-overlap"},
    {FindingId::ephemeral_near_exhaustion, "ephemeral-near-exhaustion"},
    {FindingId::time_wait_blocks_restart, "time-wait-blocks-restart"},
    {FindingId::leaked_descriptor, "leaked-descriptor"},
    {FindingId::bound_not_listening, "bound-not-listening"},
    {FindingId::linger_zero, "linger-zero"},
    {FindingId::privileged_by_unprivileged, "privileged-by-unprivileged"},
    {FindingId::reuseport_skew, "reuseport-skew"},
    {FindingId::time_wait_reuse, "time-wait-reuse"}};

} // namespace

std::string_view to_string(Proto p) {
  return name_of(protos, p);
}
std::string_view to_string(State s) {
  return name_of(states, s);
}
std::string_view to_string(OpenTo o) {
  switch (o) {
  case OpenTo::nobody:
    return "nobody";
  case OpenTo::connect:
    return "connect";
  case OpenTo::reuseaddr:
    return "reuseaddr";
  case OpenTo::reuseport:
    return "reuseport";
  }
  return "";
}

std::string_view to_string(BoundBy b) {
  return name_of(bound_bys, b);
}
std::string_view to_string(Call c) {
  return name_of(calls, c);
}
std::string_view to_string(Evidence e) {
  return name_of(evidences, e);
}
std::string_view to_string(Rule r) {
  return name_of(rules, r);
}
std::string_view to_string(Relation r) {
  return name_of(relations, r);
}
std::string_view to_string(EventType t) {
  return name_of(event_types, t);
}
std::string_view to_string(GapCause c) {
  return name_of(gap_causes, c);
}
std::string_view to_string(Missing::Why w) {
  return name_of(missings, w);
}
std::string_view to_string(Steering s) {
  return name_of(steerings, s);
}
std::string_view to_string(Verdict v) {
  return name_of(verdicts, v);
}
std::string_view to_string(Cause c) {
  return name_of(causes, c);
}
std::string_view to_string(Measure m) {
  return name_of(measures, m);
}
std::string_view to_string(ReuseKind k) {
  return name_of(reuse_kinds, k);
}

std::string_view to_string(FindingId id) {
  return name_of(finding_ids, id);
}
std::string_view to_string(Severity s) {
  return name_of(severities, s);
}

std::optional<Proto> parse_proto(std::string_view text) {
  return value_of(protos, text);
}
std::optional<State> parse_state(std::string_view text) {
  return value_of(states, text);
}
std::optional<Rule> parse_rule(std::string_view text) {
  return value_of(rules, text);
}
std::optional<EventType> parse_event_type(std::string_view text) {
  return value_of(event_types, text);
}
std::optional<FindingId> parse_finding_id(std::string_view text) {
  return value_of(finding_ids, text);
}
std::optional<Severity> parse_severity(std::string_view text) {
  return value_of(severities, text);
}

std::span<const FindingId> all_finding_ids() {
  static const auto all = [] {
    std::vector<FindingId> ids;
    for (const auto& [id, name] : finding_ids)
      ids.push_back(id);
    return ids;
  }();
  return all;
}

} // namespace bindlens::model
