#pragma once

#include <bindlens/kernel/mapped_array.h>
#include <bindlens/kernel/session.h>
#include <bindlens/kernel/table_source.h>
#include <bindlens/model/bucket.h>
#include <bindlens/record.h>
#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <functional>
#include <memory>
#include <span>

namespace bindlens::kernel {

// Reads the kernel's bind tables by running the `walk` program. One at a time;
// not for use by two threads.
class Walker : public TableSource {
 public:
  // Needs the session for as long as it lives. Opens one socket per protocol,
  // never bound, to find the tables by.
  [[nodiscard]] static Result<std::unique_ptr<Walker>> open(Session& session);

  [[nodiscard]] Result<model::PortView> walk(const WalkRequest& request,
                                             const Pause& pause = {}) override;
  [[nodiscard]] Result<bool> for_each(const WalkRequest& request, const Visit& visit,
                                      const Pause& pause = {}) override;
  [[nodiscard]] std::string_view name() const override { return "walk"; }

 private:
  Walker() = default;
  Result<void> walk_tables(const WalkRequest& request, const Visit& visit, const Pause& pause,
                           model::PortView& view);
  Result<void> walk_table(model::Proto proto, const WalkRequest& request, const Visit& visit,
                          const Pause& pause, model::PortView& view);
  Result<void> run_once();
  bool take_rows(model::RowAssembler& assembler) const;
  void learn_jiffies();

  Session* session_ = nullptr;
  int program_ = -1;
  MappedArray<bl_walk> cursor_;
  MappedArray<bl_row> rows_;
  Fd tcp_, udp_, udplite_;
};

} // namespace bindlens::kernel
