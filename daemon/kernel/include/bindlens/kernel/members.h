#pragma once

#include <bindlens/kernel/mapped_array.h>
#include <bindlens/kernel/session.h>
#include <bindlens/model/socket.h>
#include <bindlens/record.h>
#include <bindlens/util/result.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace bindlens::kernel {

// Reads what the kernel knows of members of reuseport groups, by running the `members`
// program. Not for use by two threads.
class MemberReader {
 public:
  // Needs the session for as long as it lives.
  [[nodiscard]] static Result<std::unique_ptr<MemberReader>> open(Session& session);

  // One row for each, in the same order. One that has `group` 0 is in no group any more,
  // or another socket has its place.
  [[nodiscard]] Result<std::vector<bl_member>> read(std::span<const model::Socket> sockets);
  // The `count` sockets of a group in the kernel's order; 0 where there is none any more.
  [[nodiscard]] Result<std::vector<model::SocketId>> order(uint64_t group, uint32_t count);

 private:
  MemberReader() = default;
  Result<void> run(std::span<bl_member> rows);

  int program_ = -1;
  MappedArray<bl_members> cursor_;
  MappedArray<bl_member> rows_;
};

// What the hooks have counted of members of reuseport groups.
class ShareReader {
 public:
  explicit ShareReader(Session& session);

  // Summed over all processors; absent when there is no room for it.
  [[nodiscard]] std::optional<bl_share> read(model::SocketId sk, uint64_t cookie) const;
  // Makes room for it, if there is any.
  void add(model::SocketId sk, uint64_t cookie) const;
  // What is counted of it from now on begins at 0.
  void remove(model::SocketId sk, uint64_t cookie);

 private:
  [[nodiscard]] bool read_key(const bl_share_key& key, bl_share& sum) const;
  [[nodiscard]] uint64_t datagrams_in_slots(uint64_t cookie) const;

  int map_ = -1;
  int slots_ = -1;
  size_t cpus_ = 0;
  // A slot stays as it is when its socket leaves, and it may come back: what is not its
  // share any more, by cookie.
  boost::unordered_flat_map<uint64_t, uint64_t> left_;
};

} // namespace bindlens::kernel
