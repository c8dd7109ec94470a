#pragma once

#include <sys/socket.h>

namespace bindlens::test {

// bind() by io_uring (from 6.11), with raw system calls. -1 and errno; EINVAL
// or EOPNOTSUPP when the kernel does not know the operation.
int uring_bind(int fd, const sockaddr* address, socklen_t length);

} // namespace bindlens::test
