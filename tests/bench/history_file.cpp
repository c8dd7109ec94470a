#include "history_file.h"

#include "process.h"

#include <bindlens/history/store.h>

#include <memory>
#include <vector>

namespace bindlens::bench {

namespace {

using model::EventType;

constexpr size_t events_per_socket = 3;
constexpr size_t processes = 50;
constexpr MonoNs ns_per_hour = 3'600'000'000'000;

std::vector<model::ProcessRef> make_processes() {
  std::vector<model::ProcessRef> all;
  for (uint32_t i = 0; i < processes; ++i) {
    model::Process p;
    p.pid = 1000 + i;
    p.start_time = 1 + i;
    p.comm = "service-" + std::to_string(i);
    p.exe = "/usr/sbin/" + p.comm;
    p.unit = p.comm + ".service";
    p.cgroup = "/system.slice/" + p.unit;
    p.ppid = 1;
    all.push_back(std::make_shared<const model::Process>(std::move(p)));
  }
  return all;
}

class Writer {
 public:
  Writer(const std::string& directory, const PastPlan& plan)
      : plan_(plan), step_(static_cast<MonoNs>(plan.hours) * ns_per_hour / plan.rows) {
    history::Config config;
    config.directory = directory;
    config.max_bytes = plan.max_bytes;
    config.started = ns_per_hour;
    now_ = config.started;
    const MonoNs length = static_cast<MonoNs>(plan.hours + 2) * ns_per_hour;
    clocks_.offset = static_cast<int64_t>(read_clock_ns(CLOCK_REALTIME) - length);
    auto opened = history::Store::open(config, clocks());
    if (!opened) give_up(opened.error().text);
    store_ = *std::move(opened);
  }

  int64_t write() {
    const int64_t begin = clocks().wall();
    std::vector<history::Item> batch;
    const size_t enough = history::Store::batch_size(plan_.max_bytes) - events_per_socket;
    for (size_t row = 0; row < plan_.rows; row += events_per_socket) {
      add_socket(row / events_per_socket, batch);
      if (batch.size() < enough && row + events_per_socket < plan_.rows) continue;
      check(store_->write(batch, clocks()));
      batch.clear();
    }
    check(store_->close(clocks()));
    return begin;
  }

 private:
  static void check(const std::expected<void, history::Trouble>& done) {
    if (!done) give_up(done.error().text);
  }
  [[nodiscard]] history::Clocks clocks() {
    clocks_.now = now_;
    return clocks_;
  }
  void add_socket(size_t number, std::vector<history::Item>& batch) {
    model::Event e;
    e.socket.id = number + 1;
    e.socket.cookie = number + 1;
    e.socket.netns = 4'026'531'840;
    e.socket.local = {model::Address::v4(127, 0, 0, 1),
                      static_cast<uint16_t>(PastPlan::first_port + number % plan_.ports)};
    e.bound_by = model::BoundBy::bind;
    e.process = processes_[number / plan_.ports % processes_.size()];
    for (const EventType type : {EventType::bind, EventType::listen, EventType::release}) {
      e.type = type;
      e.socket.state = type == EventType::bind ? model::State::bound : model::State::listen;
      e.time = now_ += step_;
      batch.emplace_back(e);
    }
  }

  PastPlan plan_;
  MonoNs step_;
  MonoNs now_ = 0;
  history::Clocks clocks_{"00000000-0000-4000-8000-000000000000", 0, 0};
  std::vector<model::ProcessRef> processes_ = make_processes();
  std::unique_ptr<history::Store> store_;
};

} // namespace

int64_t write_past(const std::string& directory, const PastPlan& plan) {
  return Writer(directory, plan).write();
}

} // namespace bindlens::bench
