#include "daemon.h"

#include "backend.h"
#include "core.h"
#include "journal.h"
#include "privileges.h"
#include "recorder.h"

#include <bindlens/kernel/calibration.h>
#include <bindlens/kernel/diag_source.h>
#include <bindlens/kernel/host_facts.h>
#include <bindlens/kernel/walk.h>
#include <bindlens/server/server.h>

#include <boost/asio/signal_set.hpp>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <fstream>
#include <malloc.h>
#include <sys/resource.h>

namespace bindlens::app {

namespace {

// Long enough for a storm of refusals, too short for a person to change a sysctl
// and ask again.
constexpr MonoNs facts_max_age = 50'000'000;

int exit_code_of(const Error& e) {
  return e.code == EPERM || e.code == EACCES || e.code == EADDRINUSE ? 3 : 1;
}

// systemd hands over a listening socket when a .socket unit is used.
Result<server::ListenSocket> listen_socket(const std::string& path) {
  if (::sd_listen_fds(1) == 1) return server::ListenSocket::inherit(Fd(SD_LISTEN_FDS_START));
  return server::ListenSocket::create(path);
}

Result<void> announce_ready(const std::string& ready_file) {
  ::sd_notify(0, "READY=1");
  if (ready_file.empty()) return {};
  std::ofstream file(ready_file, std::ios::trunc);
  file << ::getpid() << "\n";
  file.close();
  if (!file) return fail_errno("writing " + ready_file);
  return {};
}

std::vector<uint32_t> own_programs(const kernel::Session& session) {
  std::vector<uint32_t> ids;
  for (const kernel::ProgramStats& p : session.program_stats())
    ids.push_back(p.id);
  return ids;
}

// Clients, and descriptors of namespaces and /proc for a moment.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Facts about the namespace of a failure, as far as they can be had: a namespace
// that is gone, or that no process is in, leaves them empty.
HostView make_host_view(kernel::HostFactsCache& cache, kernel::Namespaces& namespaces,
                        const rules::Variants& variants) {
  HostView host;
  host.variants = variants;
  host.facts = [&cache, &namespaces](uint32_t netns, const model::ProcessRef& caller) {
    kernel::CallerFacts who;
    who.uid = caller->uid;
    if (caller->pid != 0 && kernel::ProcessCache::is_alive(*caller)) who.pid = caller->pid;
    const auto fd = namespaces.open(netns, caller->pid);
    if (!fd) return rules::HostFacts{};
    return cache.get(*fd, who).value_or(rules::HostFacts{});
  };
  host.names = [&namespaces](uint32_t netns) {
    rules::Names names;
    names.user = kernel::user_name;
    names.netns = [&namespaces](uint32_t n) { return namespaces.name(n); };
    names.device = [&namespaces, netns](uint32_t index) {
      const auto fd = namespaces.open(netns);
      return fd ? kernel::interface_name(*fd, index) : "";
    };
    return names;
  };
  return host;
}

Result<std::unique_ptr<kernel::TableSource>> open_source(kernel::Session& session) {
  if (session.facts().read_kernel) return kernel::Walker::open(session);
  spdlog::warn(
      "{}: there are no events, and sockets come from sock_diag, without their reuse flags",
      session.facts().btf ? "the kernel does not let programs read its memory"
                          : "the kernel has no BTF");
  return std::make_unique<kernel::DiagSource>();
}

// Everything that lives as long as the daemon, in the order of its making.
struct Daemon {
  explicit Daemon(const Options& o) : options(o) {}

  Result<void> open();
  Result<void> serve();
  void tell_journal();
  void open_history();

  const Options& options;
  boost::asio::io_context io{1};
  kernel::Calibration calibration;
  std::unique_ptr<kernel::Session> session;
  std::unique_ptr<kernel::TableSource> source;
  kernel::Namespaces namespaces;
  std::unique_ptr<kernel::HostFactsCache> facts;
  std::unique_ptr<Core> core;
  std::unique_ptr<Recorder> recorder; // null: everything in memory
  std::unique_ptr<DaemonBackend> backend;
  std::unique_ptr<server::Server> server;
  std::unique_ptr<Journal> journal; // null: not under systemd
  std::shared_ptr<void> journal_subscription;
};

// Only when standard error goes there: who runs the daemon by hand looks at it.
void Daemon::tell_journal() {
  if (!is_under_journal()) return;
  journal =
      std::make_unique<Journal>(io, [this](uint32_t netns) { return namespaces.name(netns); });
  journal_subscription = core->subscribe([this](const model::Event& e) {
    if (e.failure) journal->tell(*e.failure);
  });
}

// The file is opened later, on a thread of its own; its directory is made now, while
// that is allowed.
void Daemon::open_history() {
  if (options.state_dir == "none") return;
  history::Config config;
  config.directory = options.state_dir;
  config.max_bytes = options.history_max_size;
  config.max_age = std::chrono::seconds(options.history_max_age);
  recorder = std::make_unique<Recorder>(io, *core, std::move(config));
}

Result<void> Daemon::open() {
  // First the socket: a second daemon must not touch the kernel.
  auto socket = listen_socket(options.socket);
  if (!socket) return std::unexpected(socket.error());
  // Before any hook, which would tell of the scenarios' own binds.
  calibration = kernel::calibrate();
  if (!calibration.variants.assumed.empty())
    spdlog::warn("kernel rules are assumed, not measured: {}", calibration.variants.assumed);
  auto opened = kernel::Session::open({options.wishes, options.ring_bytes});
  if (!opened) return std::unexpected(opened.error());
  session = *std::move(opened);
  for (const kernel::PlannedHook& h : session->plan().hooks)
    if (h.failed && !h.attached) spdlog::warn("hook {} is missing: {}", h.name, h.reason);
  auto table = open_source(*session);
  if (!table) return std::unexpected(table.error());
  source = *std::move(table);
  facts = std::make_unique<kernel::HostFactsCache>(own_programs(*session), facts_max_age);
  core = std::make_unique<Core>(io, *session, *source,
                                make_host_view(*facts, namespaces, calibration.variants), options);
  open_history();
  backend = std::make_unique<DaemonBackend>(io, *core, *session, namespaces, calibration,
                                            options.audit_interval_s, recorder.get());
  server::Options server_options;
  server_options.warn = [](const std::string& text) { spdlog::warn("{}, ignoring", text); };
  server = std::make_unique<server::Server>(io, *backend, *std::move(socket), server_options);
  tell_journal();
  return core->start();
}

Result<void> Daemon::serve() {
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([this](const boost::system::error_code&, int signal) {
    spdlog::info("ending on signal {}", signal);
    ::sd_notify(0, "STOPPING=1");
    server->stop();
    core->finish_refusals([this] { io.stop(); });
  });
  if (auto ready = announce_ready(options.ready_file); !ready) return ready;
  spdlog::info("ready: {} sockets in {} namespaces, tier {}, on {}", core->table().size(),
               core->table().namespaces(), to_string(session->plan().tier), options.socket);
  if (auto dropped = drop_privileges(); !dropped)
    spdlog::warn("{}, ignoring", dropped.error().text);
  core->look_for_owners();
  backend->watch_findings();
  if (recorder) recorder->start();
  backend->count_shares();
  // What loading took - the kernel's type information above all - goes back.
  ::malloc_trim(0);
  io.run();
  return {};
}

} // namespace

int run_daemon(const Options& options) {
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  raise_descriptor_limit();
  // Little work, but at once: on a busy host the ring buffer fills up meanwhile.
  // Without the right to it, it goes on as it is.
  ::setpriority(PRIO_PROCESS, 0, -10);
  Daemon daemon(options);
  auto result = daemon.open();
  if (result) result = daemon.serve();
  if (!options.ready_file.empty()) ::unlink(options.ready_file.c_str());
  if (result) return 0;
  spdlog::critical("{}", result.error().text);
  return exit_code_of(result.error());
}

} // namespace bindlens::app
