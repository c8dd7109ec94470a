#include "recorder.h"

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace bindlens::app {

namespace {

using namespace std::chrono_literals;

constexpr auto tick_interval = 1s;
// What takes a port silently is found by the walks that check the table.
constexpr MonoNs table_interval = 60'000'000'000;
constexpr MonoNs share_interval = 60'000'000'000;

// Another number when a member got something, joined or left.
uint64_t work_of(const model::ReuseportGroup& g) {
  uint64_t sum = g.members.size();
  for (const model::ReuseportMember& m : g.members) {
    const model::ShareCounters& c = m.counters;
    for (const auto& figure : {c.selected, c.queued, c.accepted, c.datagrams, c.drops, c.migrated})
      sum += figure.value_or(0);
  }
  return sum;
}

} // namespace

Recorder::Recorder(boost::asio::io_context& io, Core& core, history::Config config)
    : io_(io), core_(core), timer_(io) {
  history::History::Hooks hooks;
  hooks.need_table = [this] { boost::asio::post(io_, [this] { give_table(); }); };
  hooks.warn = [](const std::string& text) { spdlog::warn("{}", text); };
  history_ = std::make_unique<history::History>(std::move(config), std::move(hooks));
  subscription_ = core.subscribe([this](const model::Event& e) { record(e); });
}

void Recorder::start() {
  history_->start();
  tick();
}

void Recorder::name(uint32_t netns) {
  if (netns == last_named_ || netns == 0) return;
  last_named_ = netns;
  if (!named_.insert(netns).second) return;
  std::string found = core_.host().names(netns).netns(netns);
  if (!found.empty()) history_->give(history::NamespaceName{netns, std::move(found)});
}

void Recorder::record(const model::Event& e) {
  name(e.failure ? e.failure->netns : e.socket.netns);
  history_->append(e);
  // Of what was lost, the walk that follows tells what is left of it.
  if (e.type == model::EventType::gap) table_due_ = true;
}

void Recorder::note_shares(const std::vector<model::ReuseportGroup>& groups) {
  const MonoNs now = monotonic_now();
  const auto before = std::exchange(given_, {});
  for (const model::ReuseportGroup& g : groups) {
    Given& given = given_[g.id];
    const auto known = before.find(g.id);
    if (known != before.end()) given = known->second;
    const uint64_t work = work_of(g);
    const bool due = given.at == 0 || now - given.at >= share_interval;
    if (!due || (given.at != 0 && work == given.work)) continue;
    given = {now, work};
    history_->give(history::SharesAt{now, g});
  }
}

void Recorder::give_table() {
  table_due_ = false;
  table_given_ = monotonic_now();
  named_.clear(); // it may be for a new file
  last_named_ = 0;
  history::TableAt table;
  table.time = table_given_;
  table.bindings.reserve(core_.table().size());
  core_.table().for_each([&](const model::Binding& b) { table.bindings.push_back(b); });
  for (const model::Binding& b : table.bindings)
    name(b.socket.netns);
  history_->give(std::move(table));
}

void Recorder::tick() {
  const bool due = table_due_ || monotonic_now() - table_given_ >= table_interval;
  if (due && table_given_ != 0 && core_.health().complete) give_table();
  timer_.expires_after(tick_interval);
  timer_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) tick();
  });
}

} // namespace bindlens::app
