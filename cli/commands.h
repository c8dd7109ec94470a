#pragma once

// What the command line asks for, and one function for each command. They
// return the exit code.

#include "audit_choice.h"
#include "output.h"

#include <bindlens/protocol/check_request.h>
#include <bindlens/protocol/query.h>

#include <optional>
#include <string>
#include <vector>

namespace bindlens::cli {

// bindlens(1), EXIT STATUS
enum ExitCode : int {
  exit_done = 0,
  exit_no = 1, // check: refused, verify: differs, why: nothing found, audit: --fail-on
  exit_usage = 2,
  exit_unreachable = 3, // no daemon, or no permission
  exit_error = 4,       // the daemon answered with an error, or output failed
};

// The options that all commands have, and where their text goes.
struct Common {
  std::string socket;
  bool json = false;
  Style style;
  Output* out = nullptr;
};

// A listing's filter, checked, as it goes to the daemon: times are absolute, so
// that both mean the same whatever the daemon's time zone.
struct Query {
  std::vector<protocol::Parameter> parameters;
  protocol::FilterSpec spec;
};

int run_ls(const Common& common, const Query& query);
// `asked` is what the user named ("8080"), for messages; may be empty.
int run_why(const Common& common, const Query& query, const std::string& asked);
int run_events(const Common& common, const Query& query);
int run_status(const Common& common);
int run_verify(const Common& common);
int run_audit(const Common& common, const Query& query, const AuditChoice& choice);
// Prints the page of a finding; no daemon is asked.
int run_explain(const Common& common, std::string_view page);
// The full-screen view, with rates over `sample_s` seconds.
int run_top(const Common& common, const std::vector<protocol::Parameter>& filter,
            uint32_t sample_s);
int run_timewait(const Common& common, const Query& query);
int run_ports(const Common& common, const Query& query);
// `asked` is the port that the user named, for messages; may be empty. With `watch_s`, again
// and again.
int run_reuseport(const Common& common, const Query& query, const std::string& asked,
                  std::optional<uint32_t> watch_s);
int run_check(const Common& common, const std::string& body);

} // namespace bindlens::cli
