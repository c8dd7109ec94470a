#include "uring.h"

#include <bindlens/util/fd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace bindlens::test {

namespace {

constexpr uint8_t op_bind = 56; // IORING_OP_BIND, newer than the headers

class Mapping {
 public:
  Mapping(int fd, size_t size, uint64_t offset)
      : at_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
                   static_cast<off_t>(offset))),
        size_(size) {}
  ~Mapping() {
    if (ok()) ::munmap(at_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  [[nodiscard]] bool ok() const { return at_ != MAP_FAILED; }
  template <typename T>
  T* at(size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_) + offset);
  }

 private:
  void* at_;
  size_t size_;
};

} // namespace

int uring_bind(int fd, const sockaddr* address, socklen_t length) {
  io_uring_params p{};
  const Fd ring(static_cast<int>(::syscall(SYS_io_uring_setup, 4, &p)));
  if (!ring) return -1;
  const Mapping sq(ring.get(), p.sq_off.array + p.sq_entries * sizeof(uint32_t),
                   IORING_OFF_SQ_RING);
  const Mapping cq(ring.get(), p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe),
                   IORING_OFF_CQ_RING);
  const Mapping entries(ring.get(), p.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
  if (!sq.ok() || !cq.ok() || !entries.ok()) return -1;
  auto* entry = entries.at<io_uring_sqe>(0);
  *entry = {};
  entry->opcode = op_bind;
  entry->fd = fd;
  entry->addr = reinterpret_cast<uint64_t>(address);
  entry->addr2 = length;
  *sq.at<uint32_t>(p.sq_off.array) = 0;
  std::atomic_ref(*sq.at<uint32_t>(p.sq_off.tail)).store(1, std::memory_order_release);
  if (::syscall(SYS_io_uring_enter, ring.get(), 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) != 1)
    return -1;
  const int result = cq.at<io_uring_cqe>(p.cq_off.cqes)->res;
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

} // namespace bindlens::test
