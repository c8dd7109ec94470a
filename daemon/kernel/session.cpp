#include <bindlens/kernel/session.h>

#include <bindlens/kernel/kernel_facts.h>

#include "bindlens.skel.h"
#include "object_variant.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <set>
#include <utility>

namespace bindlens::kernel {

namespace {

using Kind = Attachment::Kind;

struct LinkDeleter {
  void operator()(bpf_link* link) const { ::bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, LinkDeleter>;

// libbpf tells why a program was refused only through its log.
thread_local std::string libbpf_log;

int keep_warnings(libbpf_print_level level, const char* format, va_list args) {
  if (level != LIBBPF_WARN) return 0;
  // The verifier's log is long and its end tells the reason.
  std::string text(size_t{1} << 20, '\0');
  const int n = ::vsnprintf(text.data(), text.size(), format, args);
  text.resize(std::clamp<size_t>(static_cast<size_t>(std::max(n, 0)), 0, text.size() - 1));
  constexpr size_t head = 200;
  constexpr size_t tail = 1500;
  if (text.size() > head + tail)
    text = text.substr(0, head) + "\n[...]\n" + text.substr(text.size() - tail);
  libbpf_log += text;
  return 0;
}

// "prog 'fe_put_port': failed to load" names the program.
std::string refused_program(const std::string& log) {
  const size_t end = log.find("': failed to load");
  if (end == std::string::npos) return {};
  const size_t start = log.rfind("prog '", end);
  return start == std::string::npos ? "" : log.substr(start + 6, end - start - 6);
}

Fd perf_tracepoint(const std::string& name) {
  perf_event_attr attr{};
  attr.size = sizeof attr;
  attr.type = PERF_TYPE_TRACEPOINT;
  attr.config = static_cast<__u64>(tracepoint_id(name));
  return Fd(
      static_cast<int>(::syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
}

int program_fd(const bindlens_bpf& object, const Attachment& a) {
  return ::bpf_program__fd(::bpf_object__find_program_by_name(object.obj, a.program.c_str()));
}

Result<Link> attach_one(bindlens_bpf& object, const Attachment& a, int cgroup) {
  bpf_program* program = ::bpf_object__find_program_by_name(object.obj, a.program.c_str());
  if (program == nullptr) return fail("the BPF object has no program " + a.program);
  bpf_link* link = nullptr;
  switch (a.kind) {
  case Kind::trampoline:
  case Kind::btf_tracepoint:
    link = ::bpf_program__attach_trace(program);
    break;
  case Kind::kprobe:
  case Kind::kretprobe:
    link = ::bpf_program__attach_kprobe(program, a.kind == Kind::kretprobe, a.target.c_str());
    break;
  case Kind::tracepoint: {
    Fd event = perf_tracepoint(a.target);
    if (!event) return fail_errno("tracepoint " + a.target);
    link = ::bpf_program__attach_perf_event(program, event.get());
    if (link != nullptr) (void)event.release(); // now the link's
    break;
  }
  case Kind::cgroup:
    link = ::bpf_program__attach_cgroup(program, cgroup);
    break;
  }
  if (link == nullptr) return fail_errno("attaching " + a.program + " to " + a.target);
  return Link(link);
}

std::vector<Attachment> distinct_attachments(const AttachPlan& plan) {
  std::vector<Attachment> all;
  for (const PlannedHook& hook : plan.hooks)
    for (const Attachment& a : hook.attachments)
      if (std::none_of(all.begin(), all.end(), [&](const Attachment& b) {
            return a.program == b.program && a.target == b.target;
          }))
        all.push_back(a);
  return all;
}

// The next plan goes without the routes that use this program.
void refuse_program(AttachWishes& wishes, const AttachPlan& plan, std::string_view program,
                    const std::string& reason) {
  for (const PlannedHook& hook : plan.hooks)
    for (const Attachment& a : hook.attachments)
      if (a.program == program)
        wishes.refused[hook.name + "/" + hook.route] = std::string(program) + ": " + reason;
}

// The line in which the verifier says what it does not like: the last one before
// its statistics.
std::string verifier_verdict(const std::string& log) {
  size_t end = log.find("\nprocessed ");
  if (end == std::string::npos) return "not loaded";
  const size_t start = log.rfind('\n', end - 1);
  return log.substr(start + 1, end - start - 1);
}

bindlens_bpf* open_object(ObjectVariant variant) {
  auto* object = static_cast<bindlens_bpf*>(std::calloc(1, sizeof(bindlens_bpf)));
  if (object == nullptr || bindlens_bpf__create_skeleton(object) != 0) {
    bindlens_bpf__destroy(object);
    return nullptr;
  }
  const std::span<const std::byte> bytes = object_bytes(variant);
  // libbpf takes the bytes as void* and only reads them.
  object->skeleton->data = const_cast<std::byte*>(bytes.data());
  object->skeleton->data_sz = bytes.size();
  if (::bpf_object__open_skeleton(object->skeleton, nullptr) == 0) return object;
  bindlens_bpf__destroy(object);
  return nullptr;
}

uint32_t ring_size(uint32_t wanted) {
  const auto page = static_cast<uint32_t>(::sysconf(_SC_PAGESIZE));
  return std::bit_ceil(std::max(wanted, page));
}

void configure(bindlens_bpf& object, const AttachPlan& plan, const KernelFacts& facts,
               const SessionOptions& options) {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.obj)::bpf_program__set_autoload(program, false);
  for (const Attachment& a : distinct_attachments(plan))
    ::bpf_program__set_autoload(::bpf_object__find_program_by_name(object.obj, a.program.c_str()),
                                true);
  ::bpf_program__set_autoload(object.progs.walk, facts.read_kernel);
  ::bpf_program__set_autoload(object.progs.members, facts.read_kernel);
  ::bpf_program__set_autoload(object.progs.owners, facts.owner_iterator && facts.read_kernel);
  ::bpf_map__set_max_entries(object.maps.events, ring_size(options.ring_bytes));
  object.rodata->release_by_state = plan.release_by_state;
  object.rodata->in_kernel_by_cgroup = plan.in_kernel_by_cgroup;
  object.rodata->children_unmarked = plan.children_unmarked;
  object.rodata->queued_is_counted = plan.queued_is_counted;
  object.rodata->count_queued_ready = plan.count_queued_ready;
  object.rodata->count_datagrams_ready = plan.count_datagrams_ready;
  object.rodata->stop_by_state = plan.stop_by_state;
  object.rodata->linger_by_state = plan.linger_by_state;
  object.data->wake_bytes = ring_size(options.ring_bytes) / 8;
}

Error load_error(int code) {
  if (code == EPERM || code == EACCES)
    return {"the kernel does not let this process load BPF programs; run bindlensd as root, or "
            "with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN",
            EPERM};
  return {"loading the BPF programs: " + std::string(std::strerror(code)) + "\n" + libbpf_log,
          code};
}

uint64_t recursion_misses(const std::set<int>& programs) {
  uint64_t sum = 0;
  for (const int program : programs) {
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(program, &info, &size) == 0) sum += info.recursion_misses;
  }
  return sum;
}

// When one of these does not run, no record is lost.
bool only_counts(const AttachPlan& plan, const Attachment& a) {
  return std::ranges::all_of(plan.hooks, [&](const PlannedHook& h) {
    return h.name.starts_with("reuseport-") ||
           std::ranges::none_of(h.attachments,
                                [&](const Attachment& b) { return b.program == a.program; });
  });
}

} // namespace

struct Session::Impl {
  Fd cgroup;
  std::vector<Link> links;
  ring_buffer* ring = nullptr;
  // Edge-triggered: readable after a wake-up, not while records merely wait, so
  // that batches stay batches.
  Fd wakeups;
  std::set<int> programs; // attached ones; the object's
  std::set<int> counting; // those that only count
  const RecordSink* sink = nullptr;
  size_t consumed = 0;
  size_t limit = 0;

  ~Impl() {
    links.clear();
    if (ring != nullptr) ::ring_buffer__free(ring);
  }

  static int on_record(void* self, void* data, size_t size) {
    auto* impl = static_cast<Impl*>(self);
    (*impl->sink)({static_cast<const std::byte*>(data), size});
    // A negative value ends the round; libbpf has taken the record all the same.
    return ++impl->consumed < impl->limit ? 0 : -EAGAIN;
  }
};

Session::~Session() {
  impl_.reset();
  if (object_ != nullptr) bindlens_bpf__destroy(object_);
}

Result<std::unique_ptr<Session>> Session::open(const SessionOptions& options) {
  ::libbpf_set_print(keep_warnings);
  std::unique_ptr<Session> s(new Session);
  s->facts_ = probe_kernel();
  s->impl_ = std::make_unique<Impl>();
  s->impl_->wakeups = Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!s->impl_->wakeups) return fail_errno("waiting for the ring buffer");
  if (options.wishes.disabled.contains("walk")) s->facts_.read_kernel = false;
  if (options.wishes.disabled.contains("direct-loads")) s->facts_.direct_loads = false;
  AttachWishes wishes = options.wishes;
  if (!s->facts_.btf) { // no program can be made to fit this kernel
    s->plan_ = make_attach_plan(s->facts_, wishes);
    return s;
  }
  // Each round loses direct loads, or one route of one hook, so there can be no more than these.
  for (size_t round = 0; round <= hook_names().size() + 1; ++round) {
    s->plan_ = make_attach_plan(s->facts_, wishes);
    s->impl_->links.clear();
    s->impl_->programs.clear();
    s->impl_->counting.clear();
    if (s->object_ != nullptr) bindlens_bpf__destroy(s->object_);
    libbpf_log.clear();
    s->object_ = open_object(best_variant(s->facts_));
    if (s->object_ == nullptr) return fail_errno("opening the BPF object");
    configure(*s->object_, s->plan_, s->facts_, options);
    if (const int err = bindlens_bpf__load(s->object_); err != 0) {
      if (std::exchange(s->facts_.direct_loads, false)) continue;
      const std::string program = refused_program(libbpf_log);
      if (program.empty() || program == "walk" || program == "owners" || program == "members")
        return std::unexpected(load_error(-err));
      refuse_program(wishes, s->plan_, program, verifier_verdict(libbpf_log));
      continue;
    }
    s->impl_->cgroup = Fd(::open(cgroup2_mount().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    bool all_attached = true;
    for (const Attachment& a : distinct_attachments(s->plan_)) {
      auto link = attach_one(*s->object_, a, s->impl_->cgroup.get());
      if (!link) {
        refuse_program(wishes, s->plan_, a.program, link.error().text);
        all_attached = false;
        break;
      }
      s->impl_->links.push_back(*std::move(link));
      auto& programs = only_counts(s->plan_, a) ? s->impl_->counting : s->impl_->programs;
      programs.insert(program_fd(*s->object_, a));
    }
    if (all_attached) break;
  }
  s->impl_->ring = ::ring_buffer__new(::bpf_map__fd(s->object_->maps.events), &Impl::on_record,
                                      s->impl_.get(), nullptr);
  if (s->impl_->ring == nullptr) return fail_errno("mapping the ring buffer");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (::epoll_ctl(s->impl_->wakeups.get(), EPOLL_CTL_ADD, ::bpf_map__fd(s->object_->maps.events),
                  &event) != 0)
    return fail_errno("waiting for the ring buffer");
  return s;
}

int Session::ring_fd() const {
  return impl_->wakeups.get();
}

size_t Session::consume(const RecordSink& sink, size_t limit) {
  if (!has_programs()) return 0;
  epoll_event woken{};
  ::epoll_wait(impl_->wakeups.get(), &woken, 1, 0); // takes the edge
  impl_->sink = &sink;
  impl_->consumed = 0;
  impl_->limit = limit;
  ::ring_buffer__consume(impl_->ring);
  return impl_->consumed;
}

void Session::request_wakeup() {
  if (!has_programs()) return;
  object_->data->reader_sleeps = 1;
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

std::string_view Session::variant() const {
  return has_programs() ? to_string(best_variant(facts_)) : "none";
}

uint64_t Session::lost() const {
  if (!has_programs()) return 0;
  uint64_t sum = skipped_runs();
  for (int i = 0; i < BL_LOSS_COUNT; ++i)
    sum += object_->bss->lost[i];
  return sum;
}

uint64_t Session::skipped_runs() const {
  return recursion_misses(impl_->programs);
}

void Session::rest_accepts() {
  if (has_programs()) object_->data->members_have_connections = 0;
}

bool Session::shares_full() const {
  return has_programs() && object_->bss->shares_lost != 0;
}

uint64_t Session::uncounted() const {
  if (!has_programs()) return 0;
  return recursion_misses(impl_->counting) + object_->bss->shares_lost;
}

std::vector<Session::PortCounts> Session::port_counts() const {
  if (!has_programs()) return {};
  std::vector<PortCounts> all;
  const int map = ::bpf_map__fd(object_->maps.port_counts);
  PortCounts one;
  const bl_port_key* previous = nullptr;
  bl_port_key at{};
  while (all.size() < BL_PORT_COUNTS && ::bpf_map_get_next_key(map, previous, &one.port) == 0) {
    if (::bpf_map_lookup_elem(map, &one.port, &one.counts) == 0) all.push_back(one);
    at = one.port;
    previous = &at;
  }
  return all;
}

Session::AllCounts Session::all_counts() const {
  if (!has_programs()) return {};
  AllCounts all;
  std::copy_n(object_->bss->all_reuses, BL_REUSE_KINDS, all.counts.reuses);
  all.counts.linger_zero = object_->bss->all_linger_zero;
  all.uncounted = object_->bss->uncounted;
  return all;
}

std::vector<ProgramStats> Session::program_stats() const {
  if (!has_programs()) return {};
  std::vector<ProgramStats> all;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_->obj) {
    const int fd = ::bpf_program__fd(program);
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (fd < 0 || ::bpf_obj_get_info_by_fd(fd, &info, &size) != 0) continue;
    all.push_back({::bpf_program__name(program), info.id, info.run_cnt, info.run_time_ns,
                   info.verified_insns});
  }
  return all;
}

} // namespace bindlens::kernel
