#include "facts_reader.h"

#include <bindlens/kernel/host_facts.h>

#include <boost/asio/post.hpp>

namespace bindlens::app {

void FactsReader::read(std::vector<uint32_t> namespaces, MonoNs max_age, Done done) {
  if (!pool_) pool_.emplace(1);
  boost::asio::post(
      *pool_, [this, namespaces = std::move(namespaces), max_age, done = std::move(done)] {
        boost::asio::post(io_, [facts = read_all(namespaces, max_age), done] { done(facts); });
      });
}

std::shared_ptr<const FactsReader::Facts>
FactsReader::read_all(const std::vector<uint32_t>& namespaces, MonoNs max_age) {
  // Of the caller nothing matters here: it may bind any port.
  const kernel::CallerFacts root{.pid = {}, .uid = 0};
  std::unordered_map<uint32_t, Entry> read;
  auto all = std::make_shared<Facts>();
  for (const uint32_t netns : namespaces) {
    Entry& entry = read[netns];
    if (const auto known = entries_.find(netns); known != entries_.end())
      entry = std::move(known->second);
    const MonoNs now = monotonic_now();
    if (entry.read_at == 0 || now - entry.read_at >= max_age) {
      const auto fd = namespaces_.open(netns);
      entry.facts =
          fd ? kernel::read_host_facts(*fd, root).value_or(rules::HostFacts{}) : rules::HostFacts{};
      entry.read_at = now;
    }
    all->emplace(netns, entry.facts);
  }
  entries_ = std::move(read); // those that nobody asks about any more are gone
  return all;
}

} // namespace bindlens::app
