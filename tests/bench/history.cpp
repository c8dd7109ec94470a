#include "compare.h"
#include "history_file.h"
#include "hooks.h"
#include "stage.h"

#include <bindlens/protocol/client.h>
#include <bindlens/protocol/time_text.h>
#include <bindlens/util/clock.h>

#include <algorithm>
#include <filesystem>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace bindlens::bench {

namespace {

using HistoryFile = protocol::StatusView::HistoryFile;

HistoryFile history_of(const Daemon& daemon) {
  const auto status = daemon.status();
  if (!status.history_file) give_up("the daemon keeps no history on disk");
  return *status.history_file;
}

// Until everything so far is in the file.
HistoryFile written(const Daemon& daemon, double seconds = 120) {
  const double end = now_seconds() + seconds;
  for (;;) {
    HistoryFile h = history_of(daemon);
    if (h.state == "writing" && h.pending_bytes == 0) return h;
    if (now_seconds() > end) give_up("the history is not written: " + h.state + " " + h.problem);
    ::usleep(50'000);
  }
}

// A daemon with a history of its own on disk, both gone with this object.
class OnDisk {
 public:
  explicit OnDisk(Bench& bench) : bench_(bench) {
    bench_.state = bench_.directory + "/history";
    std::filesystem::create_directory(bench_.state);
  }
  ~OnDisk() {
    std::error_code ignored;
    std::filesystem::remove_all(bench_.state, ignored);
    bench_.state = "none";
  }
  OnDisk(const OnDisk&) = delete;
  OnDisk& operator=(const OnDisk&) = delete;

 private:
  Bench& bench_;
};

// --- the loop of binds --------------------------------------------------------

} // namespace

void measure_record(Bench& bench) {
  bench.report.heading("Loop of socket, bind, close with a history on disk and in memory");
  // For seconds at a time: what the history bears for a moment is more than what it bears.
  Binder binder;
  const Loop loop{[&] { binder.bind_once(); }, bench.scale.binds_per_slice,
                  bench.scale.upkeep_slices};
  Cost memory, disk;
  HistoryFile last;
  const auto add = [&](Cost& to) {
    const Daemon daemon(bench);
    (void)daemon.status();
    run_slices(loop, to);
    if (bench.state != "none") last = written(daemon);
  };
  for (int round = 0; round < bench.scale.history_rounds; ++round) {
    for (const bool second : {false, true}) {
      if (second == (round % 2 == 0)) {
        const OnDisk history(bench);
        add(disk);
      } else {
        add(memory);
      }
    }
  }
  constexpr double limit = 1 / 0.97;
  const Ratio measured(disk, memory);
  const auto detail = [&](const std::string& name, const Cost& c) {
    bench.report.detail(name + "  wall " + describe(c.wall, Unit::microseconds) + ", cpu " +
                        describe(c.cpu, Unit::microseconds));
  };
  detail("in memory", memory);
  detail("on disk  ", disk);
  bench.report.detail("of the last round " + thousands(last.events) + " events in the file, " +
                      thousands(last.lost) + " lost");
  bench.report.line("socket+bind+close, history on disk", measured.text, "<= 1.03 x",
                    measured.ratio <= limit);
}

namespace {

// --- a load that lasts --------------------------------------------------------

constexpr size_t load_processes = 2;
constexpr size_t events_per_second = 20'000;
constexpr uint16_t load_ports = 500; // of each process

// Binds at a rate, each time the port that it closed longest ago: two events a turn.
int load(size_t process, size_t turns) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const uint64_t interval = 1'000'000'000 / (events_per_second / load_processes / 2);
  uint64_t next = monotonic_now();
  for (size_t i = 0; i < turns; ++i, next += interval) {
    address.sin_port = htons(static_cast<uint16_t>(20'000 + process * load_ports + i % load_ports));
    Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 1;
    fd.reset();
    const timespec at{static_cast<time_t>(next / 1'000'000'000),
                      static_cast<long>(next % 1'000'000'000)};
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
  }
  return 0;
}

} // namespace

void measure_sustain(Bench& bench) {
  const OnDisk history(bench);
  const Daemon daemon(bench);
  const auto seconds = static_cast<size_t>(bench.scale.sustained_seconds);
  const size_t turns = events_per_second / load_processes / 2 * seconds;
  bench.report.heading(thousands(events_per_second) + " events a second for " +
                       std::to_string(seconds) + " s into a history on disk");
  const HistoryFile before = written(daemon);
  const double start = now_seconds();
  std::vector<Child> children;
  for (size_t p = 0; p < load_processes; ++p)
    children.push_back(Child::fork([&, p] { return load(p, turns); }));
  for (Child& c : children)
    if (c.wait() != 0) give_up("a bind of the load failed");
  const double took = now_seconds() - start;
  const HistoryFile after = written(daemon);
  const double settled = now_seconds() - start - took;
  const auto status = daemon.status();
  const size_t made = 2 * turns * load_processes;
  // Other programs of the host have their events in it as well.
  const size_t kept = after.events - before.events;
  const size_t missing = made > kept ? made - kept : 0;
  const size_t lost = status.events_lost + after.lost + missing;
  bench.report.detail(thousands(made) + " events in " + number(took, 1) + " s; " + thousands(kept) +
                      " rows more in the file " + number(settled, 2) + " s later, " +
                      number(static_cast<double>(after.bytes) / 1e6, 0) + " MB");
  bench.report.line(thousands(events_per_second) + " events/s for " + std::to_string(seconds) +
                        " s, history on disk",
                    thousands(lost) + " lost", "0 lost",
                    lost == 0 && took < static_cast<double>(seconds) * 1.02 + 0.5);
}

namespace {

// --- a question to a large history --------------------------------------------

struct Question {
  std::string port, since, until;
};

std::vector<std::string> command_of(const Bench& bench, const Daemon& daemon, const Question& q) {
  return {bench.command, "--socket", daemon.socket(), "--json",  "events", "--port",
          q.port,        "--since",  q.since,         "--until", q.until};
}

// Each time another port and hour.
class Questions {
 public:
  Questions(int64_t begin, const PastPlan& plan) : begin_(begin), plan_(plan) {}
  Question next() {
    constexpr int64_t hour = 3'600'000'000'000;
    ++asked_;
    const int64_t since = begin_ + (asked_ * 7 % (plan_.hours - 1)) * hour;
    const auto port = PastPlan::first_port + asked_ * 13 % plan_.ports;
    return {std::to_string(port), protocol::to_rfc3339(since), protocol::to_rfc3339(since + hour)};
  }

 private:
  int64_t begin_;
  PastPlan plan_;
  int asked_ = 0;
};

size_t ask(const Daemon& daemon, const Question& q) {
  auto client = protocol::Client::connect(daemon.socket());
  if (!client) give_up(client.error().text);
  size_t lines = 0;
  const auto done =
      client->get("/v1/events?port=" + q.port + "&since=" + q.since + "&until=" + q.until,
                  [&](std::string_view piece) {
                    lines += static_cast<size_t>(std::ranges::count(piece, '\n'));
                    return true;
                  });
  if (!done) give_up(done.error().text);
  return lines;
}

} // namespace

void measure_history(Bench& bench) {
  const OnDisk history(bench);
  const uint64_t usual = bench.history_bytes;
  PastPlan plan;
  plan.rows = bench.scale.history_rows;
  plan.max_bytes = bench.history_bytes = 16ull << 30;
  bench.report.heading("One port and one hour among " + thousands(plan.rows) + " events");
  double start = now_seconds();
  const int64_t begin = write_past(bench.state, plan);
  bench.report.detail("written in " + number(now_seconds() - start, 0) + " s");
  start = now_seconds();
  const Daemon daemon(bench);
  const HistoryFile file = written(daemon, 600);
  bench.report.detail("opened by the daemon " + number(now_seconds() - start, 1) +
                      " s after its start; " + number(static_cast<double>(file.bytes) / 1e9, 2) +
                      " GB, " + thousands(file.events) + " events");
  Samples command, http;
  size_t lines = 0;
  Questions questions(begin, plan);
  for (int i = 0; i < bench.scale.quick_rounds; ++i) {
    const Run run = run_program(command_of(bench, daemon, questions.next()), Output::count_lines);
    if (run.exit_code != 0 || run.lines == 0) give_up("bindlens events tells nothing");
    command.add(run.seconds);
    const Question q = questions.next();
    start = now_seconds();
    lines = ask(daemon, q);
    http.add(now_seconds() - start);
  }
  bench.history_bytes = usual;
  bench.report.detail("bindlens events  " + describe(command, Unit::milliseconds) + "; HTTP  " +
                      describe(http, Unit::milliseconds) + "; " + thousands(lines) + " lines");
  const auto line = [&](const std::string& what, const Samples& times) {
    bench.report.line(what + ", one port and hour of " + thousands(file.events),
                      number(times.median() * 1e3, 1) + " ms", "<= 50 ms", times.median() <= 0.050);
  };
  line("bindlens events", command);
  line("GET /v1/events", http);
}

} // namespace bindlens::bench
