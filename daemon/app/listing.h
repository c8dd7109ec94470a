#pragma once

#include "core.h"

#include <bindlens/server/backend.h>

#include <unordered_map>

namespace bindlens::app {

// Names for output, looked up once per answer.
class NameCache {
 public:
  explicit NameCache(server::Backend& backend) : backend_(backend) {}
  [[nodiscard]] std::string_view netns(uint32_t netns);
  [[nodiscard]] std::string_view user(uint32_t uid);
  [[nodiscard]] std::string_view dev(uint32_t netns, uint32_t index);

 private:
  server::Backend& backend_;
  std::unordered_map<uint32_t, std::string> netns_, users_;
  std::unordered_map<uint64_t, std::string> devs_;
};

// One answer of /v1/sockets: walked rows, joined with what events told and with
// the processes that have them open.
class Listing : public server::SocketCursor {
 public:
  Listing(Core& core, server::Backend& names, server::Backend::SocketQuery query,
          model::PortView view);

  // The sockets that pass the part of the filter that needs no process.
  [[nodiscard]] std::vector<model::Socket> candidates() const;
  // Owners from a sweep …
  void set_owners(std::shared_ptr<const kernel::OwnerMap> sweep) { sweep_ = std::move(sweep); }
  // … or looked up one by one (quick_owners).
  void add_owners(model::SocketId id, std::vector<kernel::Descriptor> owners);

  bool next(protocol::SocketRow& row) override;

 private:
  struct Entry {
    const model::Socket* socket;
    const model::Bucket* bucket;
  };
  const model::BucketState* state_of(const model::Bucket& b);
  [[nodiscard]] bool is_wanted(const model::Socket& s, const model::Bucket& b) const;
  void fill(protocol::SocketRow& row, const Entry& e);
  [[nodiscard]] model::BoundBy bound_by(const Entry& e, const model::Binding* known) const;
  void fill_holders(protocol::SocketRow& row);
  model::ProcessRef process(uint32_t pid);

  Core& core_;
  server::Backend::SocketQuery query_;
  model::PortView view_;
  std::vector<Entry> entries_;
  size_t at_ = 0;
  std::shared_ptr<const kernel::OwnerMap> sweep_;
  std::unordered_map<model::SocketId, std::vector<kernel::Descriptor>> owners_;
  std::unordered_map<uint32_t, model::ProcessRef> processes_;
  std::unordered_map<const model::Bucket*, model::BucketState> states_; // when asked for
  NameCache names_;
};

} // namespace bindlens::app
