#pragma once

// JSON out: what the daemon answers. The members, their order and meaning are
// described in docs/openapi.yaml. A value that is not known is left out.

#include <bindlens/model/distribution.h>
#include <bindlens/model/past.h>
#include <bindlens/model/port_use.h>
#include <bindlens/model/timewait.h>
#include <bindlens/protocol/types.h>

#include <string>
#include <string_view>
#include <unordered_map>

namespace bindlens::protocol {

// Names that only the host knows. Empty when there is none.
class Names {
 public:
  virtual ~Names() = default;
  [[nodiscard]] virtual std::string user(uint32_t uid) const = 0;
  [[nodiscard]] virtual std::string netns(uint32_t inode) const = 0;
  [[nodiscard]] virtual std::string dev(uint32_t netns, uint32_t index) const = 0;
};

// Writes the rows of one answer, each as a line with its newline. Sockets of
// one process share its part of the text, which is rendered once; the writer
// keeps the processes alive for that, so it should live as long as the answer
// and no longer.
class RowWriter {
 public:
  // `offset`: what its times lack to wall time; 0 for those of the history.
  explicit RowWriter(int64_t offset = wall_offset());
  void append(std::string& out, const SocketRow& row);

 private:
  struct Rendered {
    model::ProcessRef process; // keeps the address, which is the key, from being used again
    std::string identity;      // {"pid":1
    std::string facts;         // ,"comm":…}
  };
  const Rendered& rendered(const model::ProcessRef& process);

  int64_t wall_offset_; // wall time minus monotonic time
  std::unordered_map<const model::Process*, Rendered> processes_;
  const Rendered* last_ = nullptr; // neighbours often belong to one process
};

// One line each, with its newline. `offset` as of RowWriter.
void append_failure(std::string& out, const model::Failure& f, const Names& names,
                    int64_t offset = wall_offset());
void append_event(std::string& out, const model::Event& e, const Names& names,
                  int64_t offset = wall_offset());
void append_finding(std::string& out, const model::Finding& f, const Names& names);
void append_group(std::string& out, const model::JudgedGroup& g, const Names& names);

// What the history does not tell: an event of type "gap" that has an end.
void append_missing(std::string& out, const model::Missing& m);

// What a follower missed because it read too slowly: an event of type "gap"
// with the number of events left out and a reason.
void append_reader_gap(std::string& out, uint64_t lost);

// Whole documents, with a newline at the end.
[[nodiscard]] std::string to_json(const Status& s);
[[nodiscard]] std::string to_json(const VerifyReport& r, const Names& names);
[[nodiscard]] std::string to_json(const CheckReply& r, const Names& names);
// `complete`: no bucket kept changing while the table was read.
void append_timewait(std::string& out, const model::TimeWaitPort& p, bool complete,
                     const Names& names);
[[nodiscard]] std::string to_json(const model::PortReport& r, const Names& names);
// {"error":…,"field":…}; the field is left out when empty.
[[nodiscard]] std::string error_json(std::string_view text, std::string_view field);

// "EADDRINUSE"; "errno 12345" for what has no name.
[[nodiscard]] std::string errno_name(int error);

} // namespace bindlens::protocol
