// How many verdicts a second one core gives over a table of 100,000 sockets.
// The table is kept by port, as a walk of one port returns it.

#include <bindlens/rules/engine.h>

#include <benchmark/benchmark.h>

#include <random>

namespace {

using namespace bindlens;
using model::Address;
using model::Bucket;
using model::PortView;
using model::Socket;
using model::SocketFlag;

constexpr uint16_t ports = 25'000;
constexpr uint8_t sockets_per_port = 4;
constexpr uint16_t first_port = 2'000;
constexpr uint32_t netns = 4026531840;

Socket make_socket(std::mt19937& random, uint16_t port, uint8_t host) {
  Socket s;
  s.id = uint64_t{port} << 8 | host;
  s.inode = s.id;
  s.netns = netns;
  s.local = {Address::v4(127, 0, 0, host), port};
  s.flags.set(SocketFlag::reuseaddr, random() % 2 == 0);
  s.flags.set(SocketFlag::reuseport, random() % 4 == 0);
  s.flags.set(SocketFlag::port_locked);
  s.state = random() % 2 == 0 ? model::State::listen : model::State::bound;
  s.uid = static_cast<uint32_t>(random() % 3);
  return s;
}

std::vector<PortView> make_table() {
  std::mt19937 random(1);
  std::vector<PortView> table(ports);
  for (uint16_t i = 0; i < ports; ++i) {
    const auto port = static_cast<uint16_t>(first_port + i);
    Bucket b;
    b.netns = netns;
    b.port = port;
    for (uint8_t host = 1; host <= sockets_per_port; ++host)
      b.sockets.push_back(make_socket(random, port, host));
    table[i].buckets.push_back(std::move(b));
  }
  return table;
}

rules::HostFacts make_facts() {
  rules::HostFacts f;
  f.unprivileged_port_start = 1024;
  f.nonlocal_bind4 = f.nonlocal_bind6 = f.autobind_reuse = f.tcp_l3mdev_accept = f.bindv6only =
      false;
  f.local_port_range = rules::PortRange{32768, 60999};
  f.reserved_ports = std::vector<rules::PortRange>{};
  f.routes = std::vector<rules::Route>{
      {Address::v4(127, 0, 0, 0), 8, rules::RouteType::local, rules::local_table}};
  f.addresses6 = std::vector<rules::Address6>{};
  f.interfaces = std::vector<rules::Interface>{};
  f.cap_net_bind_service = true;
  return f;
}

rules::Request make_request(std::mt19937& random) {
  rules::Request q;
  q.netns = netns;
  const bool any = random() % 4 == 0;
  const auto host = static_cast<uint8_t>(1 + random() % (sockets_per_port + 2));
  q.local = {any ? Address::any(model::Family::inet) : Address::v4(127, 0, 0, host),
             static_cast<uint16_t>(first_port + random() % ports)};
  q.flags.set(SocketFlag::reuseaddr, random() % 2 == 0);
  q.flags.set(SocketFlag::reuseport, random() % 4 == 0);
  q.uid = static_cast<uint32_t>(random() % 3);
  return q;
}

void verdicts(benchmark::State& state) {
  const std::vector<PortView> table = make_table();
  const rules::HostFacts facts = make_facts();
  const rules::Variants variants;
  std::mt19937 random(2);
  std::vector<rules::Request> requests(65'536);
  for (rules::Request& q : requests)
    q = make_request(random);
  size_t i = 0;
  uint64_t refused = 0;
  for (auto _ : state) {
    const rules::Request& q = requests[i++ % requests.size()];
    const auto v = rules::decide(q, table[q.local.port - first_port], facts, variants);
    refused += v.would_succeed ? 0 : 1;
    benchmark::DoNotOptimize(v.rule);
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["refused"] =
      benchmark::Counter(static_cast<double>(refused), benchmark::Counter::kAvgIterations);
}
BENCHMARK(verdicts);

} // namespace

BENCHMARK_MAIN();
