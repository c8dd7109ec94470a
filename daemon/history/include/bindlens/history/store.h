#pragma once

#include <bindlens/history/database.h>
#include <bindlens/model/event.h>
#include <bindlens/model/reuseport.h>
#include <bindlens/model/table.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace bindlens::history {

struct Config {
  std::string directory;
  uint64_t max_bytes = 256u << 20;
  std::chrono::seconds max_age = std::chrono::hours(14 * 24);
  std::chrono::milliseconds retry_after = std::chrono::seconds(3); // what does not take it
  MonoNs started = 0; // of this run; names it together with the process
};

// The clocks, read by the caller: wall time = monotonic time + offset.
struct Clocks {
  std::string boot_id;
  MonoNs now = 0;
  int64_t offset = 0;
  [[nodiscard]] int64_t wall() const { return offset + static_cast<int64_t>(now); }
};

// All sockets of the bind table at one moment: what is not in it is gone, what is
// new in it was bound some time before.
struct TableAt {
  MonoNs time = 0;
  std::vector<model::Binding> bindings;
};

// The members of a reuseport group, as they fare at one moment.
struct SharesAt {
  MonoNs time = 0;
  model::ReuseportGroup group;
};

struct NamespaceName {
  uint32_t inode = 0;
  std::string name;
};

// Sockets that came and went, and are not told of one by one.
struct Counted {
  int64_t minute = 0; // since 1970
  uint32_t netns = 0;
  model::Proto proto = model::Proto::tcp;
  uint16_t port = 0;
  model::BoundBy by = model::BoundBy::unknown;
  int64_t count = 0;
};

using Item = std::variant<model::Event, TableAt, SharesAt, NamespaceName, Counted>;

// Why the file cannot be used, and whether waiting helps.
struct Trouble {
  enum class Kind : uint8_t {
    disk,    // full, read-only, not permitted, gone: comes back by itself
    corrupt, // the file is to be set aside
    rows,    // this batch cannot be written, whatever the file
    refused, // another daemon's, another program's, or a newer one's
  };
  Kind kind = Kind::disk;
  std::string text;
};

struct Totals {
  uint64_t bytes = 0;     // file and write-ahead log
  uint64_t rows = 0;      // events
  int64_t oldest = 0;     // wall time, ns; 0 = none
  int64_t last_event = 0; // number of the newest row
};

// The history's file, written by one thread. Every write() is one transaction.
class Store {
 public:
  // Makes the file if there is none, brings an older one forward, and notes the
  // start of this run.
  [[nodiscard]] static std::expected<std::unique_ptr<Store>, Trouble> open(const Config& config,
                                                                           const Clocks& clocks);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] std::expected<void, Trouble> write(std::span<const Item> batch,
                                                   const Clocks& clocks);
  // So many items in one write() keep the write-ahead log within its part of the bounds.
  [[nodiscard]] static size_t batch_size(uint64_t max_bytes);
  // Notes the end of this run.
  [[nodiscard]] std::expected<void, Trouble> close(const Clocks& clocks);
  // The file is still there, and the one that was opened.
  [[nodiscard]] bool in_place() const;
  // False when open() found what this run had written before.
  [[nodiscard]] bool is_new_run() const;
  [[nodiscard]] const Totals& totals() const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

} // namespace bindlens::history
