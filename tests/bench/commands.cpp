#include "stage.h"

#include <bindlens/protocol/client.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace bindlens::bench {

namespace {

// An address in use, so that there is something to ask why about.
void provoke_failure() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(Holders::listener_address());
  address.sin_port = htons(Holders::some_port());
  const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
    give_up("a bind that had to fail did not");
}

Samples repeat(const std::vector<std::string>& argv, int rounds) {
  Samples samples;
  for (int i = 0; i < rounds; ++i) {
    const Run run = run_program(argv, Output::discard);
    if (run.exit_code != 0) give_up(argv[0] + " failed");
    samples.add(run.seconds);
  }
  return samples;
}

// The processes behind a failure may take a sweep over all descriptors.
void wait_until_diagnosed(const Bench& bench, const Daemon& daemon) {
  const std::vector<std::string> why{bench.command,   "--socket",
                                     daemon.socket(), "--json",
                                     "why",           std::to_string(Holders::some_port())};
  const double end = now_seconds() + 10;
  while (run_program(why, Output::discard).exit_code != 0)
    if (now_seconds() > end) give_up("the failure that was provoked is not told of");
}

} // namespace

void measure_list(Bench& bench) {
  const Holders holders(bench.scale);
  const Daemon daemon(bench);
  bench.report.heading("List of " + thousands(bench.scale.sockets()) + " sockets");
  const std::vector<std::string> list{bench.command, "--socket", daemon.socket(), "--json", "ls"};
  const std::vector<std::string> ss{"ss", "-H", "-tuan"};
  Samples ours, theirs, our_cpu, their_cpu;
  for (int round = 0; round < bench.scale.rounds * 3; ++round) {
    const Run our_run = run_program(list, Output::discard);
    ours.add(our_run.seconds);
    our_cpu.add(our_run.cpu_seconds);
    const Run ss_run = run_program(ss, Output::discard);
    theirs.add(ss_run.seconds);
    their_cpu.add(ss_run.cpu_seconds);
  }
  auto own = list;
  own.insert(own.end(), {"--netns", std::to_string(bench.netns)});
  const size_t lines = run_program(own, Output::count_lines).lines;
  const size_t ss_lines = run_program(ss, Output::count_lines).lines;
  const double ratio = ours.median() / theirs.median();
  bench.report.detail("bindlens --json ls  " + describe(ours, Unit::milliseconds) + "; " +
                      thousands(lines) + " sockets");
  bench.report.detail("ss -H -tuan         " + describe(theirs, Unit::milliseconds) + "; " +
                      thousands(ss_lines) + " sockets");
  bench.report.detail(
      "processor time of the two programs alone: " + describe(our_cpu, Unit::milliseconds) +
      " against " + describe(their_cpu, Unit::milliseconds));
  const bool complete = lines == bench.scale.sockets();
  bench.report.line("ls --json against ss -H -tuan",
                    number(ratio, 2) + " x the time, " + (complete ? "complete" : "INCOMPLETE"),
                    "<= 1.2 x", ratio <= 1.2 && complete);
}

void measure_lookup(Bench& bench) {
  const Holders holders(bench.scale);
  const Daemon daemon(bench);
  bench.report.heading("One port among " + thousands(bench.scale.sockets()) + " sockets");
  provoke_failure();
  const std::string port = std::to_string(Holders::some_port());
  const std::vector<std::string> why{bench.command, "--socket", daemon.socket(), "why", port};
  const std::vector<std::string> list{bench.command, "--socket", daemon.socket(),
                                      "ls",          "--port",   port};
  wait_until_diagnosed(bench, daemon);
  const Samples why_times = repeat(why, bench.scale.quick_rounds);
  const Samples list_times = repeat(list, bench.scale.quick_rounds);
  auto json = list;
  json.push_back("--json");
  const size_t found = run_program(json, Output::count_lines).lines;
  if (found < Holders::sockets_per_port) give_up("ls --port does not show all that hold the port");
  bench.report.detail("why PORT        " + describe(why_times, Unit::milliseconds));
  bench.report.detail("ls --port PORT  " + describe(list_times, Unit::milliseconds));
  const auto line = [&](const std::string& what, const Samples& times) {
    bench.report.line(what, number(times.median() * 1e3, 1) + " ms", "<= 20 ms",
                      times.median() <= 0.020);
  };
  line("why PORT", why_times);
  line("ls --port PORT", list_times);
}

// Of binds to ports that are held, on one connection; the daemon walks each port anew.
void measure_check(Bench& bench) {
  const Holders holders(bench.scale);
  const Daemon daemon(bench);
  bench.report.heading("POST /v1/check among " + thousands(bench.scale.sockets()) + " sockets");
  auto client = protocol::Client::connect(daemon.socket());
  if (!client) give_up(client.error().text);
  Samples times;
  size_t refused = 0;
  const int rounds = 10 * bench.scale.quick_rounds;
  for (int i = 0; i < rounds; ++i) {
    const auto port = static_cast<uint16_t>(Holders::first_port + i % 100);
    const std::string question =
        R"({"proto":"tcp","addr":"0.0.0.0","port":)" + std::to_string(port) + "}";
    std::string answer;
    const double start = now_seconds();
    const auto done = client->post("/v1/check", question, [&](std::string_view part) {
      answer += part;
      return true;
    });
    times.add(now_seconds() - start);
    if (!done) give_up(done.error().text);
    if (answer.find(R"("would_succeed":false)") != std::string::npos) ++refused;
  }
  if (refused != static_cast<size_t>(rounds)) give_up("a port that is held was called free");
  bench.report.detail("check  " + describe(times, Unit::milliseconds));
  bench.report.line("POST /v1/check", number(times.median() * 1e3, 2) + " ms", "<= 1 ms",
                    times.median() <= 0.001);
}

void measure_audit(Bench& bench) {
  const Holders holders(bench.scale);
  const Daemon daemon(bench);
  bench.report.heading("Audit of " + thousands(bench.scale.sockets()) + " sockets");
  const std::vector<std::string> audit{bench.command, "--socket", daemon.socket(), "--json",
                                       "audit"};
  const Samples times = repeat(audit, bench.scale.rounds * 3);
  const size_t findings = run_program(audit, Output::count_lines).lines;
  bench.report.detail("bindlens --json audit  " + describe(times, Unit::milliseconds) + "; " +
                      thousands(findings) + " findings");
  bench.report.line("audit", number(times.median() * 1e3, 0) + " ms", "<= 200 ms",
                    times.median() <= 0.200);
}

void measure_ports(Bench& bench) {
  const Holders holders(bench.scale);
  const Daemon daemon(bench);
  bench.report.heading("Ports in use among " + thousands(bench.scale.sockets()) + " sockets");
  const std::vector<std::string> ports{bench.command, "--socket", daemon.socket(), "--json",
                                       "ports"};
  const Samples times = repeat(ports, bench.scale.rounds * 3);
  bench.report.detail("bindlens --json ports  " + describe(times, Unit::milliseconds));
  bench.report.line("ports", number(times.median() * 1e3, 0) + " ms", "<= 200 ms",
                    times.median() <= 0.200);
}

} // namespace bindlens::bench
