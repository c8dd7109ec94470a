#include "backend.h"

#include "checker.h"
#include "listing.h"
#include "port_report.h"
#include "status.h"
#include "timewait.h"

#include <charconv>
#include <pwd.h>

namespace bindlens::app {

namespace {

constexpr size_t max_listed_differences = 1000;

void add_differences(protocol::VerifyReport& report, std::string_view kind, std::string_view detail,
                     const std::vector<model::Socket>& sockets) {
  report.differences += sockets.size();
  for (const model::Socket& s : sockets)
    if (report.list.size() < max_listed_differences)
      report.list.push_back({std::string(kind), s, std::string(detail)});
}

} // namespace

DaemonBackend::DaemonBackend(boost::asio::io_context& io, Core& core, kernel::Session& session,
                             kernel::Namespaces& namespaces, const kernel::Calibration& calibration,
                             uint32_t audit_interval_s, Recorder* recorder)
    : core_(core), session_(session), namespaces_(namespaces), calibration_(calibration),
      recorder_(recorder), past_(io, core, recorder), started_at_(monotonic_now()),
      auditor_(
          io, core,
          [this](const kernel::OwnerMap& o) {
            return judge_.judged(reuseport_.counted(o), monotonic_now());
          },
          started_at_),
      watch_(io, core, auditor_, audit_interval_s), reuseport_(io, core, session) {}

void DaemonBackend::count_shares() {
  reuseport_.start([this](const Reuseport::Groups& groups) {
    const MonoNs now = monotonic_now();
    if (judge_.look(groups, now)) watch_.note_change(now);
    if (recorder_ != nullptr) recorder_->note_shares(groups);
  });
}

void DaemonBackend::watch_findings() {
  watch_.start();
}

void DaemonBackend::list_sockets(SocketQuery query,
                                 Done<std::unique_ptr<server::SocketCursor>> done) {
  core_.catch_up();
  if (query.filter.single_port())
    list_port(std::move(query), std::move(done));
  else
    list_all(std::move(query), std::move(done));
}

void DaemonBackend::list_port(SocketQuery query, Done<std::unique_ptr<server::SocketCursor>> done) {
  kernel::WalkRequest request;
  request.port = *query.filter.single_port();
  request.netns = query.filter.netns.value_or(0);
  auto view = core_.source().walk(request);
  if (!view) return done(std::unexpected(view.error()));
  auto listing = std::make_shared<std::unique_ptr<Listing>>(
      std::make_unique<Listing>(core_, *this, std::move(query), *std::move(view)));
  bool complete = true;
  for (const model::Socket& s : (*listing)->candidates()) {
    const model::Binding* known = core_.table().find(s.id);
    const uint32_t binder = known != nullptr && known->binder ? known->binder->pid : 0;
    kernel::Owners owners = kernel::quick_owners(s, core_.sweeper().last(), binder);
    complete = complete && owners.complete;
    if (!complete) break;
    (*listing)->add_owners(s.id, std::move(owners.descriptors));
  }
  if (complete) return done(std::move(*listing));
  core_.sweeper().request([listing, done](const Sweeper::Result& swept) {
    if (swept) (*listing)->set_owners(*swept);
    done(std::move(*listing));
  });
}

// The sweep runs on its thread while the walk runs here.
void DaemonBackend::list_all(SocketQuery query, Done<std::unique_ptr<server::SocketCursor>> done) {
  auto listing = std::make_shared<std::unique_ptr<Listing>>();
  core_.sweeper().request([listing, done](const Sweeper::Result& swept) {
    if (!*listing) return; // the walk failed and has been answered
    if (swept) (*listing)->set_owners(*swept);
    done(std::move(*listing));
  });
  auto walked = core_.snapshot();
  if (!walked) return done(std::unexpected(walked.error()));
  *listing = std::make_unique<Listing>(core_, *this, std::move(query), std::move(walked->view));
}

void DaemonBackend::past(PastQuery query, Done<std::unique_ptr<server::PastCursor>> done) {
  past_.ask(std::move(query), std::move(done));
}

std::vector<model::Event> DaemonBackend::events(const model::Filter& f) {
  core_.catch_up();
  return core_.events().select(f);
}

std::shared_ptr<void> DaemonBackend::subscribe(EventSink sink) {
  return core_.subscribe(std::move(sink));
}

protocol::Status DaemonBackend::status() {
  core_.catch_up();
  protocol::Status s = make_status(core_, session_, calibration_, started_at_);
  s.audit = watch_.status();
  if (recorder_ != nullptr) add_history_status(s, recorder_->status());
  return s;
}

void DaemonBackend::verify(Done<protocol::VerifyReport> done) {
  const MonoNs start = monotonic_now();
  core_.make_good();
  auto checked = core_.snapshot();
  if (!checked) return done(std::unexpected(checked.error()));
  protocol::VerifyReport report;
  report.source = core_.source().name();
  report.sockets = core_.table().size();
  add_differences(report, "missing", "the kernel has it, the table did not",
                  checked->report.missing);
  add_differences(report, "stale", "the table had it, the kernel has not", checked->report.stale);
  add_differences(report, "changed", "the kernel has it with another port, namespace or state",
                  checked->report.changed);
  report.duration_ns = monotonic_now() - start;
  done(std::move(report));
}

void DaemonBackend::check(const protocol::CheckRequest& request, server::Peer peer,
                          Done<protocol::CheckReply> done) {
  core_.catch_up();
  check_bind({core_, namespaces_, *this}, request, peer, std::move(done));
}

void DaemonBackend::audit(AuditQuery query, Done<std::vector<model::Finding>> done) {
  core_.catch_up();
  auditor_.audit(std::move(query), std::move(done));
}

void DaemonBackend::timewait(model::Filter filter, Done<model::TimeWaitTable> done) {
  core_.catch_up();
  done(read_timewait(core_, session_, filter));
}

void DaemonBackend::reuseport(model::Filter filter, Done<std::vector<model::JudgedGroup>> done) {
  reuseport_.groups(std::move(filter), [this, done = std::move(done)](Result<Reuseport::Groups> g) {
    if (!g) return done(std::unexpected(g.error()));
    done(judge_.judged(*std::move(g), monotonic_now()));
  });
}

void DaemonBackend::ports(PortsQuery query, Done<model::PortReport> done) {
  core_.catch_up();
  report_ports(core_, query, std::move(done));
}

Result<uint32_t> DaemonBackend::resolve_user(std::string_view text) {
  uint32_t uid = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), uid);
  if (ec == std::errc{} && end == text.data() + text.size()) return uid;
  const std::string name(text);
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return fail("no user is named \"" + name + "\" on this host", EINVAL);
  return found->pw_uid;
}

Result<uint32_t> DaemonBackend::resolve_netns(std::string_view text) {
  return namespaces_.resolve(text);
}

std::string DaemonBackend::netns_name(uint32_t netns) {
  return namespaces_.name(netns);
}

std::string DaemonBackend::user_name(uint32_t uid) {
  return kernel::user_name(uid);
}

std::string DaemonBackend::dev_name(uint32_t netns, uint32_t index) {
  const auto fd = namespaces_.open(netns);
  return fd ? kernel::interface_name(*fd, index) : "";
}

} // namespace bindlens::app
