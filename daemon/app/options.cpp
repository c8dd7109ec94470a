#include "options.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>

namespace bindlens::app {

namespace {

constexpr uint32_t min_ring = 4096;
constexpr uint64_t min_history = 4u << 20;

// Sizes as people write them: 65536, 64K, 8M.
const CLI::AsSizeValue size_text(false);

const std::map<std::string, uint64_t> age_units = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}};

std::string check_state_dir(const std::string& path) {
  if (path == "none") return "";
  if (!path.starts_with('/')) return "'" + path + "' is neither \"none\" nor an absolute path";
  std::error_code ec;
  if (std::filesystem::exists(path, ec) && !std::filesystem::is_directory(path, ec))
    return path + " is not a directory";
  return "";
}

std::string check_history_size(const std::string& bytes) {
  if (std::stoull(bytes) >= min_history) return "";
  return bytes + " bytes is too little for a history; give at least 4M";
}

std::vector<std::string> disableable() {
  std::vector<std::string> names = kernel::hook_names();
  for (std::string& name : kernel::reading_names())
    names.push_back(std::move(name));
  return names;
}

void add_flags(CLI::App& app, Options& o, std::string& tier, std::vector<std::string>& disabled) {
  app.add_option("--socket", o.socket, "Unix socket of the API")->capture_default_str();
  app.add_option("--state-dir", o.state_dir,
                 "Directory of the history, \"none\" to keep it in memory only")
      ->check(CLI::Validator(check_state_dir, ""))
      ->capture_default_str();
  app.add_option("--history-max-size", o.history_max_size, "Size of the history on disk, bytes")
      ->transform(size_text)
      ->check(CLI::Validator(check_history_size, ""))
      ->capture_default_str();
  app.add_option("--history-max-age", o.history_max_age, "Age of the history, as 14d, 12h or 30m")
      ->transform(CLI::AsNumberWithUnit(age_units, CLI::AsNumberWithUnit::CASE_SENSITIVE, ""))
      ->check(CLI::PositiveNumber.description(""))
      ->capture_default_str();
  app.add_option("--tier", tier, "Hooks to use: auto, trampoline, kprobe or tracepoint")
      ->check(CLI::IsMember({"auto", "trampoline", "kprobe", "tracepoint"}).description(""))
      ->capture_default_str();
  app.add_option(
         "--disable-hook", disabled,
         "Do without a hook (\"bind\") or one route to it (\"bind/trampoline\"); repeatable")
      ->check(CLI::IsMember(disableable()).description(""));
  app.add_option("--log-level", o.log_level, "trace, debug, info, warning, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}).description(""))
      ->capture_default_str();
  app.add_option("--ready-file", o.ready_file,
                 "Written once hooks are attached and the first snapshot is in");
  app.add_option("--ring-size", o.ring_bytes, "Ring buffer between kernel and daemon, bytes")
      ->transform(size_text)
      ->capture_default_str();
  app.add_option("--event-memory", o.event_memory, "Memory for events, bytes")
      ->transform(size_text)
      ->capture_default_str();
  app.add_option("--failure-memory", o.failure_memory, "Memory for failures, bytes")
      ->transform(size_text)
      ->capture_default_str();
  app.add_option("--max-failures", o.max_failures, "Failures kept, identical ones count once")
      ->check(CLI::PositiveNumber.description(""))
      ->capture_default_str();
  app.add_option("--verify-interval", o.verify_interval_s,
                 "Seconds between checks of the table against the kernel, 0 = never")
      ->capture_default_str();
  app.add_option("--audit-interval", o.audit_interval_s,
                 "Seconds between audits while sockets come and go, 0 = only when a client asks")
      ->capture_default_str();
  app.add_flag("--check-config", o.check_config, "Check options and configuration, then exit");
}

void finish(Options& o, const std::string& tier, const std::vector<std::string>& disabled) {
  o.wishes.disabled.insert(disabled.begin(), disabled.end());
  o.wishes.force_tier = tier != "auto";
  for (const auto t : {kernel::Tier::trampoline, kernel::Tier::kprobe, kernel::Tier::tracepoint})
    if (tier == to_string(t)) o.wishes.tier = t;
  o.ring_bytes = std::max(o.ring_bytes, min_ring);
}

} // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions parsed;
  std::string tier = "auto";
  std::vector<std::string> disabled;
  CLI::App app("Observes which socket holds which port, and why a bind was refused.", "bindlensd");
  app.set_version_flag("--version", "bindlensd " BINDLENS_VERSION);
  app.set_config("--config", "", "File with the same names as the flags; flags win");
  add_flags(app, parsed.options, tier, disabled);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    // CLI11 has codes of its own; the interface promises 0 and 2.
    parsed.exit_code = app.exit(e) == 0 ? 0 : 2;
    return parsed;
  }
  finish(parsed.options, tier, disabled);
  if (parsed.options.check_config) {
    std::cout << "the configuration is fine\n";
    return parsed;
  }
  parsed.run = true;
  return parsed;
}

} // namespace bindlens::app
