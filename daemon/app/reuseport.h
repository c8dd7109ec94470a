#pragma once

#include "core.h"
#include "member_counts.h"

#include <bindlens/kernel/members.h>
#include <bindlens/model/reuseport.h>

#include <functional>
#include <memory>
#include <vector>

namespace bindlens::app {

// SO_REUSEPORT groups: which sockets the kernel distributes among, and how they fare.
class Reuseport {
 public:
  Reuseport(boost::asio::io_context& io, Core& core, kernel::Session& session);
  using Groups = std::vector<model::ReuseportGroup>;
  // Begins to count; to be called when the table is there. `look` gets the groups, without
  // who has their members open, once a second while there are any.
  void start(std::function<void(Groups)> look);

  using Done = std::function<void(Result<Groups>)>;
  // As they are now. A group is there as a whole when one of its members matches.
  void groups(model::Filter filter, Done done);
  // Those that are counted, as they are now; none where nothing is.
  [[nodiscard]] Groups counted(const kernel::OwnerMap& owners);

 private:
  [[nodiscard]] Result<model::PortView> walk(const model::Filter& filter);
  [[nodiscard]] Result<Groups> read_groups(const std::vector<model::Socket>& sockets);
  [[nodiscard]] Result<void> put_in_order(Groups& groups);

  Core& core_;
  Result<std::unique_ptr<kernel::MemberReader>> reader_;
  std::optional<MemberCounts> counts_; // where there is a reader
};

} // namespace bindlens::app
