#include "netlink.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <string>
#include <system_error>
#include <thread>

namespace bindlens::kernel {

namespace {

// The kernel fills up to this much per read of a dump and not more
// (netlink_recvmsg: max_recvmsg_len).
constexpr size_t datagram_bytes = 32768;
constexpr int dump_attempts = 4;

// Calls `visit` for every message until it says stop.
void scan(Bytes bytes, const std::function<bool(const nlmsghdr&, Bytes)>& visit) {
  while (const auto header = read_struct<nlmsghdr>(bytes)) {
    if (header->nlmsg_len < NLMSG_HDRLEN || header->nlmsg_len > bytes.size()) return;
    if (!visit(*header, bytes.subspan(NLMSG_HDRLEN, header->nlmsg_len - NLMSG_HDRLEN))) return;
    const size_t step = NLMSG_ALIGN(static_cast<size_t>(header->nlmsg_len));
    bytes = bytes.subspan(std::min(step, bytes.size()));
  }
}

// What one datagram tells of the whole dump. Both NLMSG_ERROR and NLMSG_DONE
// begin with a negative errno, or 0.
struct Progress {
  bool done = false;
  bool inconsistent = false;
  int error = 0;
};

Progress read_progress(Bytes datagram) {
  Progress p;
  scan(datagram, [&](const nlmsghdr& header, Bytes body) {
    p.inconsistent = p.inconsistent || (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    p.done = header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR;
    if (p.done) p.error = -read_struct<int>(body).value_or(0);
    return !p.done;
  });
  return p;
}

} // namespace

Result<void> in_netns(const Fd& netns, const std::function<Result<void>()>& work) {
  Result<void> result;
  try {
    std::thread([&] {
      result = ::setns(netns.get(), CLONE_NEWNET) == 0
                   ? work()
                   : fail_errno("the network namespace cannot be entered");
    }).join();
  } catch (const std::system_error& e) {
    return fail_errno("no thread can be had to enter the network namespace", e.code().value());
  }
  return result;
}

Bytes find_attribute(Bytes attributes, uint16_t type) {
  while (const auto header = read_struct<nlattr>(attributes)) {
    if (header->nla_len < NLA_HDRLEN || header->nla_len > attributes.size()) break;
    if ((header->nla_type & NLA_TYPE_MASK) == type)
      return attributes.subspan(NLA_HDRLEN, header->nla_len - size_t{NLA_HDRLEN});
    const size_t step = NLA_ALIGN(static_cast<size_t>(header->nla_len));
    attributes = attributes.subspan(std::min(step, attributes.size()));
  }
  return {};
}

void NetlinkDump::for_each(uint16_t type, const std::function<void(Bytes)>& visit) const {
  scan(bytes_, [&](const nlmsghdr& header, Bytes body) {
    if (header.nlmsg_type == type) visit(body);
    return true;
  });
}

Result<Netlink> Netlink::open(int protocol) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return fail_errno("no netlink socket can be had");
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on) != 0)
    return fail_errno("netlink requests cannot be made strict");
  return Netlink(std::move(fd));
}

Result<void> Netlink::send(uint16_t type, Bytes request) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + request.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header.nlmsg_seq = ++sequence_;
  std::array<iovec, 2> parts{iovec{&header, sizeof header},
                             iovec{const_cast<std::byte*>(request.data()), request.size()}};
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  msghdr message{};
  message.msg_name = &kernel;
  message.msg_namelen = sizeof kernel;
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (::sendmsg(fd_.get(), &message, 0) < 0) return fail_errno("the netlink request was not taken");
  return {};
}

// Reads one dump to its end. False: it is not of one piece.
Result<bool> Netlink::receive(std::vector<std::byte>& bytes, size_t limit) {
  bytes.clear();
  bool consistent = true;
  for (;;) {
    const size_t used = bytes.size();
    if (used > limit) return fail_errno("the netlink answer is too long", EMSGSIZE);
    bytes.resize(used + datagram_bytes);
    const ssize_t n = ::recv(fd_.get(), &bytes[used], datagram_bytes, MSG_TRUNC);
    if (n < 0 && errno != EINTR) return fail_errno("the netlink answer cannot be read");
    const size_t got = n < 0 ? 0 : static_cast<size_t>(n);
    if (got > datagram_bytes) return fail_errno("the netlink answer was cut off", EMSGSIZE);
    bytes.resize(used + got);
    const Progress p = read_progress(Bytes(bytes).subspan(used));
    consistent = consistent && !p.inconsistent;
    if (p.error != 0) return fail_errno("the kernel refused the netlink request", p.error);
    if (p.done) return consistent;
  }
}

Result<NetlinkDump> Netlink::dump(uint16_t type, Bytes request, size_t limit) {
  std::vector<std::byte> bytes;
  for (int attempt = 0; attempt < dump_attempts; ++attempt) {
    if (auto sent = send(type, request); !sent) return std::unexpected(sent.error());
    const auto consistent = receive(bytes, limit);
    if (!consistent) return std::unexpected(consistent.error());
    if (*consistent) return NetlinkDump(std::move(bytes));
  }
  return fail_errno("the kernel's tables kept changing while they were read", EAGAIN);
}

} // namespace bindlens::kernel
