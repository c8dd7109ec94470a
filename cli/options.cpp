#include "options.h"

#include "audit_pages.h"
#include "commands.h"
#include "fetch.h"

#include <bindlens/protocol/client.h>
#include <bindlens/util/clock.h>

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>

namespace bindlens::cli {
namespace {

using protocol::Listing;

// A mistake on the command line that CLI11 does not see.
struct UsageError {
  std::string text;
};

struct GlobalOptions {
  std::string socket;
  bool json = false;
  bool no_pager = false;
  ColorMode color = ColorMode::automatic;
};

// The values of a listing's flags, by the name of the query parameter.
using FilterValues = std::map<std::string, std::vector<std::string>, std::less<>>;

struct FilterFlag {
  std::string_view parameter;
  const char* flags;
  const char* value; // "" for a switch
  const char* help;
};

// In the order of --help. Which of them a listing takes is query.h's decision.
constexpr FilterFlag filter_flags[] = {
    {"proto", "--proto", "LIST", "tcp, udp, udplite, mptcp"},
    {"port", "-p,--port", "LIST", "ports and ranges: 80,443,8000-8100"},
    {"addr", "--addr", "ADDR", "local address; * is 0.0.0.0"},
    {"to", "--to", "DEST", "only this destination: 192.0.2.1, 192.0.2.1:80, :80"},
    {"state", "--state", "LIST", "BOUND, LISTEN, ESTABLISHED, TIME_WAIT, ..."},
    {"pid", "--pid", "N", "process that bound the socket or has it open"},
    {"comm", "--comm", "NAME", "name of such a process"},
    {"uid", "--uid", "USER", "user of the socket, by number or name"},
    {"netns", "--netns", "NS", "network namespace: inode number, name or pid"},
    {"unit", "--unit", "UNIT", "systemd unit, such as nginx.service"},
    {"container", "--container", "ID", "container id, or its beginning"},
    {"rule", "--rule", "LIST", "rule ids, see RULES in bindlens(1)"},
    {"type", "--type", "LIST", "bind, autobind, listen, connect, release, fail, audit, gap, ..."},
    {"since", "--since", "TIME", "10m, 2h, HH:MM, yesterday, YYYY-MM-DD HH:MM, RFC 3339"},
    {"until", "--until", "TIME", "as --since"},
    {"at", "--at", "TIME", "the table as it was then, from the history; as --since"},
    {"limit", "-n,--limit", "N", "at most N: why and events the newest, else the first"},
    {"idle", "--idle", "SECONDS", "bound and not listening is a finding after so long; 60"},
    {"all", "-a,--all", "", "connections and TIME_WAIT sockets, too"},
    {"wide", "-w,--wide", "", "more columns; JSON: the state of the bind bucket"},
    {"follow", "-f,--follow", "", "carry on with what happens from now on"},
};

void add_filter(CLI::App& command, Listing listing, FilterValues& values,
                std::initializer_list<std::string_view> but_not = {}) {
  const auto names = protocol::filter_names(listing);
  for (const FilterFlag& f : filter_flags) {
    if (std::ranges::find(names, f.parameter) == names.end()) continue;
    if (std::ranges::find(but_not, f.parameter) != but_not.end()) continue;
    const std::string name(f.parameter);
    if (*f.value == '\0')
      command.add_flag_callback(
          f.flags, [&values, name] { values[name] = {"1"}; }, f.help);
    else // called for each time that it is given
      command
          .add_option_function<std::string>(
              f.flags, [&values, name](const std::string& v) { values[name].push_back(v); }, f.help)
          ->type_name(f.value)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
          ->trigger_on_parse();
  }
}

// "--port" for "port".
[[noreturn]] void reject(const protocol::FieldError& e) {
  const bool is_flag =
      !e.field.empty() && std::islower(static_cast<unsigned char>(e.field[0])) != 0;
  throw UsageError{(is_flag ? "--" : "") + e.field + " " + e.text};
}

Query make_query(Listing listing, const FilterValues& values) {
  const auto now = static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
  Query query;
  for (const auto& [name, given] : values)
    for (const std::string& value : given)
      query.parameters.emplace_back(name, value);
  auto spec = protocol::parse_filter(listing, query.parameters, now);
  if (!spec) reject(spec.error());
  query.spec = std::move(*spec);
  for (auto& [name, value] : query.parameters) {
    if (name == "since") value = protocol::to_rfc3339(*query.spec.since);
    if (name == "until") value = protocol::to_rfc3339(*query.spec.until);
    if (name == "at") value = protocol::to_rfc3339(*query.spec.at);
  }
  return query;
}

// "8080", "10.0.0.1:8080", "[::1]:8080" of `bindlens why` as flags. Who copies
// "*:8080" from ss means the port, whatever the address.
void add_target(FilterValues& values, const std::string& target) {
  if (target.empty()) return;
  std::string port = target;
  if (std::string bad; target.find(':') == std::string::npos) {
    if (!model::parse_ports(target, bad))
      throw UsageError{"'" + bad +
                       "' is no port; accepted are 8080, 80,443,8000-8100 and "
                       "ADDR:PORT"};
  } else {
    const auto endpoint = model::parse_endpoint(target);
    if (!endpoint)
      throw UsageError{"'" + target +
                       "' is no ADDR:PORT; accepted are 192.0.2.1:80, [2001:db8::1]:80, *:80 and "
                       "a port alone"};
    port = std::to_string(endpoint->port);
    if (!target.starts_with('*')) values["addr"].push_back(to_string(endpoint->addr));
  }
  values["port"].push_back(port);
}

// Everything that the options are read into. CLI11 keeps references to it.
struct CommandLine {
  CLI::App app{"Who holds which port, and why a bind failed.", "bindlens"};
  GlobalOptions global;
  FilterValues ls_filter, why_filter, events_filter, audit_filter, top_filter, ports_filter,
      timewait_filter, reuseport_filter;
  std::string reuseport_port;
  std::string watch; // empty: once
  uint32_t top_interval_s = 1;
  std::string why_target, timewait_target;
  AuditChoice audit;
  std::string baseline_path;
  std::string_view explained; // a page of docs/audit.md
  protocol::CheckArguments check;
  std::function<int(const Common&)> command; // what was chosen

  CommandLine();

 private:
  CLI::App* add(const char* name, const char* help);
  void add_globals();
  void add_listings();
  void add_audit();
  void add_top();
  void add_reuseport();
  void add_check();
};

CLI::App* CommandLine::add(const char* name, const char* help) {
  return app.add_subcommand(name, help)->fallthrough();
}

void CommandLine::add_globals() {
  const char* from_environment = std::getenv("BINDLENS_SOCKET");
  global.socket = from_environment != nullptr && *from_environment != '\0'
                      ? std::string(from_environment)
                      : std::string(protocol::default_socket_path);
  app.add_option("--socket", global.socket, "the daemon's socket; also $BINDLENS_SOCKET")
      ->type_name("PATH");
  app.add_flag("--json", global.json, "JSON, one object per line");
  app.add_flag("--no-pager", global.no_pager, "write to the terminal, not through a pager");
  const std::map<std::string, ColorMode> modes = {
      {"auto", ColorMode::automatic}, {"always", ColorMode::always}, {"never", ColorMode::never}};
  app.add_option_function<std::string>(
         "--color",
         [this, modes](const std::string& text) {
           const auto mode = modes.find(text);
           if (mode == modes.end())
             throw UsageError{"--color '" + text + "' is not one of auto, always, never"};
           global.color = mode->second;
         },
         "auto, always or never; auto honours NO_COLOR")
      ->type_name("WHEN");
  app.set_version_flag("--version", "bindlens " BINDLENS_VERSION, "the version");
  app.set_help_flag("-h,--help", "this text");
  app.get_formatter()->column_width(28);
  app.fallthrough();
}

void CommandLine::add_listings() {
  auto* ls = add("ls", "every socket that holds a port, in every network namespace");
  add_filter(*ls, Listing::sockets, ls_filter);
  ls->final_callback([this] {
    command = [query = make_query(Listing::sockets, ls_filter)](const Common& c) {
      return run_ls(c, query);
    };
  });
  auto* why = add("why", "why a bind, listen or connect failed, newest first");
  why->add_option("target", why_target, "a port, or address and port")->type_name("PORT|ADDR:PORT");
  add_filter(*why, Listing::failures, why_filter);
  why->final_callback([this] {
    add_target(why_filter, why_target);
    command = [this, query = make_query(Listing::failures, why_filter)](const Common& c) {
      return run_why(c, query, why_target);
    };
  });
  auto* events = add("events", "what happened to ports, oldest first");
  add_filter(*events, Listing::events, events_filter);
  events->final_callback([this] {
    command = [query = make_query(Listing::events, events_filter)](const Common& c) {
      return run_events(c, query);
    };
  });
  auto* timewait = add("timewait", "ports held by TIME_WAIT, and who took them over");
  timewait->add_option("target", timewait_target, "a port, or address and port")
      ->type_name("PORT|ADDR:PORT");
  add_filter(*timewait, Listing::timewait, timewait_filter);
  timewait->final_callback([this] {
    add_target(timewait_filter, timewait_target);
    command = [query = make_query(Listing::timewait, timewait_filter)](const Common& c) {
      return run_timewait(c, query);
    };
  });
  auto* ports = add("ports", "ephemeral ports: who uses them, what is near exhaustion");
  add_filter(*ports, Listing::ports, ports_filter);
  ports->final_callback([this] {
    command = [query = make_query(Listing::ports, ports_filter)](const Common& c) {
      return run_ports(c, query);
    };
  });
  add("status", "the daemon's health: hooks, losses, size of the table")->final_callback([this] {
    command = run_status;
  });
  add("verify", "read the kernel's sockets again and compare")->final_callback([this] {
    command = run_verify;
  });
}

// Each of these is given as text, checked when it is read.
template <typename Take>
void add_text(CLI::App& command, const char* flags, const char* value, const char* help,
              Take take) {
  command.add_option_function<std::string>(flags, take, help)
      ->type_name(value)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->trigger_on_parse();
}

std::string_view page_of(const std::string& id) {
  if (const auto page = audit_page(id)) return *page;
  std::string text = "--explain '" + id + "' is no finding; there are ";
  std::string_view separator;
  for (const std::string_view known : audit_page_ids()) {
    text += separator;
    text += known;
    separator = ", ";
  }
  throw UsageError{text};
}

// "--watch", which CLI11 gives as "true", or "--watch=5".
uint32_t parse_watch(const std::string& text) {
  if (text == "true") return 1;
  uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size() || seconds == 0 || seconds > 3600)
    throw UsageError{"--watch '" + text + "' is no time; 1 to 3600 seconds are accepted"};
  return seconds;
}

void CommandLine::add_reuseport() {
  auto* r = add("reuseport", "SO_REUSEPORT groups: who gets which share, who is stalled");
  r->add_option("port", reuseport_port, "only groups on this port")->type_name("PORT");
  r->add_flag("--watch", watch, "again and again, every second or every =SECONDS");
  add_filter(*r, Listing::groups, reuseport_filter);
  r->final_callback([this] {
    if (!reuseport_port.empty()) reuseport_filter["port"].push_back(reuseport_port);
    std::optional<uint32_t> watch_s;
    if (!watch.empty()) watch_s = parse_watch(watch);
    command = [this, watch_s, query = make_query(Listing::groups, reuseport_filter)](
                  const Common& c) { return run_reuseport(c, query, reuseport_port, watch_s); };
  });
}

void CommandLine::add_audit() {
  auto* a = add("audit", "what is wrong with ports, or soon will be, most severe first");
  add_text(*a, "--fail-on", "SEVERITY", "exit 1 for a finding that is info, warning or critical",
           [this](const std::string& text) {
             const auto severity = parse_fail_on(text);
             if (!severity) throw UsageError{"--fail-on " + severity.error()};
             audit.fail_on = *severity;
           });
  add_text(*a, "--ignore", "ID[:PORT]",
           "leave out findings, everywhere or on one port; a list, repeatable",
           [this](const std::string& list) {
             std::istringstream parts(list);
             for (std::string text; std::getline(parts, text, ',');) {
               auto ignored = parse_ignored(text);
               if (!ignored) throw UsageError{"--ignore " + ignored.error()};
               audit.ignored.push_back(std::move(*ignored));
             }
           });
  add_text(*a, "--baseline", "FILE", "only what is not in FILE, made by 'bindlens audit --json'",
           [this](const std::string& path) { baseline_path = path; });
  a->add_flag("--sarif", audit.sarif, "a SARIF 2.1.0 document, for code scanners and CI");
  add_text(*a, "--explain", "ID", "the page about a finding: what, why, how to fix it",
           [this](const std::string& id) { explained = page_of(id); });
  add_filter(*a, Listing::findings, audit_filter);
  a->footer("Findings: " + finding_ids_text() + ".");
  a->final_callback([this] {
    if (audit.sarif && global.json)
      throw UsageError{"--sarif and --json are two forms of one answer: choose one"};
    if (!explained.empty()) {
      command = [this](const Common& c) { return run_explain(c, explained); };
      return;
    }
    if (!baseline_path.empty()) {
      auto baseline = read_baseline(baseline_path);
      if (!baseline) throw UsageError{"--baseline " + baseline.error()};
      audit.baseline = std::move(*baseline);
      audit.has_baseline = true;
    }
    command = [this, query = make_query(Listing::findings, audit_filter)](const Common& c) {
      return run_audit(c, query, audit);
    };
  });
}

// What a view of events, failures and findings can be narrowed to: the filters
// that all three take, times and limits left out.
void CommandLine::add_top() {
  constexpr uint32_t longest_s = 3600;
  auto* t = add("top", "what changes now: a full-screen view of failures, findings and rates");
  add_filter(*t, Listing::findings, top_filter, {"limit", "idle"});
  add_text(*t, "-d,--interval", "SECONDS", "over which rates are counted; 1",
           [this](const std::string& text) {
             const auto [end, error] =
                 std::from_chars(text.data(), text.data() + text.size(), top_interval_s);
             if (error != std::errc{} || end != text.data() + text.size() || top_interval_s == 0 ||
                 top_interval_s > longest_s)
               throw UsageError{"--interval '" + text + "' is no number of seconds from 1 to 3600"};
           });
  t->final_callback([this] {
    command = [this, query = make_query(Listing::findings, top_filter)](const Common& c) {
      return run_top(c, query.parameters, top_interval_s);
    };
  });
}

void CommandLine::add_check() {
  auto* c = add("check", "would this bind succeed right now?");
  c->add_option("proto", check.proto, "tcp, udp or udplite")->type_name("PROTO")->required();
  c->add_option("address", check.addr_port, "192.0.2.1:80, [::1]:80 or *:80; port 0 is any")
      ->type_name("ADDR:PORT")
      ->required();
  c->add_flag("--reuseaddr", check.reuseaddr, "with SO_REUSEADDR");
  c->add_flag("--reuseport", check.reuseport, "with SO_REUSEPORT");
  auto* v6only = c->add_flag_callback(
      "--v6only", [this] { check.v6only = true; }, "with IPV6_V6ONLY");
  c->add_flag_callback(
       "--no-v6only", [this] { check.v6only = false; }, "without IPV6_V6ONLY")
      ->excludes(v6only);
  c->add_flag("--listen", check.listen, "and listen on it");
  c->add_option("--uid", check.uid, "as this user; else yours")->type_name("USER");
  c->add_option("--dev", check.dev, "with SO_BINDTODEVICE")->type_name("IFNAME");
  c->add_flag("--freebind", check.freebind, "with IP_FREEBIND");
  c->add_flag("--transparent", check.transparent, "with IP_TRANSPARENT");
  c->add_option("--netns", check.netns, "in this namespace; else yours")->type_name("NS");
  c->add_option("--os", check.os, "by the rules of this system; else the running kernel's")
      ->type_name("PROFILE");
  c->final_callback([this] {
    auto body = protocol::check_body(check);
    if (!body) reject(body.error());
    command = [body = std::move(*body)](const Common& common) { return run_check(common, body); };
  });
}

CommandLine::CommandLine() {
  add_globals();
  add_listings();
  add_audit();
  add_top();
  add_reuseport();
  add_check();
  app.require_subcommand(1);
}

constexpr std::string_view commands_text =
    "ls, why, events, reuseport, timewait, ports, top, status, verify, audit and check";

// What stands on the command line and belongs to nothing.
std::string unexpected_text(const CLI::App& app) {
  const auto rest = app.remaining(true);
  if (rest.empty()) return "a command is missing: " + std::string(commands_text);
  // CLI11 does not keep the order; the option that is not known is what matters.
  const auto option = std::ranges::find_if(rest, [](const auto& r) { return r.starts_with('-'); });
  if (option != rest.end()) return "there is no option '" + *option + "' here";
  if (app.get_subcommands().empty())
    return "there is no command '" + rest.front() + "'; there are " + std::string(commands_text);
  return "'" + rest.front() + "' is too much";
}

int usage(std::string_view text) {
  complain(exit_usage, text);
  std::cerr << "Try 'bindlens --help'.\n";
  return exit_usage;
}

} // namespace

int run(int argc, const char* const* argv) {
  CommandLine line;
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::Success& help) { // --help, --version
    return line.app.exit(help);
  } catch (const CLI::ExtrasError&) {
    return usage(unexpected_text(line.app));
  } catch (const CLI::RequiredError& e) {
    return usage(line.app.get_subcommands().empty() ? unexpected_text(line.app) : e.what());
  } catch (const CLI::ArgumentMismatch& e) { // "--port: 1 required LIST missing"
    const std::string_view text = e.what();
    return usage(std::string(text.substr(0, text.find(':'))) + " needs a value, see --help");
  } catch (const CLI::ParseError& e) {
    return usage(e.what());
  } catch (const UsageError& e) {
    return usage(e.text);
  }
  const bool paged = !line.global.no_pager && ::isatty(STDOUT_FILENO) == 1;
  Output out(STDOUT_FILENO, paged ? pager_commands(::getenv) : std::vector<PagerCommand>());
  const Common common{.socket = line.global.socket,
                      .json = line.global.json,
                      .style = style_of(STDOUT_FILENO, line.global.color),
                      .out = &out};
  return line.command(common);
}

} // namespace bindlens::cli
