#pragma once

#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <linux/netlink.h>

namespace bindlens::kernel {

// Runs `work` on a thread of its own inside a network namespace and waits for
// it: setns(2) changes one thread, and the daemon's own must stay where they
// are. Sockets that `work` opens belong to that namespace for good, and
// /proc/sys/net shows it. Needs CAP_SYS_ADMIN.
[[nodiscard]] Result<void> in_netns(const Fd& netns, const std::function<Result<void>()>& work);

// Attributes of a message, as bytes that somebody else owns.
using Bytes = std::span<const std::byte>;

// A fixed header at the start of `bytes`; empty when they are too short for it.
template <typename T>
[[nodiscard]] std::optional<T> read_struct(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T out;
  std::memcpy(&out, bytes.data(), sizeof out);
  return out;
}

// The payload of the first attribute of this type; empty when there is none.
[[nodiscard]] Bytes find_attribute(Bytes attributes, uint16_t type);

template <typename T>
[[nodiscard]] std::optional<T> read_attribute(Bytes attributes, uint16_t type) {
  return read_struct<T>(find_attribute(attributes, type));
}

// What follows a header of type T in a message or an attribute.
template <typename T>
[[nodiscard]] Bytes attributes_after(Bytes body) {
  return body.size() < NLMSG_ALIGN(sizeof(T)) ? Bytes{} : body.subspan(NLMSG_ALIGN(sizeof(T)));
}

// The answer to a dump request: whole messages, their headers included.
class NetlinkDump {
 public:
  explicit NetlinkDump(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  // Called with the body of every message of this type, in the kernel's order.
  void for_each(uint16_t type, const std::function<void(Bytes)>& visit) const;

 private:
  std::vector<std::byte> bytes_;
};

// A netlink socket in the network namespace of the thread that opens it.
class Netlink {
 public:
  // NETLINK_ROUTE, NETLINK_SOCK_DIAG. The kernel checks requests strictly, and
  // therefore applies the filters in them (from 4.20).
  [[nodiscard]] static Result<Netlink> open(int protocol);

  // Asks for everything that `request` (header and attributes) selects. An
  // answer of more than `limit` bytes is the error EMSGSIZE; the rest of it is in
  // the way of any other request then. A dump that the kernel marks as
  // inconsistent is asked for again, a few times, before it is the error EAGAIN.
  [[nodiscard]] Result<NetlinkDump> dump(uint16_t type, Bytes request, size_t limit = SIZE_MAX);

  template <typename T>
  [[nodiscard]] Result<NetlinkDump> dump(uint16_t type, const T& request, size_t limit = SIZE_MAX) {
    return dump(type, std::as_bytes(std::span(&request, 1)), limit);
  }

 private:
  explicit Netlink(Fd fd) : fd_(std::move(fd)) {}
  Result<void> send(uint16_t type, Bytes request);
  Result<bool> receive(std::vector<std::byte>& bytes, size_t limit);

  Fd fd_;
  uint32_t sequence_ = 0;
};

} // namespace bindlens::kernel
