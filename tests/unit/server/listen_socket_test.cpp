#include "server_fixture.h"

#include <bindlens/server/listen_socket.h>

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <fstream>

namespace bindlens::server {
namespace {

using test::TemporaryDirectory;

bool exists(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0;
}

TEST(ListenSocket, IsOpenToOwnerAndGroupOnlyWhateverTheUmask) {
  const TemporaryDirectory dir;
  for (const mode_t mask : {0000, 0022, 0077}) {
    const mode_t before = ::umask(mask);
    const auto socket = ListenSocket::create(dir.file("s"), "no-such-group");
    ::umask(before);
    ASSERT_TRUE(socket.has_value()) << socket.error().text;
    struct stat st {};
    ASSERT_EQ(::stat(dir.file("s").c_str(), &st), 0);
    EXPECT_TRUE(S_ISSOCK(st.st_mode));
    EXPECT_EQ(st.st_mode & 07777, 0660u);
  }
}

TEST(ListenSocket, MakesItsDirectory) {
  const TemporaryDirectory dir;
  const auto socket = ListenSocket::create(dir.file("run/s"));
  ASSERT_TRUE(socket.has_value()) << socket.error().text;
  struct stat st {};
  ASSERT_EQ(::stat(dir.file("run").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0755u);
  EXPECT_FALSE(ListenSocket::create(dir.file("a/b/s")).has_value());
}

TEST(ListenSocket, RemovesItsFileAtTheEnd) {
  const TemporaryDirectory dir;
  {
    auto socket = ListenSocket::create(dir.file("s"));
    ASSERT_TRUE(socket.has_value());
    const ListenSocket moved = std::move(*socket);
    EXPECT_TRUE(exists(dir.file("s")));
  }
  EXPECT_FALSE(exists(dir.file("s")));
}

TEST(ListenSocket, LeavesAFileThatIsNoLongerItsOwn) {
  const TemporaryDirectory dir;
  {
    const auto socket = ListenSocket::create(dir.file("s"));
    ASSERT_TRUE(socket.has_value());
    std::filesystem::remove(dir.file("s"));
    std::ofstream(dir.file("s")) << "somebody else's";
  }
  EXPECT_TRUE(exists(dir.file("s")));
}

TEST(ListenSocket, RefusesWhereADaemonAnswers) {
  const TemporaryDirectory dir;
  const auto first = ListenSocket::create(dir.file("s"));
  ASSERT_TRUE(first.has_value());
  const auto second = ListenSocket::create(dir.file("s"));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, EADDRINUSE);
  EXPECT_NE(second.error().text.find("another daemon"), std::string::npos);
  EXPECT_TRUE(exists(dir.file("s")));
}

// What a daemon that was killed leaves: a file that nobody listens on.
void leave_stale_socket(const std::string& path) {
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un addr{};
  addr.sun_family = AF_UNIX;
  path.copy(addr.sun_path, sizeof addr.sun_path - 1);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&addr), sizeof addr), 0);
}

TEST(ListenSocket, ReplacesAStaleSocket) {
  const TemporaryDirectory dir;
  leave_stale_socket(dir.file("s"));
  const auto socket = ListenSocket::create(dir.file("s"));
  EXPECT_TRUE(socket.has_value()) << socket.error().text;
}

TEST(ListenSocket, DoesNotTouchAFileThatIsNoSocket) {
  const TemporaryDirectory dir;
  std::ofstream(dir.file("s")) << "precious";
  const auto socket = ListenSocket::create(dir.file("s"));
  ASSERT_FALSE(socket.has_value());
  EXPECT_EQ(socket.error().code, EEXIST);
  EXPECT_TRUE(exists(dir.file("s")));
}

TEST(ListenSocket, SaysWhenThePathIsTooLong) {
  const TemporaryDirectory dir;
  const auto socket = ListenSocket::create(dir.file(std::string(200, 'x')));
  ASSERT_FALSE(socket.has_value());
  EXPECT_EQ(socket.error().code, ENAMETOOLONG);
  EXPECT_NE(socket.error().text.find("107"), std::string::npos);
  // 107 bytes fit exactly.
  const std::string longest = dir.file(std::string(107 - dir.file("").size(), 'x'));
  ASSERT_EQ(longest.size(), 107u);
  EXPECT_TRUE(ListenSocket::create(longest).has_value());
  EXPECT_FALSE(ListenSocket::create("").has_value());
}

TEST(ListenSocket, InheritsAListeningSocketAndLeavesItsFile) {
  const TemporaryDirectory dir;
  leave_stale_socket(dir.file("s"));
  std::filesystem::remove(dir.file("s"));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un addr{};
  addr.sun_family = AF_UNIX;
  dir.file("s").copy(addr.sun_path, sizeof addr.sun_path - 1);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&addr), sizeof addr), 0);
  ASSERT_EQ(::listen(fd.get(), 1), 0);
  EXPECT_TRUE(ListenSocket::inherit(std::move(fd)).has_value());
  EXPECT_TRUE(exists(dir.file("s")));
}

TEST(ListenSocket, InheritsNothingElse) {
  std::array descriptors = {Fd(::socket(AF_UNIX, SOCK_STREAM, 0)), // does not listen
                            Fd(::socket(AF_UNIX, SOCK_DGRAM, 0)),
                            Fd(::socket(AF_INET, SOCK_STREAM, 0)), Fd(::dup(0)), Fd()};
  for (Fd& fd : descriptors) {
    const auto socket = ListenSocket::inherit(std::move(fd));
    ASSERT_FALSE(socket.has_value());
    EXPECT_EQ(socket.error().code, EINVAL);
  }
}

} // namespace
} // namespace bindlens::server
