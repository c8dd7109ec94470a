#pragma once

#include <bindlens/model/bucket.h>
#include <bindlens/model/failure.h>
#include <bindlens/record.h>

#include <cstddef>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <variant>

namespace bindlens::model {

// struct bl_task: the caller as the BPF program saw it.
struct TaskInfo {
  uint32_t pid = 0;
  uint32_t tid = 0;
  uint32_t uid = 0; // effective
  uint64_t start_time = 0;
  uint64_t cgroup = 0;
  std::string comm;
};

// A bind, listen or connect that ended.
struct CallRecord {
  Call call = Call::bind;
  MonoNs time = 0;
  Socket socket; // as the call left it; local.port 0 = has no port
  TaskInfo task;
  uint64_t call_id = 0;
  int ret = 0;                   // 0 or -errno
  uint32_t flags = 0;            // enum bl_call_flag
  std::optional<Endpoint> asked; // absent when the address could not be read
  uint32_t scope = 0;            // sin6_scope_id
};

struct ReleaseRecord {
  MonoNs time = 0;
  SocketId id = 0;
  uint32_t netns = 0;
  uint16_t port = 0;
  Proto proto = Proto::tcp;
  uint32_t pid = 0;
  bool stopped_listening = false; // BL_REC_STATE: keeps its port
};

// One row of the walk made inside the refused call `call_id`.
struct HolderRecord {
  uint64_t call_id = 0;
  bl_row row{};
};

// A TIME_WAIT socket that was taken over by a connect or a SYN.
struct ReuseRecord {
  MonoNs time = 0;
  uint32_t kind = 0; // enum bl_reuse_kind
  Socket socket;
  TaskInfo task; // pid 0: nobody's call
  bool timestamps = false;
  uint64_t left_out = 0;
};

struct Record {
  uint32_t cpu = 0;
  uint64_t seq = 0;
  std::variant<CallRecord, ReleaseRecord, HolderRecord, ReuseRecord> body;
};

enum class DecodeError { too_short, wrong_size, unknown_version, unknown_type, bad_field };
[[nodiscard]] std::string_view to_string(DecodeError e);

// Reads one record as it lies in the ring buffer. Pure; keeps no reference.
[[nodiscard]] std::expected<Record, DecodeError> decode(std::span<const std::byte> bytes);

[[nodiscard]] Socket to_socket(const bl_sock& s);

// Puts the rows of a walk, as they come run by run, into a view.
class RowAssembler {
 public:
  explicit RowAssembler(PortView& view) : view_(view) {}
  // False when the rows make no sense: a socket without a head before it, or an
  // impossible field.
  [[nodiscard]] bool append(std::span<const bl_row> rows);

  // For a bucket of the kernel's that comes in parts. What is appended from begin() on
  // can be withdrawn, until end(). A socket that moved between two parts may have come
  // in both (`may_repeat`); it stays as it came last.
  void begin();
  void withdraw();
  void end(bool may_repeat);
  // Takes what can not be withdrawn any more out of the view.
  void take_complete(const std::function<void(const Bucket&)>& visit);

 private:
  Bucket& bucket_of(const Socket& s);

  PortView& view_;
  size_t begin_ = 0;      // buckets of the view that can be withdrawn begin here; those
  size_t parted_end_ = 0; // before this one were there before the last part
  // A UDP slot mixes ports and namespaces; its sockets go to one bucket for each.
  Bucket slot_;
  size_t slot_first_ = 0;
  bool in_slot_ = false;
  bool has_head_ = false;
};

} // namespace bindlens::model
