#pragma once

#include <bindlens/kernel/attach_plan.h>
#include <bindlens/model/decoder.h>
#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

struct bindlens_bpf;

namespace bindlens::kernel {

struct SessionOptions {
  AttachWishes wishes;
  uint32_t ring_bytes = 4u << 20; // rounded up to a power of two pages
};

struct ProgramStats {
  std::string name;
  uint32_t id = 0;
  uint64_t run_count = 0; // 0 unless kernel.bpf_stats_enabled is set
  uint64_t run_ns = 0;
  uint32_t verified_insns = 0; // from 5.16; 0 before
};

// The loaded BPF object with everything attached. All of it goes away with this
// object, or with the process.
class Session {
 public:
  // Probes the kernel, makes a plan, loads and attaches. A hook whose route
  // fails on the way falls back to its next one. Fails when there is no
  // permission (EPERM) or nothing at all can be loaded; the text names the remedy.
  // Without BTF no program can be loaded: plan() says so, and there are no records.
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(const SessionOptions& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const AttachPlan& plan() const { return plan_; }
  [[nodiscard]] const KernelFacts& facts() const { return facts_; }
  [[nodiscard]] bool has_programs() const { return object_ != nullptr; }
  // Of the BPF object: "flat", "loop" or "direct" (docs/architecture.md); "none".
  [[nodiscard]] std::string_view variant() const;

  // Readable when records wait and a wake-up was due.
  [[nodiscard]] int ring_fd() const;
  // Hands waiting records to `sink`, oldest first, at most `limit` of them;
  // returns their number. The bytes are valid during the call.
  using RecordSink = std::function<void(std::span<const std::byte>)>;
  size_t consume(const RecordSink& sink, size_t limit);
  // The next record is to make ring_fd() readable. To be followed by one more
  // consume(): a record that came just before does not wake anybody.
  void request_wakeup();

  // Runs of a program that the kernel left out since the start, because on the same
  // processor one was under way that had been preempted
  // (bpf_prog_info.recursion_misses, from 5.12).
  [[nodiscard]] uint64_t skipped_runs() const;
  // Runs and map entries that are missing from what is counted of reuseport groups.
  [[nodiscard]] uint64_t uncounted() const;
  // No member of a reuseport group listens now: accept() need not be looked at until
  // connections are queued for one.
  void rest_accepts();
  // Members of reuseport groups have come of which nothing could be counted.
  [[nodiscard]] bool shares_full() const;
  // Records lost since the start, over all reasons, skipped runs among them.
  [[nodiscard]] uint64_t lost() const;
  [[nodiscard]] std::vector<ProgramStats> program_stats() const;
  // What is counted by port since the start.
  struct PortCounts {
    bl_port_key port{};
    bl_port_counts counts{};
  };
  [[nodiscard]] std::vector<PortCounts> port_counts() const;
  // Of all ports; `uncounted` of them are in no port's counts.
  struct AllCounts {
    bl_port_counts counts{};
    uint64_t uncounted = 0;
  };
  [[nodiscard]] AllCounts all_counts() const;

  // Only where has_programs().
  [[nodiscard]] bindlens_bpf& object() { return *object_; }

 private:
  Session() = default;
  struct Impl;

  KernelFacts facts_;
  AttachPlan plan_;
  bindlens_bpf* object_ = nullptr;
  std::unique_ptr<Impl> impl_;
};

} // namespace bindlens::kernel
