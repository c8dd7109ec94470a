#include <bindlens/protocol/query.h>

#include <algorithm>
#include <charconv>

namespace bindlens::protocol {
namespace {

// What is wrong with a value; the field is added by the caller.
using Complaint = std::optional<std::string>;
using Take = Complaint (*)(FilterSpec&, std::string_view value, WallNs now);

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

template <typename Int>
std::optional<Int> parse_number(std::string_view text) {
  Int value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return value;
}

// Each of a comma-separated list through `parse`, appended to `to`.
template <typename T, typename Parse>
Complaint take_list(std::vector<T>& to, std::string_view value, Parse parse,
                    std::string_view accepted) {
  for (const std::string_view part : split_at_commas(value)) {
    const std::optional<T> item = parse(part);
    if (!item) return in_quotes(part) + " is not one of " + std::string(accepted);
    to.push_back(*item);
  }
  return std::nullopt;
}

Complaint take_text(std::string& to, std::string_view value, std::string_view what) {
  if (value.empty()) return "is empty; " + std::string(what) + " is expected";
  to = value;
  return std::nullopt;
}

Complaint take_flag(bool& to, std::string_view value) {
  if (value == "1" || value == "true" || value == "yes" || value.empty())
    to = true;
  else if (value == "0" || value == "false" || value == "no")
    to = false;
  else
    return in_quotes(value) + " is not one of 1, true, yes, 0, false, no";
  return std::nullopt;
}

Complaint take_time(std::optional<WallNs>& to, std::string_view value, WallNs now) {
  const auto time = parse_time(value, now);
  if (!time) return time.error().text;
  to = *time;
  return std::nullopt;
}

Complaint take_proto(FilterSpec& s, std::string_view v, WallNs) {
  return take_list(s.protos, v, model::parse_proto, "tcp, udp, udplite, mptcp");
}

Complaint take_port(FilterSpec& s, std::string_view v, WallNs) {
  std::string bad;
  const auto ports = model::parse_ports(v, bad);
  if (!ports)
    return in_quotes(bad) +
           " is no port; accepted are numbers from 0 to 65535, ranges (8000-8100) and lists "
           "(80,443)";
  s.ports.insert(s.ports.end(), ports->begin(), ports->end());
  return std::nullopt;
}

Complaint take_addr(FilterSpec& s, std::string_view v, WallNs) {
  if (v.size() > 2 && v.front() == '[' && v.back() == ']') v = v.substr(1, v.size() - 2);
  s.addr = model::parse_address(v);
  if (!s.addr)
    return in_quotes(v) +
           " is no address; accepted are 192.0.2.1, 2001:db8::1 and * (names are not "
           "looked up)";
  return std::nullopt;
}

Complaint take_state(FilterSpec& s, std::string_view v, WallNs) {
  return take_list(s.states, v, model::parse_state,
                   "BOUND, LISTEN, ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, "
                   "TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING");
}

Complaint take_pid(FilterSpec& s, std::string_view v, WallNs) {
  s.pid = parse_number<uint32_t>(v);
  if (!s.pid || *s.pid == 0)
    return in_quotes(v) + " is no process id; a number above 0 is expected";
  return std::nullopt;
}

Complaint take_comm(FilterSpec& s, std::string_view v, WallNs) {
  return take_text(s.comm, v, "a process name");
}

// "-1" would else be taken for a user's name and asked of the host.
Complaint take_uid(FilterSpec& s, std::string_view v, WallNs) {
  const bool is_numeric = v.find_first_not_of("0123456789-+.") == std::string_view::npos;
  if (is_numeric && !v.empty() && !parse_number<uint32_t>(v))
    return in_quotes(v) + " is no user; accepted are a number from 0 to 4294967295 and a user name";
  return take_text(s.uid, v, "a user id or name");
}

Complaint take_netns(FilterSpec& s, std::string_view v, WallNs) {
  return take_text(s.netns, v, "an inode number, a name below /run/netns or a process id");
}

Complaint take_unit(FilterSpec& s, std::string_view v, WallNs) {
  return take_text(s.unit, v, "a systemd unit such as nginx.service");
}

Complaint take_container(FilterSpec& s, std::string_view v, WallNs) {
  return take_text(s.container, v, "a container id or the beginning of one");
}

Complaint take_since(FilterSpec& s, std::string_view v, WallNs now) {
  return take_time(s.since, v, now);
}

Complaint take_until(FilterSpec& s, std::string_view v, WallNs now) {
  return take_time(s.until, v, now);
}

Complaint take_at(FilterSpec& s, std::string_view v, WallNs now) {
  if (auto complaint = take_time(s.at, v, now)) return complaint;
  if (*s.at > now) return in_quotes(v) + " is in the future";
  return std::nullopt;
}

Complaint take_type(FilterSpec& s, std::string_view v, WallNs) {
  return take_list(s.types, v, model::parse_event_type,
                   "bind, autobind, listen, connect, release, fail, timewait-reuse, "
                   "reuseport-join, reuseport-leave, audit, gap, start, stop");
}

Complaint take_rule(FilterSpec& s, std::string_view v, WallNs) {
  return take_list(s.rules, v, model::parse_rule,
                   "the rule ids that bindlens(1) lists under RULES");
}

Complaint take_limit(FilterSpec& s, std::string_view v, WallNs) {
  s.limit = parse_number<uint64_t>(v);
  if (!s.limit) return in_quotes(v) + " is no count; a whole number is expected";
  return std::nullopt;
}

Complaint take_all(FilterSpec& s, std::string_view v, WallNs) {
  return take_flag(s.all, v);
}
Complaint take_wide(FilterSpec& s, std::string_view v, WallNs) {
  return take_flag(s.wide, v);
}
Complaint take_follow(FilterSpec& s, std::string_view v, WallNs) {
  return take_flag(s.follow, v);
}

Complaint take_idle(FilterSpec& s, std::string_view v, WallNs) {
  s.idle_s = parse_number<uint32_t>(v);
  if (!s.idle_s) return in_quotes(v) + " is no time; a whole number of seconds is expected";
  return std::nullopt;
}

// "10.0.0.9", "10.0.0.9:5432", "[fd00::9]:5432", ":5432", "*:5432".
Complaint take_to(FilterSpec& s, std::string_view v, WallNs) {
  const std::string text = v.starts_with(':') ? "*" + std::string(v) : std::string(v);
  const auto endpoint = model::parse_endpoint(text);
  if (endpoint && endpoint->port != 0) {
    s.to.port = endpoint->port;
    if (!text.starts_with('*')) s.to.addr = endpoint->addr;
    return std::nullopt;
  }
  if (v.size() > 2 && v.front() == '[' && v.back() == ']') v = v.substr(1, v.size() - 2);
  if (v != "*") s.to.addr = model::parse_address(v);
  if (s.to.addr) return std::nullopt;
  return in_quotes(v) + " is no destination; accepted are 192.0.2.1, 192.0.2.1:80, "
                        "[2001:db8::1]:80 and :80 (names are not looked up)";
}

// Which listings have a parameter, as bits.
constexpr unsigned bit(Listing l) {
  return 1u << static_cast<unsigned>(l);
}
constexpr unsigned in_sockets = bit(Listing::sockets);
constexpr unsigned in_failures = bit(Listing::failures);
constexpr unsigned in_events = bit(Listing::events);
constexpr unsigned in_findings = bit(Listing::findings);
constexpr unsigned in_ports = bit(Listing::ports);
constexpr unsigned in_timewait = bit(Listing::timewait);
constexpr unsigned in_groups = bit(Listing::groups);
// Those that filter sockets.
constexpr unsigned in_filters =
    in_sockets | in_failures | in_events | in_findings | in_timewait | in_groups;

struct Field {
  std::string_view name;
  Take take;
  bool repeatable;
  unsigned listings;
};

constexpr Field fields[] = {
    {"proto", take_proto, true, in_filters},
    {"port", take_port, true, in_filters},
    {"addr", take_addr, false, in_filters | in_ports},
    {"to", take_to, false, in_ports},
    {"state", take_state, true, in_sockets | in_events},
    {"pid", take_pid, false, in_filters},
    {"comm", take_comm, false, in_filters},
    {"uid", take_uid, false, in_filters},
    {"netns", take_netns, false, in_filters | in_ports},
    {"unit", take_unit, false, in_filters},
    {"container", take_container, false, in_filters},
    {"rule", take_rule, true, in_failures},
    {"type", take_type, true, in_events},
    {"since", take_since, false, in_failures | in_events},
    {"until", take_until, false, in_failures | in_events},
    {"at", take_at, false, in_sockets},
    {"limit", take_limit, false, in_filters | in_ports},
    {"all", take_all, false, in_sockets},
    {"wide", take_wide, false, in_sockets},
    {"follow", take_follow, false, in_events},
    {"idle", take_idle, false, in_findings},
};

bool exists_in(const Field& f, Listing listing) {
  return (f.listings & bit(listing)) != 0;
}

std::string unknown_parameter(Listing listing) {
  std::string text = "is not known here; accepted are ";
  std::string_view separator;
  for (const std::string_view name : filter_names(listing)) {
    text += separator;
    text += name;
    separator = ", ";
  }
  return text;
}

FieldError cannot_resolve(std::string field, const Error& e) {
  return {std::move(field), "cannot be resolved: " + e.text};
}

// A wall time on the daemon's clock; before the boot means from the beginning.
MonoNs to_monotonic(WallNs t) {
  const int64_t since_boot = t - wall_time_of(0);
  return since_boot < 0 ? 0 : static_cast<MonoNs>(since_boot);
}

} // namespace

std::vector<std::string_view> filter_names(Listing listing) {
  std::vector<std::string_view> names;
  for (const Field& f : fields)
    if (exists_in(f, listing)) names.push_back(f.name);
  return names;
}

std::expected<FilterSpec, FieldError>
parse_filter(Listing listing, const std::vector<Parameter>& parameters, WallNs now) {
  FilterSpec spec;
  std::vector<std::string_view> seen;
  for (const auto& [name, value] : parameters) {
    const auto* field = std::ranges::find(fields, std::string_view(name), &Field::name);
    if (field == std::end(fields) || !exists_in(*field, listing))
      return std::unexpected(FieldError{name, unknown_parameter(listing)});
    if (!field->repeatable && std::ranges::count(seen, field->name) != 0)
      return std::unexpected(FieldError{name, "is given twice"});
    seen.push_back(field->name);
    if (auto complaint = field->take(spec, value, now))
      return std::unexpected(FieldError{name, std::move(*complaint)});
  }
  if (spec.since && spec.until && *spec.since > *spec.until)
    return std::unexpected(FieldError{"since", "is later than until: nothing can match"});
  if (spec.at && (spec.all || spec.wide))
    return std::unexpected(FieldError{
        "at", "cannot be combined with all or wide: the history has the sockets that hold a port "
              "of their own, and not the state of bind buckets"});
  if (spec.follow && spec.until)
    return std::unexpected(FieldError{"until", "cannot be combined with follow"});
  return spec;
}

std::expected<model::Filter, FieldError> resolve(const FilterSpec& spec,
                                                 const Resolvers& resolvers) {
  model::Filter f;
  f.protos = spec.protos;
  f.ports = spec.ports;
  f.addr = spec.addr;
  f.states = spec.states;
  f.pid = spec.pid;
  f.comm = spec.comm;
  f.unit = spec.unit;
  f.container = spec.container;
  f.types = spec.types;
  f.rules = spec.rules;
  if (spec.since) f.since = to_monotonic(*spec.since);
  if (spec.until) f.until = to_monotonic(*spec.until);
  if (!spec.uid.empty()) {
    const auto uid = resolvers.user(spec.uid);
    if (!uid) return std::unexpected(cannot_resolve("uid", uid.error()));
    f.uid = *uid;
  }
  if (!spec.netns.empty()) {
    const auto netns = resolvers.netns(spec.netns);
    if (!netns) return std::unexpected(cannot_resolve("netns", netns.error()));
    f.netns = *netns;
  }
  return f;
}

} // namespace bindlens::protocol
