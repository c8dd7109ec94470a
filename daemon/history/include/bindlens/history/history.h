#pragma once

#include <bindlens/history/store.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace bindlens::history {

// How the history fares.
struct Status {
  enum class State : uint8_t {
    off,     // --state-dir none
    opening, // not yet open
    writing,
    waiting, // in memory until the disk allows again; tried again from time to time
  };
  State state = State::off;
  std::string path;
  std::string problem; // a sentence: what is wrong now, or was since the start
  MonoNs problem_since = 0;
  std::string set_aside; // where a corrupt file was put
  Totals totals;
  uint64_t max_bytes = 0;
  uint64_t pending_bytes = 0; // not yet on disk
  uint64_t written = 0;       // events since the start
  uint64_t lost = 0;          // events that are in no file
};

[[nodiscard]] std::string_view to_string(Status::State s);

// Writes the history on a thread of its own. append() never waits for the disk:
// what does not fit into the queue is counted and becomes a gap in the history.
class History {
 public:
  struct Hooks {                      // called on the history's thread
    std::function<void()> need_table; // give() the whole bind table soon
    std::function<void(const std::string&)> warn;
  };
  // Makes the directory and takes it for this daemon; nothing is opened yet.
  History(Config config, Hooks hooks, size_t queue_bytes = 64u << 20);
  ~History(); // writes what is pending and notes the end of the run
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // To be called when privileges were given up: threads keep their own.
  void start();

  // From the event loop's thread.
  void append(const model::Event& e);
  void give(TableAt table);
  void give(SharesAt shares);
  void give(NamespaceName name);
  // Calls `done`, on the history's thread, when everything appended so far is in
  // the file, with the number of its last event; or with what stands in the way.
  void when_written(std::function<void(Result<int64_t>)> done);

  [[nodiscard]] Status status() const;
  [[nodiscard]] std::string path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

[[nodiscard]] std::string read_boot_id();

} // namespace bindlens::history
