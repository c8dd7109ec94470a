#pragma once

#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <string>
#include <string_view>
#include <sys/types.h>

namespace bindlens::server {

// The listening Unix socket and its file. Move only; removes the file when it
// ends, if the file is still its own.
class ListenSocket {
 public:
  // Binds `path` with mode 0660 and, where `group` exists, that group; makes
  // the directory (0755) when it is missing. The file of a daemon that has
  // ended is replaced. Fails with EADDRINUSE when a daemon answers there, with
  // ENAMETOOLONG for a path that does not fit, with EEXIST for a file that is no
  // socket.
  [[nodiscard]] static Result<ListenSocket> create(const std::string& path,
                                                   std::string_view group = "bindlens");

  // Takes over a listening socket that somebody else has bound (systemd socket
  // activation); its file stays. Fails with EINVAL for anything but a listening
  // Unix stream socket.
  [[nodiscard]] static Result<ListenSocket> inherit(Fd fd);

  ~ListenSocket();
  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&& other) noexcept;

  // Gives the descriptor away; the file stays this object's.
  [[nodiscard]] Fd take_fd() { return std::move(fd_); }

 private:
  ListenSocket() = default;
  void remove_file();

  Fd fd_;
  std::string path_; // empty: not ours to remove
  dev_t device_ = 0; // of the file as we made it
  ino_t inode_ = 0;
};

} // namespace bindlens::server
