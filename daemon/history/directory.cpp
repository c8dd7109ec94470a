#include "directory.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <vector>

namespace bindlens::history {

namespace {

// The write-ahead log and the index of it.
constexpr std::array<const char*, 3> suffixes = {"", "-wal", "-shm"};
constexpr mode_t directory_mode = S_ISGID | 0750; // files in it are the group's, too
constexpr mode_t file_mode = 0640;

void give_to_group(const std::string& directory) {
  std::vector<char> buffer(16384);
  group entry{};
  group* found = nullptr;
  ::getgrnam_r("bindlens", &entry, buffer.data(), buffer.size(), &found);
  // Without such a group only root reads the file itself.
  const gid_t gid = found != nullptr ? found->gr_gid : static_cast<gid_t>(-1);
  if (::chown(directory.c_str(), static_cast<uid_t>(-1), gid) == 0)
    (void)::chmod(directory.c_str(), directory_mode);
}

Result<void> make_directory(const std::string& directory) {
  struct stat st {};
  if (::stat(directory.c_str(), &st) == 0) {
    if (!S_ISDIR(st.st_mode)) return fail(directory + " is not a directory", ENOTDIR);
  } else {
    std::error_code ec;
    std::filesystem::create_directories(directory, ec);
    if (ec) return fail_errno("making " + directory, ec.value());
    if (::stat(directory.c_str(), &st) != 0) return fail_errno(directory);
    give_to_group(directory);
  }
  return {};
}

Result<void> check_owner(const struct stat& st, const std::string& path) {
  if (st.st_uid == ::geteuid()) return {};
  return fail(path + " belongs to user " + std::to_string(st.st_uid) + "; give it to user " +
                  std::to_string(::geteuid()) + ", as whom bindlensd runs",
              EPERM);
}

std::string reader_of(int fd) {
  std::array<char, 32> pid{};
  const ssize_t n = ::pread(fd, pid.data(), pid.size() - 1, 0);
  std::string text(pid.data(), n > 0 ? static_cast<size_t>(n) : 0);
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text;
}

} // namespace

Result<Fd> take_directory(const std::string& directory) {
  if (auto made = make_directory(directory); !made) return std::unexpected(made.error());
  struct stat st {};
  if (::stat(directory.c_str(), &st) != 0) return fail_errno(directory);
  if (auto own = check_owner(st, directory); !own) return std::unexpected(own.error());
  const std::string path = directory + "/lock";
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, file_mode));
  if (!lock) return fail_errno("opening " + path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("locking " + path);
    return fail(directory + " is in use by another bindlensd, process " + reader_of(lock.get()) +
                    "; give --state-dir another directory",
                EBUSY);
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) == 0) (void)!::pwrite(lock.get(), pid.data(), pid.size(), 0);
  return lock;
}

Result<void> prepare_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, file_mode));
  if (!file) return fail_errno("opening " + path);
  struct stat st {};
  if (::fstat(file.get(), &st) != 0) return fail_errno(path);
  if (!S_ISREG(st.st_mode)) return fail(path + " is not a regular file", EINVAL);
  return check_owner(st, path);
}

Result<std::string> set_aside(const std::string& path, int64_t wall) {
  const time_t seconds = static_cast<time_t>(wall / 1'000'000'000);
  tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> time{};
  std::strftime(time.data(), time.size(), "%Y%m%dT%H%M%SZ", &utc);
  std::string to = path + ".corrupt-" + time.data();
  for (int n = 2; ::access(to.c_str(), F_OK) == 0; ++n)
    to = path + ".corrupt-" + time.data() + "-" + std::to_string(n);
  // Its log first: a new file must not be read with the log of the old one.
  for (auto suffix = suffixes.rbegin(); suffix != suffixes.rend(); ++suffix)
    if (::rename((path + *suffix).c_str(), (to + *suffix).c_str()) != 0 && errno != ENOENT)
      return fail_errno("renaming " + path + *suffix);
  return to;
}

uint64_t size_on_disk(const std::string& path) {
  uint64_t bytes = 0;
  for (const char* suffix : suffixes)
    if (struct stat st{}; ::stat((path + suffix).c_str(), &st) == 0)
      bytes += static_cast<uint64_t>(st.st_size);
  return bytes;
}

} // namespace bindlens::history
