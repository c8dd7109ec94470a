#include <bindlens/server/listen_socket.h>

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

namespace bindlens::server {
namespace {

constexpr int backlog = 512;
constexpr mode_t socket_mode = 0660;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un addr{};
  addr.sun_family = AF_UNIX;
  if (path.empty()) return fail("the path of the socket is empty", EINVAL);
  if (path.size() >= sizeof addr.sun_path)
    return fail("the path of the socket has " + std::to_string(path.size()) +
                    " bytes, the kernel takes " + std::to_string(sizeof addr.sun_path - 1) +
                    ": choose a shorter one with --socket",
                ENAMETOOLONG);
  std::memcpy(addr.sun_path, path.data(), path.size());
  return addr;
}

const sockaddr* generic(const sockaddr_un& addr) {
  return reinterpret_cast<const sockaddr*>(&addr);
}

Result<Fd> stream_socket() {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("socket");
  return fd;
}

// The directory of the socket, locked: two daemons that start together must not
// both find the old file stale and remove each other's new one.
Result<Fd> locked_directory(const std::string& path) {
  auto dir = std::filesystem::path(path).parent_path();
  if (dir.empty()) dir = ".";
  if (::mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno("cannot make the directory " + dir.string());
  Fd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("cannot open the directory " + dir.string());
  if (::flock(fd.get(), LOCK_EX) != 0) return fail_errno("cannot lock " + dir.string());
  return fd;
}

// Removes what a daemon that has ended left at `path`.
Result<void> clear_stale(const std::string& path, const sockaddr_un& addr) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno("cannot look at " + path);
  }
  if (!S_ISSOCK(st.st_mode))
    return fail(path + " exists and is no socket: remove it, or choose another path with --socket",
                EEXIST);
  const auto probe = stream_socket();
  if (!probe) return std::unexpected(probe.error());
  if (::connect(probe->get(), generic(addr), sizeof addr) == 0 || errno == EAGAIN)
    return fail("another daemon answers on " + path +
                    ": stop it, or choose another path with --socket",
                EADDRINUSE);
  if (errno != ECONNREFUSED) return fail_errno("cannot probe " + path);
  if (::unlink(path.c_str()) != 0) return fail_errno("cannot remove the stale socket " + path);
  return {};
}

// A group that does not exist leaves the socket to root.
Result<void> give_to_group(const std::string& path, std::string_view group) {
  std::vector<char> buffer(64 * 1024);
  struct group entry {};
  struct group* found = nullptr;
  const std::string name(group);
  ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return {};
  if (::chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0 && errno != EPERM)
    return fail_errno("cannot give " + path + " to the group " + name);
  return {};
}

} // namespace

Result<ListenSocket> ListenSocket::create(const std::string& path, std::string_view group) {
  const auto addr = address_of(path);
  if (!addr) return std::unexpected(addr.error());
  const auto directory = locked_directory(path);
  if (!directory) return std::unexpected(directory.error());
  if (auto cleared = clear_stale(path, *addr); !cleared) return std::unexpected(cleared.error());

  auto fd = stream_socket();
  if (!fd) return std::unexpected(fd.error());
  // The file is made with the mode of the socket less the umask: it is never
  // open to more than it should be, not even before the chmod().
  if (::fchmod(fd->get(), socket_mode) != 0) return fail_errno("fchmod");
  if (::bind(fd->get(), generic(*addr), sizeof *addr) != 0)
    return fail_errno("cannot make the socket " + path);

  ListenSocket made;
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return fail_errno("cannot look at " + path);
  made.fd_ = std::move(*fd);
  made.path_ = path;
  made.device_ = st.st_dev;
  made.inode_ = st.st_ino;
  if (auto given = give_to_group(path, group); !given) return std::unexpected(given.error());
  if (::chmod(path.c_str(), socket_mode) != 0) return fail_errno("cannot set the mode of " + path);
  if (::listen(made.fd_.get(), backlog) != 0) return fail_errno("cannot listen on " + path);
  return made;
}

Result<ListenSocket> ListenSocket::inherit(Fd fd) {
  const auto option = [&](int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd.get(), SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
  };
  if (option(SO_DOMAIN) != AF_UNIX || option(SO_TYPE) != SOCK_STREAM || option(SO_ACCEPTCONN) != 1)
    return fail("the inherited descriptor is no listening Unix stream socket", EINVAL);
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return fail_errno("cannot prepare the inherited socket");
  ListenSocket made;
  made.fd_ = std::move(fd);
  return made;
}

ListenSocket::~ListenSocket() {
  remove_file();
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {})), device_(other.device_),
      inode_(other.inode_) {}

ListenSocket& ListenSocket::operator=(ListenSocket&& other) noexcept {
  if (this == &other) return *this;
  remove_file();
  fd_ = std::move(other.fd_);
  path_ = std::exchange(other.path_, {});
  device_ = other.device_;
  inode_ = other.inode_;
  return *this;
}

void ListenSocket::remove_file() {
  if (path_.empty()) return;
  struct stat st {};
  const bool ours = ::lstat(path_.c_str(), &st) == 0 && st.st_dev == device_ && st.st_ino == inode_;
  if (ours) ::unlink(path_.c_str());
  path_.clear();
}

} // namespace bindlens::server
